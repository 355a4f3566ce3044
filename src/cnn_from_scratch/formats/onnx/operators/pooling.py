"""MaxPool, AveragePool, LpPool and what they are over a whole image, of sequences, images and volumes.

Versions differ in attributes that came later: count_include_pad (7), ceil_mode (10), dilations (MaxPool 10, AveragePool
19, LpPool 18). Not given, they mean what went before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import FormatError, ShapeError
from ....layers.context import Context
from ....layers.operation import Values
from ....ops import (
    AvgPoolCache,
    avg_pool_backward,
    avg_pool_forward,
    global_avg_pool_backward,
    global_avg_pool_forward,
    global_max_pool_backward,
    global_max_pool_forward,
)
from ....typing import Array
from ..attributes import NodeOperation, given, integer, label, number
from ..pooling_nd import (
    MaxPoolNdCache,
    max_pool_nd_backward,
    max_pool_nd_forward,
    max_pool_nd_indices,
    window_counts,
    window_sums,
    window_sums_backward,
)
from ..registry import Node, operator
from ..windows import Window, WindowRule
from .pure import PureOperation, require_floats


@operator("MaxPool")
class MaxPool(NodeOperation):
    """The largest of each window, and where it is; uint8 and int8, too, since version 12."""

    results = 2

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule, self.outputs = WindowRule.of(node), node.outputs
        self.storage_order = integer(node, "storage_order", 0)

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array, ...], MaxPoolNdCache]:
        """Small ints are exact as float32."""
        (x,) = given(self, inputs, 1)
        floats = x.astype(np.float32) if x.dtype in (np.int8, np.uint8) else x
        y, cache = max_pool_nd_forward(floats, self.rule.at(x.shape[2:]), train=ctx.train)
        y = y.astype(x.dtype, copy=False) if x.dtype.kind != "f" else y
        return ((y,) if self.outputs < 2 else (y, self._indices(x.shape, cache))), cache

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """See `cnn_from_scratch.ops.max_pool_backward`; indices have no gradient."""
        dy = doutputs[0]
        return (None if dy is None else max_pool_nd_backward(dy, cache),)

    def _indices(self, shape: tuple[int, ...], cache: MaxPoolNdCache) -> Array:
        """Counted through all images and channels, each image in C order, or in Fortran's for storage_order 1."""
        found = max_pool_nd_indices(cache)
        N, C, *lengths = shape
        if self.storage_order:
            places = np.unravel_index(found.clip(0), lengths)
            found = np.where(found < 0, found, np.ravel_multi_index(places, lengths, order="F"))
        first = np.arange(N * C).reshape(N, C, *[1] * len(lengths)) * math.prod(lengths)
        return np.ascontiguousarray(found + first)


class SumsCache(NamedTuple):
    """Of sums over windows: where they lie, and what they are divided by."""

    lengths: tuple[int, ...]
    window: Window
    counts: Array


@operator("AveragePool")
class AveragePool(PureOperation):
    """The mean of each window: of its places in the image, or with count_include_pad, in the padding, too."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule, self.include_pad = WindowRule.of(node), bool(integer(node, "count_include_pad", 0))

    def compute(self, x: Array) -> tuple[Array, AvgPoolCache | SumsCache]:
        """Images without dilation go the usual way."""
        require_floats(self, x)
        window = self.rule.at(x.shape[2:])
        if x.ndim == 4 and max(window.dilations) == 1:
            (KH, KW), (SH, SW), (rows, columns), _, ceil_mode = window
            return avg_pool_forward(
                x,
                (KH, KW),
                stride=(SH, SW),
                padding=(rows, columns),
                ceil_mode=ceil_mode,
                count_include_pad=self.include_pad,
            )
        counts = window_counts(x.shape[2:], window, include_pad=self.include_pad)
        y = (window_sums(widened(x), window) / counts).astype(x.dtype, copy=False)
        return y, SumsCache(x.shape[2:], window, counts)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> tuple[Array]:
        """Every pixel of a window receives the same share."""
        if isinstance(cache, AvgPoolCache):
            return (avg_pool_backward(dy, cache),)
        shares = (dy / cache.counts).astype(dy.dtype, copy=False)
        return (window_sums_backward(shares, cache.lengths, cache.window),)


class LpCache(NamedTuple):
    """What the gradient of an Lp norm needs."""

    x: Array
    y: Array
    window: Window


class _Lp(PureOperation):
    """y = (sum over a window of |x|^p)^(1/p)

    The gradient of y by x is sign(x) * (|x| / y)^(p - 1), and 0 where y is 0.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.p = number(node, "p", 2.0)
        if not self.p > 0:
            raise FormatError(f"{label(node)}: p must be positive, got {self.p}")

    def window(self, lengths: tuple[int, ...]) -> Window:
        """Where the windows are."""
        raise NotImplementedError

    def compute(self, x: Array) -> tuple[Array, LpCache]:
        """In the dtype of x."""
        require_floats(self, x)
        window = self.window(x.shape[2:])
        y = (window_sums(np.abs(widened(x)) ** self.p, window) ** (1 / self.p)).astype(x.dtype, copy=False)
        return y, LpCache(x, y, window)

    def gradients(self, dy: Array, cache: LpCache, wanted: Sequence[bool]) -> tuple[Array]:
        """What every window gives back, times what belongs to the pixel alone."""
        x, y, window = cache
        shares = np.divide(dy, y ** (self.p - 1), out=np.zeros_like(dy), where=y > 0)
        magnitude = np.power(np.abs(x), self.p - 1, out=np.zeros_like(x), where=x != 0)
        return (window_sums_backward(shares, x.shape[2:], window) * np.sign(x) * magnitude,)


@operator("LpPool")
class LpPool(_Lp):
    """The Lp norm of each window."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule = WindowRule.of(node)

    def window(self, lengths: tuple[int, ...]) -> Window:
        """As the attributes say."""
        return self.rule.at(lengths)


@operator("GlobalLpPool")
class GlobalLpPool(_Lp):
    """The Lp norm of each channel of each image."""

    def window(self, lengths: tuple[int, ...]) -> Window:
        """The whole image."""
        return whole(lengths)


def widened(x: Array) -> Array:
    """float16 as float32, in which sums are made."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def whole(lengths: tuple[int, ...]) -> Window:
    """One window over everything."""
    ones = (1,) * len(lengths)
    return Window(lengths, ones, ((0, 0),) * len(lengths), ones)


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
