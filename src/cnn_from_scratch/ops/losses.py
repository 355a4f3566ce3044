"""Losses of a difference, number by number: squared, absolute and Huber error.

All take a prediction and a target of one shape, and a `reduction`: "mean", "sum" or "none" (one loss for each
number). The target may have any real dtype and is taken in the prediction's. A mean over nothing is a ValueError, a
sum over nothing is 0. The loss is a scalar of the prediction's dtype, and the gradient that of the prediction alone.
float16 computes in float32 and comes back float16: infinite where the loss is beyond 65504.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import Array, Reduction
from .checks import check_number
from .dtypes import require_cache
from .loss_reduction import chain, float_loss, reduce_losses, target_like, upstream

# --- squared error --------------------------------------------------------------------------------------------------


class MseCache(NamedTuple):
    """What `mse_backward` needs."""

    difference: Array  # prediction - target
    divisor: float
    reduction: Reduction
    dtype: np.dtype[Any]


@float_loss("prediction")
def mse_forward(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> tuple[Any, MseCache]:
    """loss = mean of (prediction - target)^2

    Raises
    ------
    ShapeError
        If the shapes differ.
    ValueError
        If the reduction is unknown, or a mean over nothing.
    TypeError
        If prediction is not of floats, or target not of real numbers.

    Examples
    --------
    (1^2 + 3^2) / 2 = 5

    >>> loss, cache = mse_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> loss, cache.divisor
    (np.float64(5.0), 2.0)
    """
    difference = _subtract("mse_forward", prediction, target)
    divisor = float(difference.size)
    loss = reduce_losses("mse_forward", np.square(difference), reduction, divisor)
    return loss, MseCache(difference, divisor, reduction, difference.dtype)


def mse_backward(cache: MseCache, dloss: npt.ArrayLike = 1.0) -> Array:
    """dprediction = 2 * (prediction - target) * dloss / divisor; without the divisor unless the loss is a mean

    Examples
    --------
    >>> loss, cache = mse_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> mse_backward(cache)
    array([ 1., -3.])
    """
    require_cache("mse_backward", cache, MseCache)
    d = cache.difference
    return chain(2 * d, upstream("mse_backward", cache, dloss, d.shape), cache.dtype)


# --- absolute error -------------------------------------------------------------------------------------------------


class L1Cache(NamedTuple):
    """What `l1_backward` needs."""

    difference: Array  # prediction - target
    divisor: float
    reduction: Reduction
    dtype: np.dtype[Any]


@float_loss("prediction")
def l1_forward(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> tuple[Any, L1Cache]:
    """loss = mean of |prediction - target|

    Raises
    ------
    ShapeError, ValueError, TypeError
        As `mse_forward` does.

    Examples
    --------
    (1 + 3) / 2 = 2

    >>> loss, cache = l1_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> loss
    np.float64(2.0)
    """
    difference = _subtract("l1_forward", prediction, target)
    divisor = float(difference.size)
    loss = reduce_losses("l1_forward", np.abs(difference), reduction, divisor)
    return loss, L1Cache(difference, divisor, reduction, difference.dtype)


def l1_backward(cache: L1Cache, dloss: npt.ArrayLike = 1.0) -> Array:
    """dprediction = sign(prediction - target) * dloss / divisor; 0 where they are equal, as in PyTorch

    Examples
    --------
    >>> loss, cache = l1_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> l1_backward(cache)
    array([ 0.5, -0.5])
    """
    require_cache("l1_backward", cache, L1Cache)
    d = cache.difference
    return chain(np.sign(d), upstream("l1_backward", cache, dloss, d.shape), cache.dtype)


# --- Huber ----------------------------------------------------------------------------------------------------------


class HuberCache(NamedTuple):
    """What `huber_backward` needs."""

    difference: Array  # prediction - target
    delta: float
    divisor: float
    reduction: Reduction
    dtype: np.dtype[Any]


@float_loss("prediction")
def huber_forward(
    prediction: Array, target: Array, *, reduction: Reduction = "mean", delta: float = 1.0
) -> tuple[Any, HuberCache]:
    """loss = mean of d*d/2 where |d| <= delta, else delta * (|d| - delta/2), with d = prediction - target

    A parabola that goes on as its tangents, so that a few wrong targets do not rule the rest. Computed as
    a * (|d| - a/2) with a = min(|d|, delta).

    Raises
    ------
    ValueError
        If delta is not above 0, and as `mse_forward` does.
    ShapeError, TypeError
        As `mse_forward` does.

    References
    ----------
    Huber: Robust Estimation of a Location Parameter (1964).

    Examples
    --------
    (1*1/2 + 1 * (3 - 1/2)) / 2 = 1.5

    >>> loss, cache = huber_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> loss
    np.float64(1.5)
    """
    check_number("huber_forward", "delta", delta, finite=False)
    if not delta > 0:
        raise ValueError(f"huber_forward: delta must be above 0, got {delta!r}")
    delta = float(delta)
    difference = _subtract("huber_forward", prediction, target)
    divisor = float(difference.size)
    size = np.abs(difference)
    bent = np.minimum(size, delta)
    loss = reduce_losses("huber_forward", bent * (size - 0.5 * bent), reduction, divisor)
    return loss, HuberCache(difference, delta, divisor, reduction, difference.dtype)


def huber_backward(cache: HuberCache, dloss: npt.ArrayLike = 1.0) -> Array:
    """dprediction = clip(prediction - target, -delta, delta) * dloss / divisor

    Examples
    --------
    >>> loss, cache = huber_forward(np.array([1.0, 2.0]), np.array([0.0, 5.0]))
    >>> huber_backward(cache)
    array([ 0.5, -0.5])
    """
    require_cache("huber_backward", cache, HuberCache)
    d, delta = cache.difference, cache.delta
    return chain(np.clip(d, -delta, delta), upstream("huber_backward", cache, dloss, d.shape), cache.dtype)


def _subtract(function: str, prediction: Array, target: Array) -> Array:
    """prediction - target, in the memory order of prediction."""
    return np.subtract(prediction, target_like(function, prediction, target), out=np.empty_like(prediction))
