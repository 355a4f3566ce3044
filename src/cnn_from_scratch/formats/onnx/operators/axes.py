"""Axes and other small integers, as nodes name them: negative ones count from the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....errors import ShapeError
from ....typing import Array


def axis_in(op_type: str, axis: int, rank: int, name: str = "axis") -> int:
    """The axis, counted from the front.

    Examples
    --------
    >>> axis_in("Concat", -1, 4)
    3
    >>> axis_in("Concat", 4, 4)
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.ShapeError: Concat: axis must be in [-4, 3] for an array of 4 axes, got 4
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"{op_type}: {name} must be in [{-rank}, {rank - 1}] for an array of {rank} axes, got {axis}")
    return axis % rank


def axes_in(op_type: str, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Several axes, in their order; none may be named twice.

    Examples
    --------
    >>> axes_in("Squeeze", [-1, 0], 3)
    (2, 0)
    """
    found = tuple(axis_in(op_type, axis, rank, "axes") for axis in axes)
    if len(set(found)) < len(found):
        raise ShapeError(f"{op_type}: axes must be different, got {tuple(axes)}")
    return found


def integers_of(op_type: str, name: str, array: Array) -> tuple[int, ...]:
    """The numbers in an input of integers, which must have one axis or none.

    Examples
    --------
    >>> integers_of("Reshape", "shape", np.array([2, -1]))
    (2, -1)
    """
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ShapeError(f"{op_type}: {name} must be integers in a row, got {array.dtype} of shape {array.shape}")
    return tuple(int(value) for value in np.atleast_1d(array))
