"""The sigmoid and its relatives: sigmoid, tanh, softplus (its integral) and SiLU (x times it), beside their gradients.

All take x of any shape, keep its memory order, and are exact at +-inf without a warning. float16 computes in float32
and comes back float16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array
from .checks import check_number
from .dtypes import float_op
from .memory import empty_like
from .rectify import rectify
from .utils import check_shape


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)) as a new array; where exp(-x) overflows to inf, 1 / (1 + inf) = 0 is the right answer.

    Examples
    --------
    >>> logistic(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    y = np.negative(x, out=empty_like(x))
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


# --- sigmoid --------------------------------------------------------------------------------------------------------


class SigmoidCache(NamedTuple):
    """What `sigmoid_backward` needs: the result alone."""

    y: Array  # borrowed, never written


@float_op("x")
def sigmoid_forward(x: Array) -> tuple[Array, SigmoidCache]:
    """y = 1 / (1 + exp(-x))

    Raises
    ------
    TypeError
        If x is not an array of floats (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> y, cache = sigmoid_forward(np.log([0.25, 1.0, 4.0]))
    >>> y
    array([0.2, 0.5, 0.8])
    """
    y = logistic(x)
    return y, SigmoidCache(y)


@float_op("dy")
def sigmoid_backward(dy: Array, cache: SigmoidCache) -> Array:
    """dx = dy * y * (1 - y)

    Examples
    --------
    >>> y, cache = sigmoid_forward(np.zeros(1))
    >>> sigmoid_backward(np.array([4.0]), cache)
    array([1.])
    """
    y = cache.y
    check_shape("sigmoid_backward", "dy", dy, y.shape)
    dx = np.subtract(1, y, out=empty_like(y))
    dx *= y
    dx *= dy
    return dx


# --- tanh -----------------------------------------------------------------------------------------------------------


class TanhCache(NamedTuple):
    """What `tanh_backward` needs: the result alone."""

    y: Array  # borrowed, never written


@float_op("x")
def tanh_forward(x: Array) -> tuple[Array, TanhCache]:
    """y = tanh(x) = 2 * sigmoid(2 * x) - 1

    Raises
    ------
    TypeError
        If x is not an array of floats (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> y, cache = tanh_forward(np.log([1.0, 2.0, 3.0]))
    >>> y
    array([0. , 0.6, 0.8])
    """
    y = np.tanh(x, out=empty_like(x))
    return y, TanhCache(y)


@float_op("dy")
def tanh_backward(dy: Array, cache: TanhCache) -> Array:
    """dx = dy * (1 - y*y)

    Examples
    --------
    >>> y, cache = tanh_forward(np.zeros(1))
    >>> tanh_backward(np.array([4.0]), cache)
    array([4.])
    """
    y = cache.y
    check_shape("tanh_backward", "dy", dy, y.shape)
    dx = np.multiply(y, y, out=empty_like(y))
    np.subtract(1, dx, out=dx)
    dx *= dy
    return dx


# --- softplus -------------------------------------------------------------------------------------------------------


class SoftplusCache(NamedTuple):
    """What `softplus_backward` needs."""

    x: Array  # borrowed, never written
    beta: float
    threshold: float


@float_op("x")
def softplus_forward(x: Array, *, beta: float = 1.0, threshold: float = 20.0) -> tuple[Array, SoftplusCache]:
    """y = log(1 + exp(beta*x)) / beta, and x itself where beta*x > threshold

    Computed as (max(z, 0) + log1p(exp(-|z|))) / beta with z = beta*x, which cannot overflow.

    Parameters
    ----------
    x : array of any shape
    beta : float
        Sharpness of the bend at zero, above 0.
    threshold : float
        Where the curve is taken for a straight line, as PyTorch does.

    Raises
    ------
    ValueError
        If beta is not above 0 and finite.
    TypeError
        If x is not of floats, or beta or threshold is no number.

    Examples
    --------
    log(1 + 1) = 0.693...

    >>> y, cache = softplus_forward(np.array([-1e4, 0.0, 1e4]))
    >>> y
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    check_number("softplus_forward", "beta", beta)
    check_number("softplus_forward", "threshold", threshold, finite=False)
    if not beta > 0:
        raise ValueError(f"softplus_forward: beta must be above 0, got {beta!r}")
    z = _scaled(x, beta)
    y = np.abs(z, out=empty_like(x))
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    far = np.greater(z, threshold, out=empty_like(z, bool))
    y += rectify(z, out=z)
    y /= beta
    if far.any():  # to pick numbers one by one takes longer than all the rest
        np.copyto(y, x, where=far)
    return y, SoftplusCache(x, beta, threshold)


@float_op("dy")
def softplus_backward(dy: Array, cache: SoftplusCache) -> Array:
    """dx = dy * sigmoid(beta*x), and dy itself where beta*x > threshold

    Examples
    --------
    >>> y, cache = softplus_forward(np.array([-1e4, 0.0, 1e4]))
    >>> softplus_backward(np.array([2.0, 2.0, 2.0]), cache)
    array([0., 1., 2.])
    """
    x, beta, threshold = cache
    check_shape("softplus_backward", "dy", dy, x.shape)
    z = _scaled(x, beta)
    dx = logistic(z)
    dx *= dy
    far = np.greater(z, threshold, out=empty_like(z, bool))
    if far.any():
        np.copyto(dx, dy, where=far)
    return dx


def _scaled(x: Array, beta: float) -> Array:
    """beta*x; where that is infinite, the curve is as straight as far out as the largest number."""
    with np.errstate(over="ignore"):
        z: Array = np.multiply(x, beta, out=empty_like(x))
    return z


# --- SiLU -----------------------------------------------------------------------------------------------------------


class SiluCache(NamedTuple):
    """What `silu_backward` needs."""

    x: Array  # borrowed, never written


@float_op("x")
def silu_forward(x: Array) -> tuple[Array, SiluCache]:
    """y = x * sigmoid(x), also called swish; 0 at x = -inf, its limit

    Raises
    ------
    TypeError
        If x is not an array of floats (float16 computes in float32 and comes back float16).

    References
    ----------
    Elfwing, Uchibe, Doya: Sigmoid-Weighted Linear Units for Neural Network Function Approximation (2018).
    https://arxiv.org/abs/1702.03118

    Examples
    --------
    1 * 0.731 = 0.731, and -1 * 0.269 = -0.269

    >>> y, cache = silu_forward(np.array([-1.0, 0.0, 1.0]))
    >>> y.round(3)
    array([-0.269,  0.   ,  0.731])
    """
    y = logistic(x)
    y *= np.maximum(x, np.finfo(x.dtype).min, out=empty_like(x))  # a finite number times 0, where -inf * 0 were NaN
    return y, SiluCache(x)


@float_op("dy")
def silu_backward(dy: Array, cache: SiluCache) -> Array:
    """dx = dy * s * (1 + x * (1 - s)) with s = sigmoid(x)

    Examples
    --------
    >>> y, cache = silu_forward(np.zeros(1))
    >>> silu_backward(np.array([4.0]), cache)
    array([2.])
    """
    x = cache.x
    check_shape("silu_backward", "dy", dy, x.shape)
    s = logistic(x)
    dx = np.subtract(1, s, out=empty_like(x))
    dx *= np.clip(x, np.finfo(x.dtype).min, np.finfo(x.dtype).max, out=empty_like(x))
    dx += 1
    dx *= s
    dx *= dy
    return dx
