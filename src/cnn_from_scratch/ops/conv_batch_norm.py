"""Convolution and the batch norm behind it in one go.

::

    apart       z = conv(x): written | read: sums of z | read: y = scale*z + offset, written
    together    z = conv(x), sums of each piece while it is hot, written | read: y = scale*z + offset, written

Forward, the sums of batch norm cost no trip to memory. Backward, the gradient of z is A*(dy + B*z + D) with one A, B
and D per channel. A is left out there, and put into the small weights instead: the convolution's gradients are linear
in the gradient of z, so that A*weight gives the same dx, and dweight is multiplied by A afterwards. With the ReLU,
forward and backward took 0.88 of the time of the three operations apart behind a first convolution (3 to 64 channels,
32x32), and 0.95 to 1.01 where a larger convolution takes most of the time.

A bias of the convolution moves the mean by as much as the numbers, and so disappears in training: it is never added.
Its gradient is 0 exactly, and only the running mean has to know of it.

With ReLU: conv_batch_norm_relu.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array, Padding, Pair
from .batch_statistics import (
    BatchNormCache,
    check_settings,
    combine_terms,
    gradient_terms,
    normalization,
    normalize,
)
from .channel_sums import ChannelSums, product_sums
from .conv_algorithms import Algorithm
from .conv_backward import convolve_backward
from .conv_forward import ConvCache, check_convolution, convolve
from .dtypes import float_op
from .group import Group
from .memory import empty_like
from .utils import check_shape, empty_nchw


class ConvBatchNormCache(NamedTuple):
    """What `conv_batch_norm_backward` needs; the new running statistics are in `norm`, for the caller to keep."""

    conv: ConvCache
    norm: BatchNormCache  # its x is z, the convolution without its bias

    @property
    def weight(self) -> Array:
        """Of the convolution."""
        return self.conv.weight


@float_op("x", "weight", "bias", "bn_weight", "bn_bias")
def conv_batch_norm_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    bn_weight: Array | None,
    bn_bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    train: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    group: Group | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    algorithm: Algorithm = "auto",
) -> tuple[Array, ConvBatchNormCache]:
    """y = batch_norm(conv(x))

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups, algorithm
        See `conv_forward`.
    bn_weight, bn_bias : (F,) or None
        The scale and offset of `batch_norm_forward`.
    running_mean, running_var, train, momentum, eps, group
        See `batch_norm_forward`.

    Returns
    -------
    y : (N, F, OH, OW)
        In the memory order of x.
    cache : ConvBatchNormCache

    Raises
    ------
    ShapeError, ValueError, TypeError
        As `conv_forward` and `batch_norm_forward` do.

    References
    ----------
    Ioffe, Szegedy: Batch Normalization (2015), section 3.2. https://arxiv.org/abs/1502.03167

    Examples
    --------
    A filter that doubles: z = 2, 6; mean 4 and spread 2 make it -1, 1. The bias of 5 shows in the running mean alone.

    >>> x, two = np.array([1.0, 3.0]).reshape(1, 1, 1, 2), np.full((1, 1, 1, 1), 2.0)
    >>> running = np.zeros(1), np.ones(1)
    >>> y, cache = conv_batch_norm_forward(
    ...     x, two, np.full(1, 5.0), None, None, *running, train=True, momentum=1, eps=0.0
    ... )
    >>> y.ravel(), cache.norm.running_mean
    (array([-1.,  1.]), array([9.]))
    """
    function = "conv_batch_norm_forward"
    geometry, name = check_convolution(function, x, weight, bias, stride, padding, dilation, groups, algorithm)
    conv = ConvCache(x, weight, geometry, groups, bias is not None, name)
    norm = normalized_convolution(
        function,
        conv,
        bias,
        bn_weight,
        bn_bias,
        running_mean,
        running_var,
        train=train,
        momentum=momentum,
        eps=eps,
        group=group,
    )
    return normalize(norm, bn_bias), ConvBatchNormCache(conv, norm)


@float_op("dy")
def conv_batch_norm_backward(
    dy: Array, cache: ConvBatchNormCache, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array | None, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `conv_batch_norm_forward` was given.

    With z = conv(x) and the terms of `batch_norm_backward`, dz = A*d where d = dy + B*z + D, and::

        dx      = conv_backward(d)    with A*weight in place of weight
        dweight = A * conv_backward(d)
        dbias   = 0 in training, A * sum(dy) in evaluation

    Parameters
    ----------
    dy : (N, F, OH, OW)
        Gradient that arrives from above.
    cache : ConvBatchNormCache
        From `conv_batch_norm_forward`; it is not changed.
    need_dx : bool
        False where nothing below learns: dx is None then, and its cost is saved.

    Returns
    -------
    dx : (N, C, H, W) or None
        In the memory order of x.
    dweight : (F, C/G, KH, KW)
    dbias, dbn_weight, dbn_bias : (F,) or None
        None where there was no such vector. All but dx are of this shard alone: the caller adds the shards' gradients.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    In evaluation with a spread of 0.5, A is 2: y = 2 * (3*x), and so dx = 2 * 3 * dy, dweight = 2 * sum(x * dy).

    >>> x, three, zero = np.array([1.0, 5.0]).reshape(1, 1, 1, 2), np.full((1, 1, 1, 1), 3.0), np.zeros(1)
    >>> running = zero, np.full(1, 0.25)
    >>> y, cache = conv_batch_norm_forward(x, three, zero, None, zero, *running, train=False, eps=0.0)
    >>> dx, dweight, dbias, _, dbn_bias = conv_batch_norm_backward(np.ones_like(y), cache)
    >>> dx.ravel(), dweight.ravel(), dbias, dbn_bias
    (array([6., 6.]), array([12.]), array([4.]), array([2.]))
    """
    norm = cache.norm
    check_shape("conv_batch_norm_backward", "dy", dy, norm.x.shape)
    sums = product_sums(dy, norm.x, norm.shift)
    d = empty_nchw(dy.shape, dy.dtype, like=norm.x)
    return gradients(dy, sums, cache.conv, norm, need_dx, room=d)


