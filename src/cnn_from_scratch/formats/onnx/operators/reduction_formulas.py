"""What each reduction computes, and its gradient: formulas over axes that keep their place with size 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ....typing import Array
from .broadcasting import stretch_to

Axes = tuple[int, ...]


class Formula(NamedTuple):
    """y = forward(x, axes) with axes of size 1 left in place, and dx = backward(dy, x, y, axes)."""

    forward: Callable[[Array, Axes], Any]
    backward: Callable[[Array, Array, Array, Axes], Array]


def _empty(x: Array, axes: Axes) -> bool:
    """Whether there is nothing to reduce, but somewhere to put the result."""
    return any(x.shape[axis] == 0 for axis in axes)


def _count(x: Array, axes: Axes) -> int:
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return count


# --- sum and mean ---------------------------------------------------------------------------------------------------


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


# --- product ---------------------------------------------------------------------------------------------------------


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
    "ReduceMean": Formula(_mean, _mean_backward),
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
"""By operator."""
