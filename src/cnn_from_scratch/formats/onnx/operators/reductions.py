"""Fewer numbers: sums, means, products, norms, logarithms of sums and extremes over some axes, and their gradients.

Every reduction is a formula over axes that keep their place with size 1, and so is its gradient; which axes, and
whether they stay, is the same for all and decided in `Reduce`. Integers reduce in their own dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....ops import global_avg_pool_backward, global_avg_pool_forward
from ....typing import Array
from ..attributes import integer, integers
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .broadcasting import stretch_to
from .pure import PureOperation

Axes = tuple[int, ...]


class Formula(NamedTuple):
    """y = forward(x, axes) with axes of size 1 left in place, and dx = backward(dy, x, y, axes)."""

    forward: Callable[[Array, Axes], Any]
    backward: Callable[[Array, Array, Array, Axes], Array]


class ReduceCache(NamedTuple):
    """What the gradient of a reduction needs."""

    x: Array  # borrowed, never written
    y: Array  # with axes of size 1
    axes: Axes


class Reduce(PureOperation):
    """y = a formula over `axes`, over all unless they are named; ``keepdims=0`` takes the axes of size 1 away.

    The axes are an attribute before version 18 (for ReduceSum 13) and an input from then on, where
    ``noop_with_empty_axes=1`` says that no axes are none, not all.
    """

    arity = (1, 2)

    def __init__(self, node: Node, formula: Formula) -> None:
        super().__init__(node)
        self._formula = formula
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


def _empty(x: Array, axes: Axes) -> bool:
    """Whether there is nothing to reduce, but somewhere to put the result."""
    return any(x.shape[axis] == 0 for axis in axes)


def _count(x: Array, axes: Axes) -> int:
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return count


# --- ReduceSum, ReduceMean -------------------------------------------------------------------------------------------


def _sum(x: Array, axes: Axes) -> Any:
    return x.sum(axes, x.dtype, keepdims=True)


def _sum_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    return stretch_to(dy, x)


def _mean(x: Array, axes: Axes) -> Any:
    if x.dtype.kind == "f":
        return _sum(x, axes) / x.dtype.type(_count(x, axes))
    exact = x.sum(axes, np.uint64 if x.dtype.kind == "u" else np.int64, keepdims=True)
    quotient = np.abs(exact) // max(1, _count(x, axes))  # of integers rounded towards zero
    return (np.sign(exact) * quotient).astype(x.dtype)


def _mean_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    return stretch_to(dy / dy.dtype.type(_count(x, axes)), x)


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


@operator("ReduceMean")
def reduce_mean(node: Node) -> ReduceMean:
    """y = mean of x over the axes."""
    return ReduceMean(node, Formula(_mean, _mean_backward))


# --- ReduceProd ------------------------------------------------------------------------------------------------------


def _prod(x: Array, axes: Axes) -> Any:
    return x.prod(axes, x.dtype, keepdims=True)


def _prod_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    """dx = dy * product of all others: y / x, or where x is the only zero, the product without it."""
    zero = x == 0
    zeros = zero.sum(axes, keepdims=True)
    others = np.where(zero, x.dtype.type(1), x)
    product = others.prod(axes, keepdims=True)
    alone = np.where(zero & (zeros == 1), product, x.dtype.type(0))
    dx: Array = dy * np.where(zeros == 0, product / others, alone)
    return dx


# --- norms -----------------------------------------------------------------------------------------------------------


def _l1(x: Array, axes: Axes) -> Any:
    return np.abs(x).sum(axes, x.dtype, keepdims=True)


def _l1_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    return dy * np.sign(x)


def _sum_square(x: Array, axes: Axes) -> Any:
    return (x * x).sum(axes, x.dtype, keepdims=True)


def _sum_square_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    dx: Array = dy * x * x.dtype.type(2)
    return dx


def _l2(x: Array, axes: Axes) -> Any:
    return np.sqrt(_sum_square(_as_floats(x), axes)).astype(x.dtype, copy=False)


def _l2_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    """dx = dy * x / y; 0 where all of x is 0."""
    return dy * x / np.where(y == 0, y.dtype.type(1), y)


# --- logarithms of sums ----------------------------------------------------------------------------------------------


def _log_sum(x: Array, axes: Axes) -> Any:
    return np.log(_sum(_as_floats(x), axes)).astype(x.dtype, copy=False)


def _log_sum_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    return stretch_to(dy / _sum(x, axes), x)


def _log_sum_exp(x: Array, axes: Axes) -> Any:
    """The largest is taken out first, so that exp cannot overflow."""
    floats = _as_floats(x)
    if _empty(x, axes):
        return _sum(floats, axes) - np.inf
    largest = floats.max(axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, floats.dtype.type(0))
    y = np.log(np.exp(floats - largest).sum(axes, keepdims=True)) + largest
    return y.astype(x.dtype, copy=False)


def _log_sum_exp_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    dx: Array = dy * np.exp(x - y)
    return dx


def _as_floats(x: Array) -> Array:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


# --- extremes --------------------------------------------------------------------------------------------------------


def _max(x: Array, axes: Axes) -> Any:
    return x.max(axes, keepdims=True, initial=_bound(x, -1)) if _empty(x, axes) else x.max(axes, keepdims=True)


def _min(x: Array, axes: Axes) -> Any:
    return x.min(axes, keepdims=True, initial=_bound(x, 1)) if _empty(x, axes) else x.min(axes, keepdims=True)


def _bound(x: Array, sign: int) -> Any:
    """What the maximum (-1) or the minimum (1) of nothing is: infinite, or the last number of the dtype."""
    if x.dtype.kind == "f":
        return sign * np.inf
    if x.dtype.kind == "b":
        return sign > 0
    limits = np.iinfo(x.dtype)
    return limits.max if sign > 0 else limits.min


def _extreme_backward(dy: Array, x: Array, y: Array, axes: Axes) -> Array:
    """All that share the extreme share its gradient in equal parts, as in PyTorch's amax."""
    chosen = x == y
    dx: Array = chosen * (dy / chosen.sum(axes, dy.dtype, keepdims=True))
    return dx


FORMULAS = {
    "ReduceSum": Formula(_sum, _sum_backward),
    "ReduceProd": Formula(_prod, _prod_backward),
    "ReduceL1": Formula(_l1, _l1_backward),
    "ReduceL2": Formula(_l2, _l2_backward),
    "ReduceSumSquare": Formula(_sum_square, _sum_square_backward),
    "ReduceLogSum": Formula(_log_sum, _log_sum_backward),
    "ReduceLogSumExp": Formula(_log_sum_exp, _log_sum_exp_backward),
    "ReduceMax": Formula(_max, _extreme_backward),
    "ReduceMin": Formula(_min, _extreme_backward),
}


@operator(*FORMULAS)
def reduce(node: Node) -> Reduce:
    """The others, from the table."""
    return Reduce(node, FORMULAS[node.op_type])