# --- shared with conv_batch_norm_relu.py -----------------------------------------------------------------------------


def normalized_convolution(
    function: str,
    conv: ConvCache,
    bias: Array | None,
    bn_weight: Array | None,
    bn_bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    train: bool,
    momentum: float,
    eps: float,
    group: Group | None,
) -> BatchNormCache:
    """z = conv(x) without bias, and all that batch norm needs to know of it."""
    x, weight, geometry, groups, _, algorithm = conv
    vectors = {"bn_weight": bn_weight, "bn_bias": bn_bias, "running_mean": running_mean, "running_var": running_var}
    check_settings(function, len(weight), vectors, momentum, eps)
    sums = ChannelSums(len(weight)) if train else None
    z = convolve(x, weight, geometry, groups, algorithm, None if sums is None else sums.add_images)
    mean = running_mean if bias is None or running_mean is None else np.asarray(running_mean, np.float64) - bias
    norm = normalization(
        function, z, sums, bn_weight, bn_bias, mean, running_var, momentum=momentum, eps=eps, group=group
    )
    if bias is None or running_mean is None or norm.running_mean is None:
        return norm
    return norm._replace(running_mean=(norm.running_mean + bias).astype(running_mean.dtype.newbyteorder("=")))


def gradients(
    dy: Array, sums: ChannelSums, conv: ConvCache, norm: BatchNormCache, need_dx: bool, *, room: Array
) -> tuple[Array | None, Array, Array | None, Array | None, Array | None]:
    """dx, dweight, dbias, dbn_weight, dbn_bias from dy, and its sums; in `room`, which may be dy, d will lie."""
    terms, dbn_weight, dbn_bias = gradient_terms(sums, norm)
    combine_terms(dy, norm, terms._replace(A=None), out=room)
    return *through_convolution(room, sums, conv, norm, need_dx), dbn_weight, dbn_bias


def through_convolution(
    d: Array, sums: ChannelSums, conv: ConvCache, norm: BatchNormCache, need_dx: bool
) -> tuple[Array | None, Array, Array | None]:
    """dx, dweight, dbias where the gradient of z is A*d."""
    x, weight, geometry, groups, has_bias, algorithm = conv
    dx, dweight = convolve_backward(d, x, scale_filters(weight, norm.scale), geometry, groups, algorithm, need_dx)
    dbias = (np.zeros(len(weight)) if norm.n else norm.scale * sums.total).astype(d.dtype) if has_bias else None
    return dx, scale_filters(dweight, norm.scale), dbias


def scale_filters(weight: Array, scale: Array) -> Array:
    """scale[f] * weight[f] for every filter, as a new array in the dtype of the weight."""
    scaled: Array = empty_like(weight)
    np.multiply(weight, scale.astype(weight.dtype)[:, None, None, None], out=scaled)
    return scaled
