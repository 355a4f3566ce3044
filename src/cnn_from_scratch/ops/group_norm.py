"""Group normalization: every group of channels of every image to mean 0 and variance 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .channel_sums import product_sums
from .dtypes import float_op
from .memory import empty_like
from .normalization import check_affine, scale_and_add, standardize, standardize_backward
from .utils import check_shape


class GroupNormCache(NamedTuple):
    """What `group_norm_backward` needs."""

    xhat: Array  # (N, C, ...)  x with mean 0 and variance 1
    inv_std: Array  # (N, G, C/G, 1, ...)  1 / sqrt(variance + eps), the same for the channels of a group
    weight: Array | None  # (C,)         borrowed, never written
    has_bias: bool
    num_groups: int


@float_op("x", "weight", "bias")
def group_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, *, num_groups: int, eps: float = 1e-5
) -> tuple[Array, GroupNormCache]:
    """y = (x - mean) / sqrt(variance + eps) * weight[c] + bias[c], mean and variance over each group of channels

    One group is layer normalization over (C, H, W) with one weight for each channel; as many groups as channels is
    instance normalization.

    Parameters
    ----------
    x : (N, C, ...)
        Images.
    weight, bias : (C,) or None
        Scale and offset; None for 1 and 0.
    num_groups : int
        Must divide C. Channels of one group stand next to each other.
    eps : float
        Keeps the root away from 0; at least 0.

    Returns
    -------
    y : shape of x
        In the memory order of x.
    cache : GroupNormCache

    Raises
    ------
    ShapeError
        If the groups do not divide the channels, or weight or bias have not one value per channel.
    ValueError
        If eps is negative.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Wu, He: Group Normalization (2018), equations 1 to 7. https://arxiv.org/abs/1803.08494

    Examples
    --------
    Two groups of two channels of one pixel: means 2 and 6, variances 1 and 4.

    >>> x = np.array([1.0, 3.0, 4.0, 8.0]).reshape(1, 4, 1, 1)
    >>> y, cache = group_norm_forward(x, None, None, num_groups=2, eps=0.0)
    >>> y.ravel()
    array([-1.,  1., -1.,  1.])
    """
    _check_groups(x, num_groups)
    check_affine("group_norm_forward", weight, bias, x.shape[1:2], eps)
    groups = _in_groups(x, num_groups)  # (N, G, C/G, ...)
    xhat = empty_like(x)
    inv_std = standardize(groups, tuple(range(2, groups.ndim)), eps, out=_in_groups(xhat, num_groups))
    y = scale_and_add(xhat, _per_channel(weight, x), _per_channel(bias, x))
    return y, GroupNormCache(xhat, inv_std, weight, bias is not None, num_groups)


@float_op("dy")
def group_norm_backward(dy: Array, cache: GroupNormCache) -> tuple[Array, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `group_norm_forward` was given.

    With means over each group and sums over everything but the channels::

        dbias   = sum(dy)
        dweight = sum(dy * xhat)
        dx      = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(variance + eps)    where g = dy * weight

    Parameters
    ----------
    dy : shape of y
        Gradient that arrives from above.
    cache : GroupNormCache
        From `group_norm_forward`; it is not changed.

    Returns
    -------
    dx : shape of x
        In the memory order of x.
    dweight, dbias : (C,) or None
        None where there was no weight or bias.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> x = np.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    >>> y, cache = group_norm_forward(x, np.ones(2), np.zeros(2), num_groups=1, eps=0.0)  # xhat is -1, 1
    >>> dx, dweight, dbias = group_norm_backward(np.array([5.0, 7.0]).reshape(1, 2, 1, 1), cache)
    >>> dx.ravel(), dweight, dbias
    (array([0., 0.]), array([-5.,  7.]), array([5., 7.]))
    """
    xhat, weight, G = cache.xhat, cache.weight, cache.num_groups
    check_shape("group_norm_backward", "dy", dy, xhat.shape)
    sums = product_sums(dy, xhat, np.zeros(xhat.shape[1]))
    dbias = sums.total.astype(dy.dtype) if cache.has_bias else None
    dweight = sums.products.astype(dy.dtype) if weight is not None else None
    g = _in_groups(scale_and_add(dy, _per_channel(weight, dy), None), G)  # (N, G, C/G, ...)
    dx = empty_like(xhat)
    standardize_backward(g, _in_groups(xhat, G), cache.inv_std, tuple(range(2, g.ndim)), out=_in_groups(dx, G))
    return dx, dweight, dbias


def _in_groups(x: Array, num_groups: int) -> Array:
    """View (N, C, ...) as (N, G, C/G, ...); splitting an axis never copies."""
    N, C, *lengths = x.shape
    return x.reshape(N, num_groups, C // num_groups, *lengths)


def _per_channel(vector: Array | None, x: Array) -> Array | None:
    """(C,) as (C, 1, ...), to meet (N, C, ...)."""
    return None if vector is None else vector.reshape(-1, *[1] * (x.ndim - 2))


def _check_groups(x: Array, num_groups: int) -> None:
    if x.ndim < 2:
        raise ShapeError(f"group_norm_forward: x must have at least 2 axes (N, C, ...), got shape {x.shape}")
    if isinstance(num_groups, bool) or not isinstance(num_groups, int | np.integer) or num_groups < 1:
        raise ShapeError(f"group_norm_forward: num_groups must be an int >= 1, got {num_groups!r}")
    if x.shape[1] % num_groups:
        raise ShapeError(f"group_norm_forward: num_groups={num_groups} must divide C={x.shape[1]}; got x {x.shape}")
