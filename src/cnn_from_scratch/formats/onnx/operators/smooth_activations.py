"""Activations without a kink: Sigmoid, Tanh, Softplus, Softsign, Gelu, Swish, Mish."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple, cast

import numpy as np

from ....ops import (
    gelu_backward,
    gelu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from ....ops.dtypes import float_op
from ....ops.gelu import Approximate
from ....ops.memory import empty_like
from ....ops.sigmoid import logistic
from ....typing import Array
from ..attributes import choice, number
from ..registry import Node, operator
from .pure import OneInput


@operator("Sigmoid")
def sigmoid(node: Node) -> OneInput:
    """y = 1 / (1 + exp(-x))."""
    return OneInput(node, sigmoid_forward, sigmoid_backward)


@operator("Tanh")
def tanh(node: Node) -> OneInput:
    """y = tanh(x)."""
    return OneInput(node, tanh_forward, tanh_backward)


@operator("Softplus")
def softplus(node: Node) -> OneInput:
    """y = log(1 + exp(x)), never taken for a straight line."""
    return OneInput(node, partial(softplus_forward, threshold=math.inf), softplus_backward)


@operator("Gelu")
def gelu(node: Node) -> OneInput:
    """y = x * Phi(x), by erf or by tanh."""
    approximate = cast(Approximate, choice(node, "approximate", "none", ("none", "tanh")))
    return OneInput(node, partial(gelu_forward, approximate=approximate), gelu_backward)


# --- Softsign --------------------------------------------------------------------------------------------------------


@float_op("x")
def softsign_forward(x: Array) -> tuple[Array, Array]:
    """y = x / (1 + |x|), +-1 at the infinities"""
    y = np.abs(x, out=empty_like(x))
    y += 1
    np.divide(x, y, out=y)
    np.copyto(y, np.sign(x), where=np.isinf(x))
    return y, x


@float_op("dy", "x")
def softsign_backward(dy: Array, x: Array) -> Array:
    """dx = dy / (1 + |x|)^2"""
    dx = np.abs(x, out=empty_like(x))
    dx += 1
    dx *= dx
    return np.divide(dy, dx, out=dx)


@operator("Softsign")
def softsign(node: Node) -> OneInput:
    """y = x / (1 + |x|)."""
    return OneInput(node, softsign_forward, softsign_backward)


# --- Swish and Mish --------------------------------------------------------------------------------------------------


class SwishCache(NamedTuple):
    """What `swish_backward` needs."""

    x: Array  # borrowed, never written
    alpha: float


@float_op("x")
def swish_forward(x: Array, *, alpha: float) -> tuple[Array, SwishCache]:
    """y = x * sigmoid(alpha * x); 0 where alpha * x is -inf, its limit"""
    y = logistic(np.multiply(x, alpha, out=empty_like(x)))
    y *= _finite(x)
    return y, SwishCache(x, alpha)


@float_op("dy")
def swish_backward(dy: Array, cache: SwishCache) -> Array:
    """dx = dy * s * (1 + z * (1 - s)) with z = alpha * x and s = sigmoid(z)"""
    x, alpha = cache
    z = _finite(np.multiply(x, alpha, out=empty_like(x)))
    s = logistic(z)
    z *= 1 - s
    z += 1
    z *= s
    z *= dy
    return z


@operator("Swish")
def swish(node: Node) -> OneInput:
    """y = x * sigmoid(alpha * x); with alpha = 1 it is SiLU."""
    alpha = number(node, "alpha", 1.0)
    if alpha == 1:
        return OneInput(node, silu_forward, silu_backward)
    return OneInput(node, partial(swish_forward, alpha=alpha), swish_backward)


@float_op("x")
def mish_forward(x: Array) -> tuple[Array, Array]:
    """y = x * tanh(log(1 + exp(x))); 0 at -inf, its limit

    References
    ----------
    Misra: Mish: A Self Regularized Non-Monotonic Activation Function (2019). https://arxiv.org/abs/1908.08681
    """
    y, _ = softplus_forward(x, threshold=math.inf)
    np.tanh(y, out=y)
    y *= np.maximum(x, np.finfo(x.dtype).min, out=empty_like(x))
    return y, x


@float_op("dy", "x")
def mish_backward(dy: Array, x: Array) -> Array:
    """dx = dy * (t + x * sigmoid(x) * (1 - t*t)) with t = tanh(softplus(x))"""
    t, _ = softplus_forward(x, threshold=math.inf)
    np.tanh(t, out=t)
    slope: Array = np.multiply(t, t, out=empty_like(x))
    np.subtract(1, slope, out=slope)
    slope *= logistic(x)
    slope *= _finite(x)
    slope += t
    slope *= dy
    return slope


@operator("Mish")
def mish(node: Node) -> OneInput:
    """y = x * tanh(softplus(x))."""
    return OneInput(node, mish_forward, mish_backward)


def _finite(x: Array) -> Array:
    """x with its infinities cut to the largest number, so that times 0 they are 0."""
    limits = np.finfo(x.dtype)
    return np.clip(x, limits.min, limits.max, out=empty_like(x))
