"""Softmax and its logarithm: scores become probabilities along one axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .dtypes import float_op
from .memory import empty_like
from .utils import check_shape


class SoftmaxCache(NamedTuple):
    """What `softmax_backward` needs: the probabilities."""

    y: Array  # borrowed, never written
    axis: int


@float_op("x")
def softmax_forward(x: Array, *, axis: int = -1) -> tuple[Array, SoftmaxCache]:
    """y[k] = exp(x[k]) / sum_j exp(x[j]) along `axis`

    The maximum is subtracted first, which changes nothing in the quotient and keeps exp from overflowing.

    Parameters
    ----------
    x : array of at least one axis
        float16 computes in float32 and comes back float16.
    axis : int
        Where the classes are: -1 for scores (N, K), 1 for a map of scores (N, K, H, W).

    Returns
    -------
    y : the shape of x
        At least 0, with sum 1 along the axis.
    cache : SoftmaxCache

    Raises
    ------
    ShapeError
        If x has no such axis, or it is empty.

    Examples
    --------
    >>> y, cache = softmax_forward(np.log([[1.0, 2.0, 5.0]]))
    >>> y
    array([[0.125, 0.25 , 0.625]])
    """
    _check_axis("softmax_forward", x, axis)
    y = _below_maximum(x, axis)
    np.exp(y, out=y)
    y /= y.sum(axis, keepdims=True)
    return y, SoftmaxCache(y, axis)


@float_op("dy")
def softmax_backward(dy: Array, cache: SoftmaxCache) -> Array:
    """dx[k] = y[k] * (dy[k] - sum_j dy[j] * y[j])

    Examples
    --------
    The mean of dy under y = (1/8, 1/4, 5/8) is 0.125 * 8 = 1.

    >>> y, cache = softmax_forward(np.log([[1.0, 2.0, 5.0]]))
    >>> softmax_backward(np.array([[8.0, 0.0, 0.0]]), cache)
    array([[ 0.875, -0.25 , -0.625]])
    """
    y, axis = cache
    check_shape("softmax_backward", "dy", dy, y.shape)
    dx = np.multiply(dy, y, out=empty_like(y))
    mean = dx.sum(axis, keepdims=True)
    np.subtract(dy, mean, out=dx)
    dx *= y
    return dx


class LogSoftmaxCache(NamedTuple):
    """What `log_softmax_backward` needs: the logarithms of the probabilities."""

    y: Array  # borrowed, never written
    axis: int


@float_op("x")
def log_softmax_forward(x: Array, *, axis: int = -1) -> tuple[Array, LogSoftmaxCache]:
    """y[k] = x[k] - log(sum_j exp(x[j])) along `axis`

    Exact where softmax itself rounds to 0 and its logarithm were -inf; -inf where x lies so far below the largest that
    the dtype cannot say how far. A row with +inf or NaN, and one of -inf alone, is NaN.

    Parameters
    ----------
    x : array of at least one axis
        float16 computes in float32 and comes back float16.
    axis : int
        Where the classes are: -1 for scores (N, K), 1 for a map of scores (N, K, H, W).

    Raises
    ------
    ShapeError
        If x has no such axis, or it is empty.

    Examples
    --------
    >>> y, cache = log_softmax_forward(np.array([[0.0, 1e4]]))
    >>> y
    array([[-10000.,      0.]])
    """
    _check_axis("log_softmax_forward", x, axis)
    y = _below_maximum(x, axis)
    y -= np.log(np.exp(y, out=empty_like(y)).sum(axis, keepdims=True))
    return y, LogSoftmaxCache(y, axis)


@float_op("dy")
def log_softmax_backward(dy: Array, cache: LogSoftmaxCache) -> Array:
    """dx[k] = dy[k] - softmax(x)[k] * sum_j dy[j]

    Examples
    --------
    >>> y, cache = log_softmax_forward(np.log([[1.0, 2.0, 5.0]]))
    >>> log_softmax_backward(np.array([[8.0, 0.0, 0.0]]), cache)
    array([[ 7., -2., -5.]])
    """
    y, axis = cache
    check_shape("log_softmax_backward", "dy", dy, y.shape)
    dx = np.exp(y, out=empty_like(y))
    dx *= dy.sum(axis, keepdims=True)
    return np.subtract(dy, dx, out=dx)


def _below_maximum(x: Array, axis: int) -> Array:
    """x - max(x) as a new array; a row of -inf, or one with +inf, becomes NaN, and quietly so.

    So does a difference beyond the dtype become -inf, whose exponential is 0, as that of the difference would be.
    """
    largest = x.max(axis, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        y: Array = np.subtract(x, largest, out=empty_like(x))
    return y


def _check_axis(function: str, x: Array, axis: int) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise TypeError(f"{function}: axis must be an int, got {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{function}: axis must be in [{-x.ndim}, {x.ndim}) for x {tuple(x.shape)}, got {axis}")
    if x.shape[axis] == 0:
        raise ShapeError(f"{function}: axis {axis} of x {tuple(x.shape)} is empty, so there is nothing to choose from")
