"""MaxPool and AveragePool, of sequences, images and volumes.

Versions differ in attributes that came later: count_include_pad (7), ceil_mode (10), dilations (10, and 19 for
AveragePool). Not given, they mean what went before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....layers.context import Context
from ....layers.operation import Values
from ....ops import AvgPoolCache, avg_pool_backward, avg_pool_forward
from ....typing import Array
from ..attributes import NodeOperation, given, integer
from ..pooling_nd import (
    MaxPoolNdCache,
    max_pool_nd_backward,
    max_pool_nd_forward,
    max_pool_nd_indices,
    widened,
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
