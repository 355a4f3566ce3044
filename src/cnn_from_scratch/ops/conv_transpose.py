"""Transposed convolution: the gradient of a convolution by its input, used as a forward pass of its own.

A convolution takes images to columns and multiplies; the transposed one multiplies and takes columns to images. So
every line of `conv_forward` with im2col returns here, in the other direction::

    conv            y = weight @ im2col(x)         dx = col2im(weight^T @ dy)     dweight = dy @ im2col(x)^T
    conv_transpose  y = col2im(weight^T @ x)       dx = weight @ im2col(dy)       dweight = x @ im2col(dy)^T

With the same weight the two are adjoint: <conv(x), y> = <x, conv_transpose(y)>.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array, Pair, Sides
from .col2im import col2im
from .conv_forward import columns_of
from .dtypes import float_op
from .padding import four_sides
from .utils import ConvGeometry, check_rank, check_shape, conv_geometry, empty_nchw, pair, zeros_nchw


class ConvTransposeCache(NamedTuple):
    """What `conv_transpose_backward` needs."""

    x: Array  # (N, C, H, W)        borrowed, never written
    weight: Array  # (C, F/G, KH, KW)    borrowed, never written
    geometry: ConvGeometry  # of the convolution that leads from y back to x
    output: tuple[int, int]  # (OH, OW) of y
    groups: int
    has_bias: bool


@float_op("x", "weight", "bias")
def conv_transpose_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: int | tuple[int, int] | Sides = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, ConvTransposeCache]:
    """y[n,f,oh,ow] = bias[f] + sum of x[n,c,h,w] * weight[c,f,kh,kw] over h*SH + kh*DH - PH = oh, likewise ow

    Every pixel of x puts a copy of the kernel, times its value, into y; where copies overlap, they add up::

        OH = (H - 1)*SH + DH*(KH - 1) + 1 + output_padding - top - bottom

    Parameters
    ----------
    x : (N, C, H, W)
        Images of at least one pixel.
    weight : (C, F/G, KH, KW)
        Filters: as of the convolution from F to C channels that this is the adjoint of.
    bias : (F,), optional
        Added to every position of a channel of the output.
    stride, dilation : int or pair
        Steps between the copies of the kernel, and between the pixels of one; at least 1.
    padding : int, (PH, PW) or ((top, bottom), (left, right))
        How many rows and columns are cut off from the result.
    output_padding : int or pair
        Rows and columns added at the bottom and right: a convolution with a stride maps several sizes to one, and
        this says which of them to go back to. Smaller than the stride or the dilation.
    groups : int
        Must divide C. Output channel f sees only the C/G channels of its own group.

    Returns
    -------
    y : (N, F, OH, OW)
        In the memory order of x.
    cache : ConvTransposeCache

    Raises
    ------
    ShapeError
        If channels, bias or groups do not fit together, output_padding is too large, or padding leaves nothing.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Zeiler, Krishnan, Taylor, Fergus: Deconvolutional Networks (2010). Dumoulin, Visin: A guide to convolution
    arithmetic for deep learning (2016), chapter 4. https://arxiv.org/abs/1603.07285

    Examples
    --------
    Two copies of the kernel (1, 2, 3), times 1 and times 10, two steps apart: they share the third place.

    >>> kernel = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> y, cache = conv_transpose_forward(np.array([1.0, 10.0]).reshape(1, 1, 1, 2), kernel, stride=2)
    >>> y.ravel()
    array([ 1.,  2., 13., 20., 30.])
    """
    check_rank("conv_transpose_forward", "x", x, "N C H W")
    check_rank("conv_transpose_forward", "weight", weight, "C F/G KH KW")
    (N, C, H, W), (_, FG, KH, KW), G = x.shape, weight.shape, groups
    _check_channels(x, weight, groups)
    if bias is not None:
        check_shape("conv_transpose_forward", "bias", bias, (FG * G,))
    geometry, output = _transposed_geometry(x, weight, stride, padding, output_padding, dilation)

    rows = weight.reshape(G, C // G, FG * KH * KW)
    cols = rows.swapaxes(1, 2) @ x.reshape(N, G, C // G, H * W)  # (N, G, F/G*KH*KW, H*W)
    reached_height, reached_width = geometry.input
    y = zeros_nchw((N, FG * G, *output), x.dtype, like=x)
    y[:, :, :reached_height, :reached_width] = col2im(
        cols.reshape(N, G * FG * KH * KW, H * W),
        (N, FG * G, reached_height, reached_width),
        geometry.kernel,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
    )
    if bias is not None:
        y += bias[:, None, None]  # (F, 1, 1)
    return y, ConvTransposeCache(x, weight, geometry, output, groups, bias is not None)


@float_op("dy")
def conv_transpose_backward(
    dy: Array, cache: ConvTransposeCache, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array | None]:
    """Gradients of sum(y * dy) by what `conv_transpose_forward` was given: dx is the convolution of dy.

    ::

        dx[n, c, h, w]        = sum_{f, kh, kw} dy[n, f, h*SH + kh*DH - PH, w*SW + kw*DW - PW] * weight[c, f, kh, kw]
        dweight[c, f, kh, kw] = sum_{n, h, w} x[n, c, h, w] * dy[n, f, h*SH + kh*DH - PH, w*SW + kw*DW - PW]
        dbias[f]              = sum_{n, oh, ow} dy[n, f, oh, ow]

    Parameters
    ----------
    dy : (N, F, OH, OW)
        Gradient that arrives from above.
    cache : ConvTransposeCache
        From `conv_transpose_forward`; it is not changed.
    need_dx : bool
        False where nothing below learns: dx is None then, and its cost is saved.

    Returns
    -------
    dx : (N, C, H, W) or None
        In the memory order of x.
    dweight : (C, F/G, KH, KW)
    dbias : (F,) or None
        None where there was no bias.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> kernel = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> y, cache = conv_transpose_forward(np.array([1.0, 10.0]).reshape(1, 1, 1, 2), kernel, stride=2)
    >>> dx, dweight, _ = conv_transpose_backward(np.ones_like(y), cache)
    >>> dx.ravel(), dweight.ravel()
    (array([6., 6.]), array([11., 11., 11.]))
    """
    x, weight, geometry, output, G, has_bias = cache
    (N, C, H, W), (_, FG, KH, KW) = x.shape, weight.shape
    check_shape("conv_transpose_backward", "dy", dy, (N, FG * G, *output))
    reached_height, reached_width = geometry.input
    cols = columns_of(dy[:, :, :reached_height, :reached_width], geometry)  # (N, F*KH*KW, H*W)
    cols = cols.reshape(N, G, FG * KH * KW, H * W)
    rows = weight.reshape(G, C // G, FG * KH * KW)
    x4 = x.reshape(N, G, C // G, H * W)
    dweight = (x4 @ cols.swapaxes(2, 3)).sum(0).reshape(weight.shape)  # (C, F/G, KH, KW)
    dbias = dy.sum((0, 2, 3)) if has_bias else None  # (F,)
    if not need_dx:
        return None, dweight, dbias
    dx = empty_nchw(x.shape, x.dtype, like=x)
    dx[...] = (rows @ cols).reshape(x.shape)
    return dx, dweight, dbias


def _transposed_geometry(
    x: Array,
    weight: Array,
    stride: Pair,
    padding: int | tuple[int, int] | Sides,
    output_padding: Pair,
    dilation: Pair,
) -> tuple[ConvGeometry, tuple[int, int]]:
    """The convolution that leads back to x, and (OH, OW).

    That convolution sees only what the kernels reach. An output_padding within the padding takes less away at the
    bottom and right; what goes beyond are rows and columns that no kernel reaches: they hold the bias alone.
    """
    function = "conv_transpose_forward"
    steps = pair(function, "stride", stride, minimum=1)
    spread = pair(function, "dilation", dilation, minimum=1)
    extra = pair(function, "output_padding", output_padding, minimum=0)
    sides = four_sides(function, "padding", padding)
    reached, output, cuts = [], [], []
    for axis, (before, after) in enumerate(sides):
        size, kernel = x.shape[2 + axis], weight.shape[2 + axis]
        _check_extra(extra[axis], steps[axis], spread[axis])
        full = (size - 1) * steps[axis] + spread[axis] * (kernel - 1) + 1
        cuts.append((before, max(after - extra[axis], 0)))
        reached.append(full - sum(cuts[axis]))
        output.append(full - before - after + extra[axis])
        if size < 1 or reached[axis] < 1:
            raise ShapeError(
                f"{function}: nothing is left: {('height', 'width')[axis]} {size} with kernel {kernel} becomes {full}, "
                f"but padding takes {cuts[axis][0]} and {cuts[axis][1]} away"
            )
    geometry = conv_geometry(
        function, (reached[0], reached[1]), (weight.shape[2], weight.shape[3]), steps, (cuts[0], cuts[1]), spread
    )
    return geometry, (output[0], output[1])


def _check_extra(output_padding: int, stride: int, dilation: int) -> None:
    if output_padding >= max(stride, dilation):
        raise ShapeError(
            f"conv_transpose_forward: output_padding must be smaller than stride or dilation, "
            f"got {output_padding} for stride {stride} and dilation {dilation}"
        )


def _check_channels(x: Array, weight: Array, groups: int) -> None:
    C = x.shape[1]
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
        raise ShapeError(f"conv_transpose_forward: groups must be an int >= 1, got {groups!r}")
    shapes = f"got x {tuple(x.shape)}, weight {tuple(weight.shape)}"
    if not (C and weight.shape[1]):
        raise ShapeError(f"conv_transpose_forward: at least one channel and one filter are needed; {shapes}")
    if C != weight.shape[0]:
        raise ShapeError(f"conv_transpose_forward: x has C={C} channels but weight expects {weight.shape[0]}; {shapes}")
    if C % groups:
        raise ShapeError(f"conv_transpose_forward: groups={groups} must divide C={C}; {shapes}")
