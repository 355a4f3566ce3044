"""Activations of straight lines that stand in for smooth ones: HardSigmoid, HardSwish."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from ....ops.dtypes import float_op
from ....ops.memory import empty_like
from ....typing import Array
from ..attributes import number
from ..registry import Node, operator
from .pure import OneInput


class LineCache(NamedTuple):
    """What a gate clip(alpha * x + beta, 0, 1) needs for its gradient."""

    x: Array  # borrowed, never written
    alpha: float
    beta: float


def _gate(x: Array, alpha: float, beta: float) -> Array:
    y = np.multiply(x, alpha, out=empty_like(x))
    y += beta
    return y


@float_op("x")
def hard_sigmoid_forward(x: Array, *, alpha: float, beta: float) -> tuple[Array, LineCache]:
    """y = max(0, min(1, alpha * x + beta))"""
    y = _gate(x, alpha, beta)
    return np.clip(y, 0, 1, out=y), LineCache(x, alpha, beta)


@float_op("dy")
def hard_sigmoid_backward(dy: Array, cache: LineCache) -> Array:
    """dx = alpha * dy where 0 < alpha * x + beta < 1, else 0"""
    gate = _gate(cache.x, cache.alpha, cache.beta)
    dx = np.multiply(dy, cache.alpha, out=empty_like(gate))
    np.copyto(dx, 0, where=(gate <= 0) | (gate >= 1))
    return dx


@operator("HardSigmoid")
def hard_sigmoid(node: Node) -> OneInput:
    """y = max(0, min(1, alpha * x + beta))."""
    forward = partial(hard_sigmoid_forward, alpha=number(node, "alpha", 0.2), beta=number(node, "beta", 0.5))
    return OneInput(node, forward, hard_sigmoid_backward)


@float_op("x")
def hard_swish_forward(x: Array) -> tuple[Array, Array]:
    """y = x * max(0, min(1, x/6 + 1/2)); 0 at -inf"""
    y = _gate(x, 1 / 6, 0.5)
    np.clip(y, 0, 1, out=y)
    y *= np.maximum(x, np.finfo(x.dtype).min, out=empty_like(x))
    return y, x


@float_op("dy", "x")
def hard_swish_backward(dy: Array, x: Array) -> Array:
    """dx = 0 where x <= -3, dy where x >= 3, and (x/3 + 1/2) * dy in between"""
    dx = _gate(x, 1 / 3, 0.5)
    np.copyto(dx, 0, where=x <= -3)
    np.copyto(dx, 1, where=x >= 3)
    dx *= dy
    return dx


@operator("HardSwish")
def hard_swish(node: Node) -> OneInput:
    """y = x * max(0, min(1, x/6 + 1/2)).

    References
    ----------
    Howard et al.: Searching for MobileNetV3 (2019). https://arxiv.org/abs/1905.02244
    """
    return OneInput(node, hard_swish_forward, hard_swish_backward)
