"""GlobalAveragePool and GlobalMaxPool, of sequences, images and volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ....errors import ShapeError
from ....ops import (
    global_avg_pool_backward,
    global_avg_pool_forward,
    global_max_pool_backward,
    global_max_pool_forward,
)
from ....typing import Array
from ..registry import operator
from .pure import PureOperation, require_floats


class _Global(PureOperation):
    """One number for each channel of each image."""

    def _as_images(self, x: Array) -> Array:
        """(N, C, *lengths) as (N, C, H, W)"""
        require_floats(self, x)
        if x.ndim < 3:
            raise ShapeError(f"{self.op_type}: x must be (N, C, ...) of at least one more axis, got {x.shape}")
        return x if x.ndim == 4 else x.reshape(*x.shape[:2], 1, math.prod(x.shape[2:]))

    def _reduced(self, y: Array, x: Array) -> Array:
        """(N, C, 1, 1) as (N, C, 1, ...)"""
        return y.reshape(*x.shape[:2], *[1] * (x.ndim - 2))


@operator("GlobalAveragePool")
class GlobalAveragePool(_Global):
    """The mean of each channel of each image."""

    def compute(self, x: Array) -> tuple[Array, Any]:
        """See `cnn_from_scratch.ops.global_avg_pool_forward`."""
        y, cache = global_avg_pool_forward(self._as_images(x))
        return self._reduced(y, x), (cache, x.shape)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> tuple[Array]:
        """Every pixel receives the same share."""
        inner, shape = cache
        return (global_avg_pool_backward(dy.reshape(*shape[:2], 1, 1), inner).reshape(shape),)


@operator("GlobalMaxPool")
class GlobalMaxPool(_Global):
    """The largest number of each channel of each image."""

    def compute(self, x: Array) -> tuple[Array, Any]:
        """See `cnn_from_scratch.ops.global_max_pool_forward`."""
        y, cache = global_max_pool_forward(self._as_images(x))
        return self._reduced(y, x), (cache, x.shape)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> tuple[Array]:
        """The first maximum receives all."""
        inner, shape = cache
        return (global_max_pool_backward(dy.reshape(*shape[:2], 1, 1), inner).reshape(shape),)
