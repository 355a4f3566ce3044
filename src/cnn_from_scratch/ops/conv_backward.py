"""Convolution, backward: where each product of the forward pass sends its share of the gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..typing import Array
from .channel_sums import sum_channels
from .channels import channel_rows, pieces
from .col2im import col2im
from .conv_depthwise import backward_depthwise
from .conv_first import backward_first
from .conv_forward import ConvCache, columns_of
from .conv_pointwise import backward_pointwise
from .conv_rows import backward_rows
from .conv_winograd import backward_winograd
from .dtypes import float_op
from .utils import ConvGeometry, check_shape, crop_sides, empty_nchw, pad_sides


@float_op("dy")
def conv_backward(dy: Array, cache: ConvCache, *, need_dx: bool = True) -> tuple[Array | None, Array, Array | None]:
    """Gradients of sum(y * dy) by what `conv_forward` was given.

    ::

        dweight[f, c, kh, kw] = sum_{n, oh, ow} dy[n, f, oh, ow] * x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW]
        dx[n, c, h, w]        = sum_{f, kh, kw, oh, ow} dy[n, f, oh, ow] * weight[f, c, kh, kw]
                                over all oh*SH + kh*DH - PH = h and ow*SW + kw*DW - PW = w
        dbias[f]              = sum_{n, oh, ow} dy[n, f, oh, ow]

    With columns: dweight = dy @ cols^T, dcols = weight^T @ dy, dx = col2im(dcols).

    Parameters
    ----------
    dy : (N, F, OH, OW)
        Gradient that arrives from above.
    cache : ConvCache
        From `conv_forward`; it is not changed.
    need_dx : bool
        False where nothing below learns: dx is None then, and its cost is saved.

    Returns
    -------
    dx : (N, C, H, W) or None
    dweight : (F, C/G, KH, KW)
    dbias : (F,) or None
        None where there was no bias.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    The middle pixels are seen by both windows, the outer ones by one.

    >>> from cnn_from_scratch.ops import conv_forward
    >>> x = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 1, 3)
    >>> y, cache = conv_forward(x, np.array([3.0, 5.0]).reshape(1, 1, 1, 2))
    >>> dx, dweight, dbias = conv_backward(np.ones_like(y), cache)
    >>> dx.ravel(), dweight.ravel()
    (array([3., 8., 5.]), array([3., 6.]))
    """
    x, weight, geometry, groups, has_bias, algorithm = cache
    check_shape("conv_backward", "dy", dy, (len(x), len(weight), *geometry.output))
    dx, dweight = convolve_backward(dy, x, weight, geometry, groups, algorithm, need_dx)
    return dx, dweight, bias_gradient(dy) if has_bias else None


def convolve_backward(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, algorithm: str, need_dx: bool
) -> tuple[Array | None, Array]:
    """dx (or None) and dweight, the way `algorithm` says, of arguments that are checked."""
    return BACKWARD[algorithm](dy, x, weight, geometry, groups, need_dx)


def bias_gradient(dy: Array) -> Array:
    """dbias[f] = sum_{n, oh, ow} dy[n, f, oh, ow]

    Examples
    --------
    >>> bias_gradient(np.arange(6.0).reshape(1, 2, 1, 3))  # 0 + 1 + 2 and 3 + 4 + 5
    array([ 3., 12.])
    """
    rows = channel_rows(dy, like=dy)
    total = np.zeros(dy.shape[1])
    for piece in pieces(rows):
        total += sum_channels(rows[piece])
    return total.astype(dy.dtype)  # (F,)


def _backward_loops(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """Every output position hands its gradient to the patch and to the filter that made it."""
    N, F, OH, OW = dy.shape
    CG, FG = weight.shape[1], F // groups
    (SH, SW), (DH, DW), (KH, KW) = geometry.stride, geometry.dilation, geometry.kernel
    xp = pad_sides(x, geometry.padding)
    dxp, dweight = np.zeros_like(xp), np.zeros_like(weight)
    for n in range(N):
        for f in range(F):
            g = f // FG
            for oh in range(OH):
                for ow in range(OW):
                    rows = slice(oh * SH, oh * SH + DH * (KH - 1) + 1, DH)
                    columns = slice(ow * SW, ow * SW + DW * (KW - 1) + 1, DW)
                    window = (n, slice(g * CG, (g + 1) * CG), rows, columns)
                    dweight[f] += dy[n, f, oh, ow] * xp[window]  # (C/G, KH, KW)
                    dxp[window] += dy[n, f, oh, ow] * weight[f]
    return (crop_sides(dxp, geometry.padding) if need_dx else None), dweight


def _backward_im2col(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """Two matrix products, and col2im to bring the gradient of the columns home."""
    N, (F, OH, OW), G = len(x), dy.shape[1:], groups
    K = weight[0].size  # C/G*KH*KW
    cols = columns_of(x, geometry).reshape(N, G, K, OH * OW)
    dy4 = dy.reshape(N, G, F // G, OH * OW)
    dweight = (dy4 @ cols.swapaxes(2, 3)).sum(0).reshape(weight.shape)  # (F, C/G, KH, KW)
    if not need_dx:
        return None, dweight
    dcols = weight.reshape(G, F // G, K).swapaxes(1, 2) @ dy4  # (N, G, K, OH*OW)
    dx = empty_nchw((N, *x.shape[1:]), x.dtype, like=x)
    dx[...] = col2im(
        dcols.reshape(N, G * K, OH * OW),
        x.shape,
        geometry.kernel,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
    )
    return dx, dweight


BACKWARD: dict[str, Callable[[Array, Array, Array, ConvGeometry, int, bool], tuple[Array | None, Array]]] = {
    "loops": _backward_loops,
    "im2col": _backward_im2col,
    "im2row": backward_rows,
    "pointwise": backward_pointwise,
    "first": backward_first,
    "winograd2": partial(backward_winograd, tile=2),
    "winograd4": partial(backward_winograd, tile=4),
    "depthwise": backward_depthwise,
}
"""The gradients of each way in `FORWARD`."""
