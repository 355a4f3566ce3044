"""GELU: x times the probability that a standard normal number is below x; exact by erf, or nearly so by tanh."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from ..typing import Array
from .dtypes import float_op
from .erf import erf
from .memory import empty_like
from .sigmoid import logistic
from .utils import check_shape

Approximate: TypeAlias = Literal["none", "tanh"]
FAR = 50.0
"""Beyond +-FAR every Phi and phi below is 0 or 1 to the last bit, so x may be cut there: no overflow, no inf * 0."""
CUBIC = 0.044715


class GeluCache(NamedTuple):
    """What `gelu_backward` needs; Phi is computed again, which is cheaper than to keep it."""

    x: Array  # borrowed, never written
    approximate: Approximate


@float_op("x")
def gelu_forward(x: Array, *, approximate: Approximate = "none") -> tuple[Array, GeluCache]:
    """y = x * Phi(x) with Phi(x) = (1 + erf(x / sqrt(2))) / 2; 0 at x = -inf, its limit

    With ``approximate="tanh"`` Phi(x) = (1 + tanh(u)) / 2 = sigmoid(2*u) with u = sqrt(2/pi) * (x + 0.044715 * x^3).

    Parameters
    ----------
    x : array of any shape
        float16 computes in float32 and comes back float16.
    approximate : "none" or "tanh"

    Raises
    ------
    ValueError
        If approximate is neither.

    References
    ----------
    Hendrycks, Gimpel: Gaussian Error Linear Units (2016). https://arxiv.org/abs/1606.08415

    Examples
    --------
    A normal number is below 1 with probability 0.841, and below -1 with probability 0.159.

    >>> y, cache = gelu_forward(np.array([-1.0, 0.0, 1.0]))
    >>> y.round(3)
    array([-0.159,  0.   ,  0.841])
    """
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise ValueError(f"gelu_forward: approximate must be 'none' or 'tanh', got {approximate!r}")
    near = _cut(x)
    y = _phi_by_erf(near) if approximate == "none" else _phi_by_tanh(near)
    y *= np.maximum(x, -FAR, out=empty_like(x))
    return y, GeluCache(x, approximate)


@float_op("dy")
def gelu_backward(dy: Array, cache: GeluCache) -> Array:
    """dx = dy * (Phi(x) + x * phi(x)) with phi = Phi', the bell curve exp(-x*x/2) / sqrt(2*pi)

    Examples
    --------
    >>> y, cache = gelu_forward(np.zeros(1))
    >>> gelu_backward(np.array([4.0]), cache)
    array([2.])
    """
    check_shape("gelu_backward", "dy", dy, cache.x.shape)
    x = _cut(cache.x)
    if cache.approximate == "none":
        dx = _phi_by_erf(x)
        slope = np.multiply(x, x, out=empty_like(x))
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= 1 / math.sqrt(2 * math.pi)
    else:  # d sigmoid(2*u) / dx = 2 * s * (1 - s) * du/dx
        dx = _phi_by_tanh(x)
        slope = np.multiply(x, x, out=empty_like(x))
        slope *= 3 * CUBIC
        slope += 1
        slope *= 2 * math.sqrt(2 / math.pi)
        slope *= dx
        slope *= np.subtract(1, dx, out=empty_like(x))
    slope *= x
    dx += slope
    dx *= dy
    return dx


def _cut(x: Array) -> Array:
    return np.clip(x, -FAR, FAR, out=empty_like(x))


def _phi_by_erf(x: Array) -> Array:
    y = erf(np.multiply(x, math.sqrt(0.5), out=empty_like(x)))
    y += 1
    y *= 0.5
    return y


def _phi_by_tanh(x: Array) -> Array:
    """sigmoid(2*u), which keeps its digits where 1 + tanh(u) loses them."""
    twice_u = np.multiply(x, x, out=empty_like(x))
    twice_u *= CUBIC
    twice_u += 1
    twice_u *= x
    twice_u *= 2 * math.sqrt(2 / math.pi)
    return logistic(twice_u)
