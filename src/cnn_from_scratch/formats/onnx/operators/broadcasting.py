"""Broadcasting, and its gradient: what was repeated in the forward pass adds up in the backward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ....errors import ShapeError
from ....ops.memory import empty
from ....typing import Array
from .layout import empty_as


def sum_to(dy: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast: dy, summed over the axes that were stretched.

    Examples
    --------
    >>> sum_to(np.ones((2, 3, 4)), (3, 1))
    array([[8.],
           [8.],
           [8.]])
    """
    if dy.shape == shape:
        return dy
    before = dy.ndim - len(shape)
    stretched = [before + axis for axis, size in enumerate(shape) if size == 1 != dy.shape[before + axis]]
    total: Array = dy.sum((*range(before), *stretched), keepdims=True)
    return total.reshape(shape)


def stretch_to(y: Array, x: Array) -> Array:
    """y, whose stretched axes have size 1, as a new array in shape and memory order of x: what `sum_to` undoes."""
    out = empty_as(x.shape, y.dtype, x)
    out[...] = y
    return out


def common_shape(op_type: str, inputs: Sequence[Array]) -> tuple[int, ...]:
    """The shape to which all inputs are broadcast.

    Examples
    --------
    >>> common_shape("Add", [np.zeros((2, 3)), np.zeros(4)])
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.ShapeError: Add: shapes (2, 3), (4,) cannot be broadcast to one
    """
    try:
        return np.broadcast_shapes(*(x.shape for x in inputs))
    except ValueError as error:
        listed = ", ".join(str(x.shape) for x in inputs)
        raise ShapeError(f"{op_type}: shapes {listed} cannot be broadcast to one") from error


def result_for(op_type: str, inputs: Sequence[Array], dtype: npt.DTypeLike) -> Array:
    """An empty array for an elementwise result, in the memory order of the first input that fills it."""
    shape = common_shape(op_type, inputs)
    like = next((x for x in inputs if x.shape == shape), None)
    return empty(shape, dtype) if like is None else empty_as(shape, dtype, like)


def align(op_type: str, a: Array, b: Array, broadcast: bool, axis: int | None) -> Array:
    """b, shaped so that NumPy broadcasts it over a as ONNX did before version 7.

    Then only b was broadcast, only if ``broadcast=1`` said so, and `axis` told where in the shape of a that of b
    begins; without it they end together.

    Examples
    --------
    >>> align("Add", np.zeros((2, 3, 4, 5)), np.zeros((3, 4)), True, 1).shape
    (3, 4, 1)
    """
    if a.shape == b.shape:
        return b
    if not broadcast:
        raise ShapeError(f"{op_type}: shapes {a.shape} and {b.shape} differ, and the node does not say broadcast=1")
    if b.size == 1:
        return b.reshape(())
    first = a.ndim - b.ndim if axis is None else axis % max(1, a.ndim)
    if first < 0 or any(size not in (1, whole) for size, whole in zip(b.shape, a.shape[first:], strict=False)):
        raise ShapeError(f"{op_type}: shape {b.shape} is not found in {a.shape} at axis {first}")
    return b.reshape(b.shape + (1,) * (a.ndim - first - b.ndim))
