"""Fewer numbers: sums, means, products, norms, logarithms of sums and extremes over some axes, and their gradients.

What is computed stands in reduction_formulas.py; over which axes, and whether they stay, is the same for all and
decided here. Integers reduce in their own dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....ops import global_avg_pool_backward, global_avg_pool_forward
from ....typing import Array
from ..attributes import integer, integers
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .pure import PureOperation
from .reduction_formulas import FORMULAS, Axes


class ReduceCache(NamedTuple):
    """What the gradient of a reduction needs."""

    x: Array  # borrowed, never written
    y: Array  # with axes of size 1
    axes: Axes


@operator(*(name for name in FORMULAS if name != "ReduceMean"))
class Reduce(PureOperation):
    """y = a formula over `axes`, over all unless they are named; ``keepdims=0`` takes the axes of size 1 away.

    The axes are an attribute before version 18 (for ReduceSum 13) and an input from then on, where
    ``noop_with_empty_axes=1`` says that no axes are none, not all.
    """

    arity = (1, 2)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._formula = FORMULAS[node.op_type]
        self._axes = integers(node, "axes") if node.opset < (13 if node.op_type == "ReduceSum" else 18) else None
        self._keepdims = bool(integer(node, "keepdims", 1))
        self._none_is_none = bool(integer(node, "noop_with_empty_axes", 0))

    def compute(self, x: Array, axes: Array | None = None) -> tuple[Array, ReduceCache]:
        """The formula; float16 computes in float32."""
        given = self._axes if axes is None else integers_of(self.op_type, "axes", axes)
        reduced = axes_in(self.op_type, given, x.ndim) if given else () if self._none_is_none else tuple(range(x.ndim))
        wide = x.astype(np.float32) if x.dtype == np.float16 else x
        y = np.asarray(self._formula.forward(wide, reduced))
        kept = y if self._keepdims else np.squeeze(y, reduced)
        return kept.astype(x.dtype, copy=False), ReduceCache(wide, y, reduced)

    def gradients(self, dy: Array, cache: ReduceCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The formula's."""
        x, y, axes = cache
        dx = self._formula.backward(dy.reshape(y.shape).astype(x.dtype, copy=False), x, y, axes)
        return (dx.astype(dy.dtype, copy=False), None)[: len(wanted)]


@operator("ReduceMean")
class ReduceMean(Reduce):
    """A mean; that over the rows and columns of images is global average pooling."""

    def compute(self, x: Array, axes: Array | None = None) -> tuple[Array, Any]:
        """By `global_avg_pool_forward` where it can."""
        given = self._axes if axes is None else integers_of("ReduceMean", "axes", axes)
        if x.ndim != 4 or x.dtype.kind != "f" or not given or x.size == 0:
            return super().compute(x, axes)
        if set(axes_in("ReduceMean", given, 4)) != {2, 3}:
            return super().compute(x, axes)
        y, cache = global_avg_pool_forward(x)
        return (y if self._keepdims else y[:, :, 0, 0]), cache

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """By `global_avg_pool_backward` where it can."""
        if isinstance(cache, ReduceCache):
            return super().gradients(dy, cache, wanted)
        return (global_avg_pool_backward(dy.reshape(*dy.shape[:2], 1, 1), cache), None)[: len(wanted)]
