"""Batch normalization: every channel of the batch to mean 0 and variance 1, then to a scale and offset it learns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .channels import affine_channels, channel_moments, channel_products, combine_channels, far_means
from .dtypes import float_op
from .group import Group, group_sum
from .utils import check_shape


class BatchNormCache(NamedTuple):
    """What `batch_norm_backward` needs, and the new running statistics, for the caller to keep."""

    x: Array  # (N, C, ...)  borrowed, never written
    weight: Array | None  # (C,)         borrowed, never written
    has_bias: bool
    mean: Array  # (C,) float64: the batch's in training, the running one in evaluation
    inv_std: Array  # (C,) float64: 1 / sqrt(variance + eps), likewise
    n: float  # values per channel in the whole batch; 0 in evaluation, where none are counted
    running_mean: Array | None  # (C,) new; None in evaluation, or where there was none
    running_var: Array | None  # (C,) new, likewise
    group: Group | None


@float_op("x", "weight", "bias")
def batch_norm_forward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    train: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    group: Group | None = None,
) -> tuple[Array, BatchNormCache]:
    """y[n, c, ...] = (x[n, c, ...] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c]

    In training, mean and variance are those of the batch, over everything but the channels, and the running
    statistics follow them; in evaluation they are the running ones. The variance divides by the number of values
    where it normalizes, and by one less where it is kept in `running_var`, as in PyTorch.

    Nothing is written: the new running statistics are in the cache, for the caller to commit once the step succeeded::

        running = (1 - momentum) * running + momentum * batch

    Parameters
    ----------
    x : (N, C) or (N, C, L) or (N, C, H, W) ...
        A batch.
    weight, bias : (C,) or None
        Scale and offset; None for 1 and 0.
    running_mean, running_var : (C,) or None
        Of any float dtype. May be None in training: then none are kept.
    train : bool
        Statistics of the batch, or the running ones.
    momentum : float
        Share of the new batch in the running statistics, between 0 and 1.
    eps : float
        Keeps the root away from 0; at least 0.
    group : Group or None
        The shards whose batch this is a part of (possibly an empty one): statistics are those of all of them.

    Returns
    -------
    y : shape of x
        In the memory order of x.
    cache : BatchNormCache

    Raises
    ------
    ShapeError
        If the vectors do not have one value per channel.
    ValueError
        If training has only one value per channel, evaluation no running statistics, or a number is out of range.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Ioffe, Szegedy: Batch Normalization (2015), algorithms 1 and 2. https://arxiv.org/abs/1502.03167

    Examples
    --------
    Mean 3 and variance (4 + 0 + 4) / 3 give +-2 / sqrt(8/3) = +-1.2247; the running variance moves towards 8 / 2.

    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> y, cache = batch_norm_forward(x, None, None, np.zeros(1), np.ones(1), train=True, momentum=0.5, eps=0.0)
    >>> y.ravel().round(4), cache.running_mean, cache.running_var
    (array([-1.2247,  0.    ,  1.2247]), array([1.5]), array([2.5]))
    """
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    _check_arguments(x, vectors, momentum, eps)
    if train:
        mean, var, n = channel_moments(x, group)
        new_mean = _follow(running_mean, mean, momentum, n)
        new_var = _follow(running_var, _unbiased(var, n, x), momentum, n)
    else:
        mean, var, n = *_as_they_are(running_mean, running_var), 0.0
        new_mean = new_var = None
    inv_std = 1 / np.sqrt(var + eps)

    scale = inv_std if weight is None else inv_std * weight
    shift = far_means(mean, inv_std, x.dtype)
    offset = (shift - mean) * scale + (0 if bias is None else bias)
    y = affine_channels(x, shift, scale, offset, like=x)  # (x - shift)*scale + offset
    return y, BatchNormCache(x, weight, bias is not None, mean, inv_std, n, new_mean, new_var, group)


@float_op("dy")
def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `batch_norm_forward` was given.

    With xhat = (x - mean) / sqrt(variance + eps), per channel::

        dbias   = sum(dy)
        dweight = sum(dy * xhat)
        dx      = weight / sqrt(variance + eps) * (dy - dbias / n - xhat * dweight / n)

    The two subtracted terms are what reaches x through the mean and through the variance of the batch; they are
    absent in evaluation. With x - mean in place of xhat, dx = A*dy + B*(x - mean) + D with one A, B and D per channel.

    Parameters
    ----------
    dy : shape of y
        Gradient that arrives from above.
    cache : BatchNormCache
        From `batch_norm_forward`; it is not changed.

    Returns
    -------
    dx : shape of x
        In the memory order of x.
    dweight, dbias : (C,) or None
        None where there was no weight or bias. The sums of this shard alone: the caller adds the shards' gradients.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    The mean takes from every row what one row is given; here the variance takes the rest.

    >>> y, cache = batch_norm_forward(np.array([[1.0], [3.0]]), None, np.zeros(1), None, None, train=True, eps=0.0)
    >>> dx, dweight, dbias = batch_norm_backward(np.array([[1.0], [0.0]]), cache)
    >>> dx.ravel(), dweight, dbias
    (array([0., 0.]), None, array([1.]))
    """
    x, weight, mean, inv_std, n = cache.x, cache.weight, cache.mean, cache.inv_std, cache.n
    check_shape("batch_norm_backward", "dy", dy, x.shape)
    shift = far_means(mean, inv_std, x.dtype)
    sum_dy, sum_dy_x = channel_products(dy, x, shift)
    sum_dy_x -= (mean - shift) * sum_dy  # sum(dy * (x - mean)), of this shard
    dbias = sum_dy.astype(x.dtype) if cache.has_bias else None
    dweight = (sum_dy_x * inv_std).astype(x.dtype) if weight is not None else None

    A = inv_std if weight is None else inv_std * weight
    if not n:  # evaluation: mean and variance do not depend on x
        nothing = np.zeros_like(mean)
        return affine_channels(dy, nothing, A, nothing, like=x), dweight, dbias
    sum_dy, sum_dy_x = group_sum(cache.group, [sum_dy, sum_dy_x])
    B = -A * inv_std**2 * sum_dy_x / n
    D = -A * sum_dy / n + (shift - mean) * B
    return combine_channels(dy, x, shift, A, B, D), dweight, dbias


