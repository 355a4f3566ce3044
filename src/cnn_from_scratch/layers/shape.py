"""Layers that only move numbers: flatten, nothing at all."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import is_hwnc, to_hwnc
from ..ops.dtypes import float_op
from ..typing import Array
from .base import Grads, Layer, Shape
from .context import Context


class FlattenCache(NamedTuple):
    """How the input was shaped, and how it lay in memory."""

    shape: Shape
    hwnc: bool  # whether it lay as (H, W, N, C)


class Flatten(Layer):
    """y[n, c*H*W + h*W + w] = x[n, c, h, w]: the axes from `start_dim` to `end_dim` become one

    Parameters
    ----------
    start_dim, end_dim : int
        First and last axis to join; axis 0, the batch, stays.

    Examples
    --------
    >>> Flatten().output_shape((16, 5, 5))
    (400,)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        if start_dim == 0:
            raise ShapeError("Flatten: start_dim must not be 0, for axis 0 is the batch")
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array, ctx: Context) -> tuple[Array, FlattenCache]:
        """Numbers in logical order, C H W, whatever order they lie in; C-contiguous."""
        y = _native(x).reshape(self._flat(x.shape))
        return np.ascontiguousarray(y), FlattenCache(x.shape, is_hwnc(x))

    def backward(self, dy: Array, cache: FlattenCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """dy in the shape, and in the memory order, of the input."""
        if not need_dx:
            return None, {}
        dx = dy.reshape(cache.shape)
        return (to_hwnc(dx) if cache.hwnc else dx), {}

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


class Identity(Layer):
    """y = x

    Examples
    --------
    >>> Identity().forward(np.ones(2, np.float32), Context())[0]
    array([1., 1.], dtype=float32)
    """

    def forward(self, x: Array, ctx: Context) -> tuple[Array, None]:
        """The input itself."""
        return _native(x), None

    def backward(self, dy: Array, cache: None, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The gradient itself."""
        return (dy if need_dx else None), {}


@float_op("x")
def _native(x: Array) -> Array:
    """`x` as the numbers that layers compute with; others are refused by name."""
    return x
