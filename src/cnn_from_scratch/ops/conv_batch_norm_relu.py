"""Convolution, batch norm and ReLU in one go: conv_batch_norm.py with the ReLU of batch_norm_relu.py behind it.

The whole of y = max(batch_norm(conv(x)), 0) takes two passes over the output, forward (one writes z = conv(x) and sums
it, one makes y), and two, backward (one masks dy and sums it, one makes the gradient of z), besides the convolutions
themselves. Apart, these would be four and four.
"""

from __future__ import annotations

from typing import NamedTuple

from ..typing import Array, Padding, Pair
from .batch_norm_relu import masked_sums, normalize_relu
from .batch_statistics import BatchNormCache
from .conv_algorithms import Algorithm
from .conv_batch_norm import gradients, normalized_convolution
from .conv_forward import ConvCache, check_convolution
from .dtypes import float_op
from .group import Group
from .utils import check_shape


class ConvBatchNormReluCache(NamedTuple):
    """What `conv_batch_norm_relu_backward` needs; the new running statistics are in `norm`, for the caller to keep."""

    conv: ConvCache
    norm: BatchNormCache  # its x is z, the convolution without its bias
    y: Array  # (N, F, OH, OW)  the result: where it is 0, no gradient passes


@float_op("x", "weight", "bias", "bn_weight", "bn_bias")
def conv_batch_norm_relu_forward(
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
) -> tuple[Array, ConvBatchNormReluCache]:
    """y = max(batch_norm(conv(x)), 0)

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
    cache : ConvBatchNormReluCache

    Raises
    ------
    ShapeError, ValueError, TypeError
        As `conv_forward` and `batch_norm_forward` do.

    Examples
    --------
    A filter that doubles: z = 2, 6; mean 4 and spread 2 make it -1, 1, and the ReLU 0, 1.

    >>> import numpy as np
    >>> x, two = np.array([1.0, 3.0]).reshape(1, 1, 1, 2), np.full((1, 1, 1, 1), 2.0)
    >>> y, cache = conv_batch_norm_relu_forward(x, two, None, None, None, None, None, train=True, eps=0.0)
    >>> y.ravel()
    array([0., 1.])
    """
    function = "conv_batch_norm_relu_forward"
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
    y = normalize_relu(norm, bn_bias)
    return y, ConvBatchNormReluCache(conv, norm, y)


@float_op("dy")
def conv_batch_norm_relu_backward(
    dy: Array, cache: ConvBatchNormReluCache, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array | None, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `conv_batch_norm_relu_forward` was given.

    Those of `conv_batch_norm_backward` for dy where y > 0, and 0 elsewhere.

    Parameters
    ----------
    dy : (N, F, OH, OW)
        Gradient that arrives from above.
    cache : ConvBatchNormReluCache
        From `conv_batch_norm_relu_forward`; it is not changed.
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
    In evaluation with a spread of 0.5, A is 2; y = 2 * 3 * x is 6 and 0, so only the first gradient passes.

    >>> import numpy as np
    >>> x, three, zero = np.array([1.0, -5.0]).reshape(1, 1, 1, 2), np.full((1, 1, 1, 1), 3.0), np.zeros(1)
    >>> running = zero, np.full(1, 0.25)
    >>> y, cache = conv_batch_norm_relu_forward(x, three, None, None, zero, *running, train=False, eps=0.0)
    >>> dx, dweight, dbias, _, dbn_bias = conv_batch_norm_relu_backward(np.ones_like(y), cache)
    >>> dx.ravel(), dweight.ravel(), dbn_bias
    (array([6., 0.]), array([2.]), array([1.]))
    """
    check_shape("conv_batch_norm_relu_backward", "dy", dy, cache.y.shape)
    d, sums = masked_sums(dy, cache.y, cache.norm)
    return gradients(d, sums, cache.conv, cache.norm, need_dx, room=d)
