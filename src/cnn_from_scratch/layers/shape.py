"""Layers that do not compute: flatten moves numbers, identity not even that."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import is_hwnc
from ..ops.checks import plain_array
from ..ops.dtypes import float_op
from ..ops.memory import empty
from ..ops.utils import HWNC
from ..typing import Array
from .base import Shape
from .context import Context
from .plain import PlainLayer

FEW = 8192
"""Images of no more numbers are moved at once."""

SIDE = 256
"""How many channels of how many images are moved together: so many lines of the cache are written in turn."""


class FlattenCache(NamedTuple):
    """How the input was shaped, and how it lay in memory."""

    shape: Shape
    hwnc: bool  # whether it lay as (H, W, N, C)


@float_op("x")
def flatten_forward(x: Array, shape: Shape) -> tuple[Array, FlattenCache]:
    """The numbers of x in logical order, N C H W, whatever order they lie in: C-contiguous, of this shape.

    (H, W, N, C) images are moved row by row: 0.3 of the time that NumPy takes for all of them at once.
    """
    cache = FlattenCache(x.shape, is_hwnc(x))
    if x.flags.c_contiguous:
        return x.reshape(shape), cache
    y = empty(x.shape, x.dtype)
    if cache.hwnc and x.size > FEW:
        for h in range(x.shape[2]):
            y[:, :, h] = x[:, :, h]
    else:
        y[...] = x
    return y.reshape(shape), cache


@float_op("dy")
def flatten_backward(dy: Array, cache: FlattenCache) -> Array:
    """dy in the shape, and in the memory order, of x; (H, W, N, C) images a few at a time, in 0.7 of the time."""
    dx = dy.reshape(cache.shape)
    if not cache.hwnc:
        return dx
    N, C, H, W = cache.shape
    images = empty((H, W, N, C), dx.dtype).transpose(HWNC)
    step = max(1, SIDE // max(1, C)) if dx.size > FEW else max(1, N)
    for n in range(0, N, step):
        images[n : n + step] = dx[n : n + step]
    return images


class Flatten(PlainLayer):
    """y[n, c*H*W + h*W + w] = x[n, c, h, w]: the axes from `start_dim` to `end_dim` become one

    Parameters
    ----------
    start_dim, end_dim : int
        First and last axis to join; axis 0, the batch, stays.

    Raises
    ------
    ShapeError
        If start_dim is 0.

    Examples
    --------
    >>> Flatten().output_shape((16, 5, 5))
    (400,)
    """

    op = (flatten_forward, flatten_backward)

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        for name, value in (("start_dim", start_dim), ("end_dim", end_dim)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"Flatten: {name} must be an int, got {value!r}")
        if start_dim == 0:
            raise ShapeError("Flatten: start_dim must not be 0, for axis 0 is the batch")
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array, ctx: Context) -> tuple[Array, FlattenCache]:
        """See `flatten_forward`."""
        return flatten_forward(x, self._flat(plain_array("Flatten", "x", x).shape))

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C*H*W,)"""
        return self._flat((1, *input_shape))[1:]

    def _flat(self, shape: Shape) -> Shape:
        axes = len(shape)
        first, last = (axis % axes if -axes <= axis < axes else axes for axis in (self.start_dim, self.end_dim))
        if not 1 <= first <= last < axes:
            raise ShapeError(
                f"Flatten: axes {self.start_dim} to {self.end_dim} of an example {shape[1:]} and its batch axis 0 "
                "are no run of axes after the batch"
            )
        return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


@float_op("x")
def identity_forward(x: Array) -> tuple[Array, None]:
    """y = x"""
    return x, None


@float_op("dy")
def identity_backward(dy: Array, cache: None) -> Array:
    """dx = dy"""
    return dy


class Identity(PlainLayer):
    """y = x

    Examples
    --------
    >>> import numpy as np
    >>> Identity().forward(np.ones(2, np.float32), Context())[0]
    array([1., 1.], dtype=float32)
    """

    op = (identity_forward, identity_backward)
