"""Rectifiers: straight above zero, bent below. ReLU, leaky ReLU, PReLU and ELU, each beside its gradient.

All take x of any shape and keep its memory order. They choose between two branches by arithmetic, as in
max(x, 0) + slope * min(x, 0): picking numbers one by one, as `np.where` does, takes four times as long.
The activations without a kink are in sigmoid.py and gelu.py. float16 computes in float32 and comes back float16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .checks import check_number
from .dtypes import float_op
from .memory import empty_like
from .rectify import keep_below, pass_where_positive, rectify
from .runs import bits
from .utils import check_shape

# --- ReLU -----------------------------------------------------------------------------------------------------------


class ReluCache(NamedTuple):
    """What `relu_backward` needs: only the result, which the next operation keeps anyway."""

    y: Array  # borrowed, never written


@float_op("x")
def relu_forward(x: Array) -> tuple[Array, ReluCache]:
    """y = max(x, 0), and NaN stays NaN

    Raises
    ------
    TypeError
        If x is not an array of floats (float16 computes in float32 and comes back float16).

    References
    ----------
    Nair, Hinton: Rectified Linear Units Improve Restricted Boltzmann Machines (2010).

    Examples
    --------
    >>> y, cache = relu_forward(np.array([-2.0, 0.0, 3.0]))
    >>> y
    array([0., 0., 3.])
    """
    y = rectify(x, out=empty_like(x))
    return y, ReluCache(y)


@float_op("dy")
def relu_backward(dy: Array, cache: ReluCache) -> Array:
    """dx = dy where x > 0, else 0; at the kink x = 0 it is 0, as in PyTorch

    Examples
    --------
    >>> y, cache = relu_forward(np.array([-2.0, 0.0, 3.0]))
    >>> relu_backward(np.array([5.0, 5.0, 5.0]), cache)
    array([0., 0., 5.])
    """
    check_shape("relu_backward", "dy", dy, cache.y.shape)
    return pass_where_positive(dy, cache.y)


# --- leaky ReLU -----------------------------------------------------------------------------------------------------


class LeakyReluCache(NamedTuple):
    """What `leaky_relu_backward` needs."""

    x: Array  # borrowed, never written
    negative_slope: float


@float_op("x")
def leaky_relu_forward(x: Array, *, negative_slope: float = 0.01) -> tuple[Array, LeakyReluCache]:
    """y = max(x, 0) + negative_slope * min(x, 0)

    Raises
    ------
    TypeError
        If x is not of floats, or negative_slope is no number.
    ValueError
        If negative_slope is not finite.

    References
    ----------
    Maas, Hannun, Ng: Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).

    Examples
    --------
    >>> y, cache = leaky_relu_forward(np.array([-2.0, 0.0, 3.0]), negative_slope=0.5)
    >>> y
    array([-1.,  0.,  3.])
    """
    check_number("leaky_relu_forward", "negative_slope", negative_slope)
    y = keep_below(x, out=empty_like(x))
    y *= negative_slope
    y += rectify(x, out=empty_like(x))
    return y, LeakyReluCache(x, negative_slope)


@float_op("dy")
def leaky_relu_backward(dy: Array, cache: LeakyReluCache) -> Array:
    """dx = dy where x > 0, else negative_slope * dy

    Examples
    --------
    >>> y, cache = leaky_relu_forward(np.array([-2.0, 0.0, 3.0]), negative_slope=0.5)
    >>> leaky_relu_backward(np.array([4.0, 4.0, 4.0]), cache)
    array([2., 2., 4.])
    """
    check_shape("leaky_relu_backward", "dy", dy, cache.x.shape)
    dx, below = _split(dy, cache.x)
    below *= cache.negative_slope
    dx += below
    return dx


def _split(dy: Array, x: Array) -> tuple[Array, Array]:
    """The part of dy where x > 0 and the part where it is not, zero elsewhere; both lie as x does."""
    above, below, mask = empty_like(x), empty_like(x), empty_like(x, bool)
    # as integers, because infinity * 0 and infinity - infinity are NaN
    np.multiply(bits(dy), np.greater(x, 0, out=mask), out=bits(above))
    np.subtract(bits(dy), bits(above), out=bits(below))
    return above, below


# --- PReLU ----------------------------------------------------------------------------------------------------------


class PreluCache(NamedTuple):
    """What `prelu_backward` needs."""

    x: Array  # (N, C, ...)      borrowed, never written
    slope: Array  # (1,) or (C,)  borrowed, never written


@float_op("x", "slope")
def prelu_forward(x: Array, slope: Array) -> tuple[Array, PreluCache]:
    """y = max(x, 0) + slope[c] * min(x, 0): a leaky ReLU whose slope is learned

    Parameters
    ----------
    x : (N, C, ...) or any shape
    slope : (1,) or (C,)
        One slope for all, or one for each channel (axis 1 of x).

    Raises
    ------
    ShapeError
        If slope is neither.

    References
    ----------
    He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015), equation 1. https://arxiv.org/abs/1502.01852

    Examples
    --------
    >>> y, cache = prelu_forward(np.array([[-2.0, -2.0], [3.0, 3.0]]), np.array([0.5, 0.25]))
    >>> y
    array([[-1. , -0.5],
           [ 3. ,  3. ]])
    """
    y = keep_below(x, out=empty_like(x))
    y *= _along_channels(slope, x)
    y += rectify(x, out=empty_like(x))
    return y, PreluCache(x, slope)


@float_op("dy")
def prelu_backward(dy: Array, cache: PreluCache) -> tuple[Array, Array]:
    """dx = dy where x > 0, else slope[c] * dy;   dslope[c] = sum of dy * min(x, 0) over all axes but c

    Returns
    -------
    dx : the shape of x
    dslope : the shape of slope

    Examples
    --------
    >>> y, cache = prelu_forward(np.array([[-2.0, -2.0], [3.0, 3.0]]), np.array([0.5, 0.25]))
    >>> dx, dslope = prelu_backward(np.ones((2, 2)), cache)
    >>> dx
    array([[0.5 , 0.25],
           [1.  , 1.  ]])
    >>> dslope
    array([-2., -2.])
    """
    x, slope = cache
    check_shape("prelu_backward", "dy", dy, x.shape)
    dx, below = _split(dy, x)
    product = keep_below(x, out=empty_like(x))
    product *= below
    axes = None if slope.size == 1 else tuple(axis for axis in range(x.ndim) if axis != 1)
    dslope = np.asarray(product.sum(axes), x.dtype).reshape(slope.shape)
    below *= _along_channels(slope, x)
    dx += below
    return dx, dslope


def _along_channels(slope: Array, x: Array) -> Array:
    """`slope` shaped so that it broadcasts along axis 1 of `x`: (C, 1, ..., 1), or a single number."""
    if slope.size == 1 and slope.ndim <= 1:
        return slope.reshape(())
    if x.ndim < 2 or slope.shape != (x.shape[1],):
        channels = f" or ({x.shape[1]},)" if x.ndim > 1 else ""
        raise ShapeError(
            f"prelu_forward: slope must have shape (1,){channels} for x {tuple(x.shape)}, got {tuple(slope.shape)}"
        )
    return slope.reshape(-1, *(1,) * (x.ndim - 2))


# --- ELU ------------------------------------------------------------------------------------------------------------


class EluCache(NamedTuple):
    """What `elu_backward` needs."""

    x: Array  # borrowed, never written
    alpha: float


@float_op("x")
def elu_forward(x: Array, *, alpha: float = 1.0) -> tuple[Array, EluCache]:
    """y = x where x > 0, else alpha * (exp(x) - 1)

    Raises
    ------
    TypeError
        If x is not of floats, or alpha is no number.
    ValueError
        If alpha is not finite.

    References
    ----------
    Clevert, Unterthiner, Hochreiter: Fast and Accurate Deep Network Learning by Exponential Linear Units (2016).
    https://arxiv.org/abs/1511.07289

    Examples
    --------
    >>> y, cache = elu_forward(np.array([-np.log(2.0), 0.0, 3.0]))
    >>> y
    array([-0.5,  0. ,  3. ])
    """
    check_number("elu_forward", "alpha", alpha)
    y = keep_below(x, out=empty_like(x))
    np.expm1(y, out=y)
    y *= alpha
    y += rectify(x, out=empty_like(x))
    return y, EluCache(x, alpha)


@float_op("dy")
def elu_backward(dy: Array, cache: EluCache) -> Array:
    """dx = dy where x > 0, else dy * alpha * exp(x)

    Examples
    --------
    >>> y, cache = elu_forward(np.array([-np.log(2.0), 0.0, 3.0]))
    >>> elu_backward(np.array([4.0, 4.0, 4.0]), cache)
    array([2., 4., 4.])
    """
    x, alpha = cache
    check_shape("elu_backward", "dy", dy, x.shape)
    dx, below = _split(dy, x)
    slope = keep_below(x, out=empty_like(x))
    np.exp(slope, out=slope)
    slope *= alpha
    slope *= below
    dx += slope
    return dx
