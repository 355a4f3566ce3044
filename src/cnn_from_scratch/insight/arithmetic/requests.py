"""What is asked for: is there such a layer, and does it have such a number?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ShapeError
from ...layers import Container
from .rule import Index
from .terms import axis_names

if TYPE_CHECKING:
    from ..trace import LayerTrace, Trace


def layer_of(function: str, trace: Trace, key: str) -> LayerTrace:
    """The record of a layer.

    Raises
    ------
    KeyError
        If there is none.
    """
    if key not in trace.layers:
        keys = ", ".join(map(repr, trace.layers))
        raise KeyError(f"{function}: no layer has the key {key!r}; those that have one are {keys}")
    return trace.layers[key]


def as_index(
    function: str, name: str, index: int | Sequence[int], shape: tuple[int, ...], whose: str, array: str
) -> Index:
    """An index into an array of this shape as non-negative ints; negative ones count from the end.

    Raises
    ------
    TypeError, ShapeError, IndexError
        If it is no index, has not one number for each axis, or lies outside.

    Examples
    --------
    >>> as_index("example", "index", (0, -1), (2, 3), "y", "y")
    (0, 2)
    """
    numbers = (index,) if isinstance(index, int | np.integer) else index
    whole = isinstance(numbers, Sequence | np.ndarray) and not isinstance(numbers, str)
    if not whole or not all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in numbers):
        raise TypeError(f"{function}: {name} must be an int for each axis, got {index!r}")
    if len(numbers) != len(shape):
        axes = ", ".join(axis_names(array, len(shape)))
        raise ShapeError(
            f"{function}: {name} must have {len(shape)} numbers ({axes}) for {whose}, shape {shape}, got {index!r}"
        )
    for axis, (i, size) in enumerate(zip(numbers, shape, strict=True)):
        if not -size <= i < size:
            raise IndexError(
                f"{function}: {name}={tuple(int(i) for i in numbers)} is outside of {whose}, shape {shape}: "
                f"axis {axis} goes from 0 to {size - 1}"
            )
    return tuple(int(i) % size for i, size in zip(numbers, shape, strict=True))


def written(entry: LayerTrace) -> str:
    """The layer on one line: a container by its kind alone."""
    return type(entry.layer).__name__ if isinstance(entry.layer, Container) else repr(entry.layer)


def require_cross_entropy(function: str, trace: Trace) -> None:
    """Raise unless the trace has this loss.

    Raises
    ------
    ValueError
        If it has no targets, or another loss.
    """
    if trace.y is None:
        raise ValueError(f"{function}: the trace has no loss; make it with targets, by trace(model, x, y)")
    if trace.loss_name != "cross_entropy":
        raise ValueError(f"{function}: the loss is {trace.loss_name!r}; explained is 'cross_entropy'")