# --- running statistics ---------------------------------------------------------------------------------------------


def _unbiased(var: Array, n: float, x: Array) -> Array:
    """The variance that divides by n - 1; an empty batch has none."""
    if n == 1:
        raise ValueError(f"batch_norm_forward: training needs more than one value per channel, got x {x.shape}")
    return var * (n / max(n - 1, 1))


def _follow(running: Array | None, batch: Array, momentum: float, n: float) -> Array | None:
    """(1 - momentum) * running + momentum * batch, as a new array; an empty batch changes nothing."""
    if running is None:
        return None
    share = momentum if n else 0.0
    return ((1 - share) * running.astype(np.float64) + share * batch).astype(running.dtype.newbyteorder("="))


def _as_they_are(running_mean: Array | None, running_var: Array | None) -> tuple[Array, Array]:
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm_forward: evaluation needs running_mean and running_var, got None")
    return running_mean.astype(np.float64), running_var.astype(np.float64)


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_arguments(x: Array, vectors: dict[str, Array | None], momentum: float, eps: float) -> None:
    if x.ndim < 2:
        raise ShapeError(f"batch_norm_forward: x must have at least 2 axes (N, C, ...), got shape {x.shape}")
    for name, vector in vectors.items():
        if vector is None:
            continue
        if not isinstance(vector, np.ndarray) or vector.dtype.kind != "f":
            given = getattr(vector, "dtype", type(vector).__name__)
            raise TypeError(f"batch_norm_forward: {name} must be a NumPy array of floats, got {given}")
        check_shape("batch_norm_forward", name, vector, (x.shape[1],))
    if not 0 <= momentum <= 1:
        raise ValueError(f"batch_norm_forward: momentum must be between 0 and 1, got {momentum!r}")
    if not eps >= 0:
        raise ValueError(f"batch_norm_forward: eps must be at least 0, got {eps!r}")
