"""New arrays that lie in memory as another one does: images that come as (H, W, N, C) go on as (H, W, N, C)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ....errors import LimitError
from ....ops.memory import empty
from ....typing import Array

MOST_BYTES = 1 << 32
"""What one node may ask for by a shape that stands in the file: 4 GiB."""


def empty_as(shape: Sequence[int], dtype: npt.DTypeLike, like: Array) -> Array:
    """An array of this shape whose axes lie in memory in the order of those of `like`, which has as many.

    Examples
    --------
    >>> like = np.zeros((3, 2)).T
    >>> empty_as((2, 5), np.float32, like).strides
    (4, 8)
    """
    if like.flags.c_contiguous or len(shape) != like.ndim:
        return empty(tuple(shape), dtype)
    order = memory_axes(like)
    return empty(tuple(shape[axis] for axis in order), dtype).transpose(np.argsort(order))


def zeros_as(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """Zeros in shape and memory order of `x`."""
    out = empty_as(x.shape, x.dtype.newbyteorder("=") if dtype is None else dtype, x)
    out.fill(0)
    return out


def memory_axes(x: Array) -> list[int]:
    """The axes of `x`, the one whose neighbours are farthest apart in memory first.

    Examples
    --------
    >>> memory_axes(np.zeros((2, 3, 4))), memory_axes(np.zeros((2, 3, 4)).transpose(1, 2, 0))
    ([0, 1, 2], [2, 0, 1])
    """
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def require_room(op_type: str, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
    """Raise unless an array of this shape has a size that a file may ask for.

    Raises
    ------
    LimitError
        If it is beyond 4 GiB.

    Examples
    --------
    >>> require_room("Expand", (1 << 20, 1 << 20), np.float32)
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.LimitError: Expand: an output of shape (1048576, 1048576) has 4398046511104 bytes; ...
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > MOST_BYTES:
        raise LimitError(
            f"{op_type}: an output of shape {tuple(shape)} has {size} bytes; at most {MOST_BYTES} are accepted"
        )
