"""Batch normalization: every channel of the batch to mean 0 and variance 1, then to a scale and offset it learns."""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .batch_statistics import BatchNormCache as BatchNormCache
from .batch_statistics import check_batch, check_settings, combine_terms, gradient_terms, normalization, normalize
from .channel_sums import product_sums, square_sums
from .dtypes import float_op
from .group import Group
from .utils import check_shape, empty_nchw


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
        Keeps the root away from 0; at least 0. A constant channel without it is NaN.
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

    >>> import numpy as np
    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> y, cache = batch_norm_forward(x, None, None, np.zeros(1), np.ones(1), train=True, momentum=0.5, eps=0.0)
    >>> y.ravel().round(4), cache.running_mean, cache.running_var
    (array([-1.2247,  0.    ,  1.2247]), array([1.5]), array([2.5]))
    """
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    check_batch("batch_norm_forward", x)
    check_settings("batch_norm_forward", x.shape[1], vectors, momentum, eps)
    sums = square_sums(x) if train else None
    cache = normalization(
        "batch_norm_forward", x, sums, weight, bias, running_mean, running_var, momentum=momentum, eps=eps, group=group
    )
    return normalize(cache, bias), cache


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

    >>> import numpy as np
    >>> y, cache = batch_norm_forward(np.array([[1.0], [3.0]]), None, np.zeros(1), None, None, train=True, eps=0.0)
    >>> dx, dweight, dbias = batch_norm_backward(np.array([[1.0], [0.0]]), cache)
    >>> dx.ravel(), dweight, dbias
    (array([0., 0.]), None, array([1.]))
    """
    check_shape("batch_norm_backward", "dy", dy, cache.x.shape)
    dx = empty_nchw(dy.shape, dy.dtype, like=cache.x)
    with np.errstate(over="ignore", invalid="ignore"):
        terms, dweight, dbias = gradient_terms(product_sums(dy, cache.x, cache.shift), cache)
        combine_terms(dy, cache, terms, out=dx)
    return dx, dweight, dbias
