"""Batch norm and the ReLU behind it in one go: y = max(bn(x), 0).

Apart, they write the normalized images to memory and read them back, forward and backward. Together, a piece is scaled,
offset and rectified while it lies in the cache: three short steps on each piece, and one trip to memory. The backward
pass needs dy where y > 0 twice, first for the sums and then for dx, so it is masked once into memory of its own, which
becomes dx in place. Forward and backward took 0.71 to 0.83 of the time of the two apart (float32, two shards, four
shapes between (128, 64, 8, 8) and (64, 64, 32, 32)).

Both are exactly what `batch_norm_forward` and `relu_forward`, one after the other, give.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array
from .batch_statistics import (
    BatchNormCache,
    affine_of,
    check_batch,
    check_settings,
    combine_terms,
    gradient_terms,
    normalization,
)
from .channel_sums import Centre, ChannelSums, square_sums
from .channels import channel_rows, pieces, scratch, spread_channels
from .dtypes import float_op
from .group import Group
from .runs import bits
from .utils import check_shape, empty_nchw


class BatchNormReluCache(NamedTuple):
    """What `batch_norm_relu_backward` needs; the new running statistics are in `norm`, for the caller to keep."""

    norm: BatchNormCache
    y: Array  # (N, C, ...)  the result: where it is 0, no gradient passes


@float_op("x", "weight", "bias")
def batch_norm_relu_forward(
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
) -> tuple[Array, BatchNormReluCache]:
    """y[n, c, ...] = max((x[n, c, ...] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c], 0)

    Parameters
    ----------
    x, weight, bias, running_mean, running_var, train, momentum, eps, group
        See `batch_norm_forward`.

    Returns
    -------
    y : shape of x
        In the memory order of x.
    cache : BatchNormReluCache

    Raises
    ------
    ShapeError, ValueError, TypeError
        As `batch_norm_forward` does.

    Examples
    --------
    Mean 3 and variance (4 + 0 + 4) / 3 give +-2 / sqrt(8/3) = +-1.2247 before the ReLU.

    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> y, cache = batch_norm_relu_forward(x, None, None, None, None, train=True, eps=0.0)
    >>> y.ravel().round(4)
    array([0.    , 0.    , 1.2247])
    """
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    check_batch("batch_norm_relu_forward", x)
    check_settings("batch_norm_relu_forward", x.shape[1], vectors, momentum, eps)
    norm = normalization(
        "batch_norm_relu_forward",
        x,
        square_sums(x) if train else None,
        weight,
        bias,
        running_mean,
        running_var,
        momentum=momentum,
        eps=eps,
        group=group,
    )
    y = normalize_relu(norm, bias)
    return y, BatchNormReluCache(norm, y)


@float_op("dy")
def batch_norm_relu_backward(dy: Array, cache: BatchNormReluCache) -> tuple[Array, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `batch_norm_relu_forward` was given.

    With d = dy where y > 0, and 0 elsewhere, these are the gradients of `batch_norm_backward` for d.

    Parameters
    ----------
    dy : shape of y
        Gradient that arrives from above.
    cache : BatchNormReluCache
        From `batch_norm_relu_forward`; it is not changed.

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
    In evaluation the scale is 1 / sqrt(0.25) = 2, and y is (0, 4): the gradient of the first does not pass.

    >>> x, zero, quarter = np.array([[-1.0], [2.0]]), np.zeros(1), np.full(1, 0.25)
    >>> y, cache = batch_norm_relu_forward(x, None, zero, zero, quarter, train=False, eps=0.0)
    >>> dx, dweight, dbias = batch_norm_relu_backward(np.array([[5.0], [7.0]]), cache)
    >>> dx.ravel(), dbias
    (array([ 0., 14.]), array([7.]))
    """
    check_shape("batch_norm_relu_backward", "dy", dy, cache.y.shape)
    d, sums = masked_sums(dy, cache.y, cache.norm)
    terms, dweight, dbias = gradient_terms(sums, cache.norm)
    combine_terms(d, cache.norm, terms, out=d)
    return d, dweight, dbias


# --- piece by piece, shared with conv_batch_norm_relu.py -------------------------------------------------------------


def normalize_relu(norm: BatchNormCache, bias: Array | None) -> Array:
    """max((x - mean)*scale + bias, 0), in the memory order of x."""
    x = norm.x
    y = empty_nchw(x.shape, x.dtype, like=x)
    rows, y_rows = channel_rows(x, like=x), channel_rows(y, like=x)
    affine, zeros = affine_of(norm, bias, rows), spread_channels(np.zeros(x.shape[1]), rows)
    for piece in pieces(rows):
        affine(rows[piece], y_rows[piece])
        np.maximum(y_rows[piece], zeros, out=y_rows[piece])  # an array of zeros: the number 0 takes four times as long
    return y


def masked_sums(dy: Array, y: Array, norm: BatchNormCache) -> tuple[Array, ChannelSums]:
    """d = dy where y is not 0, else 0, in the memory order of x; with sum(d) and sum(d * (x - shift))."""
    x = norm.x
    d, sums = empty_nchw(x.shape, x.dtype, like=x), ChannelSums(x.shape[1])
    rows, y_rows, dy_rows, d_rows = (channel_rows(images, like=x) for images in (x, y, dy, d))
    centre, mask = Centre(rows, norm.shift), scratch(rows, bool)
    for piece in pieces(rows):
        passes = np.not_equal(y_rows[piece], 0, out=mask[: len(rows[piece])])  # y is never below 0
        np.multiply(bits(dy_rows[piece]), passes, out=bits(d_rows[piece]))  # infinity * 0 would be NaN
        sums.add(d_rows[piece], centre(rows[piece]))
    return d, sums
