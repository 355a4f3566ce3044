"""Layers that do not compute: flatten moves numbers, identity not even that."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import is_hwnc, to_hwnc
from ..ops.dtypes import float_op
from ..typing import Array
from .base import Shape
from .context import Context
from .plain import PlainLayer


class FlattenCache(NamedTuple):
    """How the input was shaped, and how it lay in memory."""

    shape: Shape
    hwnc: bool  # whether it lay as (H, W, N, C)


@float_op("x")
def flatten_forward(x: Array, shape: Shape) -> tuple[Array, FlattenCache]:
    """The numbers of x in logical order, N C H W, whatever order they lie in: C-contiguous, of this shape."""
    return np.ascontiguousarray(x.reshape(shape)), FlattenCache(x.shape, is_hwnc(x))


@float_op("dy")
def flatten_backward(dy: Array, cache: FlattenCache) -> Array:
    """dy in the shape, and in the memory order, of x."""
    dx = dy.reshape(cache.shape)
    return to_hwnc(dx) if cache.hwnc else dx


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
        if start_dim == 0:
            raise ShapeError("Flatten: start_dim must not be 0, for axis 0 is the batch")
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array, ctx: Context) -> tuple[Array, FlattenCache]:
        """See `flatten_forward`."""
        return flatten_forward(x, self._flat(x.shape))

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
    >>> Identity().forward(np.ones(2, np.float32), Context())[0]
    array([1., 1.], dtype=float32)
    """

    op = (identity_forward, identity_backward)
