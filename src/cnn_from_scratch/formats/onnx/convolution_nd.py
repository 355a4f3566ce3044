"""Convolution of sequences and volumes, out of that of images.

A sequence is an image of one row. A convolution of volumes is a sum of convolutions of images: slice kd of the kernel
meets slice od*SD + kd*DD - PD of the volume::

    y[n, f, od] = bias[f] + sum_kd conv(x[n, :, od*SD + kd*DD - PD], weight[:, :, kd])

All slices that meet one kd are convolved at once, as examples of one batch. The same step leads from three axes to
four. The transposed convolution is the same sum with input and output exchanged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...errors import ShapeError
from ...ops import (
    ConvCache,
    ConvTransposeCache,
    conv_backward,
    conv_forward,
    conv_transpose_backward,
    conv_transpose_forward,
)
from ...ops.conv_backward import bias_gradient
from ...ops.dtypes import float_op
from ...typing import Array
from .windows import Window, axis_geometry, meetings, output_lengths


class LiftedCache(NamedTuple):
    """The cache of a sequence taken as an image of one row."""

    inner: ConvCache | ConvTransposeCache


class Part(NamedTuple):
    """What one slice of the kernel did."""

    k: int  # which slice it is
    x: slice  # which slices of x it met
    y: slice  # which slices of y it gave to
    inner: ConvNdCache


class SlicesCache(NamedTuple):
    """What a sum over slices needs on the way back."""

    x: Array  # (N, C, D, ...)  borrowed, never written
    weight: Array  # (F, C/G, KD, ...), or (C, F/G, KD, ...) where transposed
    parts: list[Part]
    output: tuple[int, ...]  # shape of y
    has_bias: bool


ConvNdCache = ConvCache | ConvTransposeCache | LiftedCache | SlicesCache


@float_op("x", "weight", "bias")
def conv_nd_forward(
    x: Array, weight: Array, bias: Array | None, *, window: Window, groups: int
) -> tuple[Array, ConvNdCache]:
    """Convolve (N, C, *lengths) with (F, C/G, *kernel), of one axis or more."""
    _check_ranks(x, weight)
    kernel, strides, pads, dilations, _ = window
    if x.ndim == 4:
        return conv_forward(
            x,
            weight,
            bias,
            stride=(strides[0], strides[1]),
            padding=(pads[0], pads[1]),
            dilation=(dilations[0], dilations[1]),
            groups=groups,
        )
    if x.ndim == 3:
        y, inner = conv_nd_forward(x[:, :, None], weight[:, :, None], bias, window=window.lifted(), groups=groups)
        return y[:, :, 0], _lifted(inner)
    output = (len(x), len(weight), *output_lengths("Conv", x.shape[2:], window))
    geometry = axis_geometry("Conv", x.shape[2], window.axis(0))
    y, parts = _depth_first(output, x.dtype, bias), []
    for k, outputs, inputs in meetings(geometry):
        part, inner = conv_nd_forward(_fold(x, inputs), weight[:, :, k], None, window=window.axes(1), groups=groups)
        y[outputs] += part.reshape(y[outputs].shape)
        parts.append(Part(k, inputs, outputs, inner))
    return _depth_third(y), SlicesCache(x, weight, parts, output, bias is not None)


@float_op("x", "weight", "bias")
def conv_transpose_nd_forward(
    x: Array, weight: Array, bias: Array | None, *, window: Window, groups: int
) -> tuple[Array, ConvNdCache]:
    """Transposed convolution of (N, C, *lengths) with (C, F/G, *kernel): `pads` of the window are cut off."""
    _check_ranks(x, weight)
    kernel, strides, pads, dilations, _ = window
    if x.ndim == 4:
        return conv_transpose_forward(
            x,
            weight,
            bias,
            stride=(strides[0], strides[1]),
            padding=(pads[0], pads[1]),
            dilation=(dilations[0], dilations[1]),
            groups=groups,
        )
    if x.ndim == 3:
        y, inner = conv_transpose_nd_forward(
            x[:, :, None], weight[:, :, None], bias, window=window.lifted(), groups=groups
        )
        return y[:, :, 0], _lifted(inner)
    output = (len(x), weight.shape[1] * groups, *transposed_lengths(x.shape[2:], window))
    geometry = axis_geometry("ConvTranspose", output[2], window.axis(0))  # of the convolution that leads back to x
    y, parts = _depth_first(output, x.dtype, bias), []
    for k, inputs, outputs in meetings(geometry):
        part, inner = conv_transpose_nd_forward(
            _fold(x, inputs), weight[:, :, k], None, window=window.axes(1), groups=groups
        )
        y[outputs] += part.reshape(y[outputs].shape)
        parts.append(Part(k, inputs, outputs, inner))
    return _depth_third(y), SlicesCache(x, weight, parts, output, bias is not None)


@float_op("dy")
def conv_nd_backward(
    dy: Array, cache: ConvNdCache, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array | None]:
    """dx, dweight and dbias of either."""
    if isinstance(cache, ConvCache):
        return conv_backward(dy, cache, need_dx=need_dx)
    if isinstance(cache, ConvTransposeCache):
        return conv_transpose_backward(dy, cache, need_dx=need_dx)
    if isinstance(cache, LiftedCache):
        dx, dweight, dbias = conv_nd_backward(dy[:, :, None], cache.inner, need_dx=need_dx)
        return (None if dx is None else dx[:, :, 0]), dweight[:, :, 0], dbias
    x, weight, parts, output, has_bias = cache
    if dy.shape != output:
        raise ShapeError(f"conv_nd_backward: dy must have shape {output}, got {dy.shape}")
    dx = np.zeros((x.shape[2], *x.shape[:2], *x.shape[3:]), x.dtype) if need_dx else None  # (D, N, C, ...)
    dweight = np.zeros(weight.shape, weight.dtype)
    for k, inputs, outputs, inner in parts:
        back, dweight[:, :, k], _ = conv_nd_backward(_fold(dy, outputs), inner, need_dx=need_dx)
        if dx is not None and back is not None:
            dx[inputs] += back.reshape(dx[inputs].shape)
    dbias = sum_over_pixels(dy) if has_bias else None
    return (None if dx is None else _depth_third(dx)), dweight, dbias


def sum_over_pixels(dy: Array) -> Array:
    """dbias of (N, F, *lengths): (F,)"""
    return bias_gradient(dy.reshape(*dy.shape[:2], 1, math.prod(dy.shape[2:])))


def transposed_lengths(lengths: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """(length - 1)*stride + dilation*(kernel - 1) + 1 - pads, for each axis."""
    kernel, strides, pads, dilations, _ = window
    found = tuple(
        (n - 1) * s + d * (k - 1) + 1 - sum(p)
        for n, k, s, p, d in zip(lengths, kernel, strides, pads, dilations, strict=True)
    )
    if min(found) < 1:
        raise ShapeError(f"ConvTranspose: nothing is left of images of {lengths} with pads {pads}")
    return found


def _check_ranks(x: Array, weight: Array) -> None:
    if x.ndim < 3 or weight.ndim != x.ndim:
        raise ShapeError(
            f"Conv, ConvTranspose: x must be (N, C, ...) of at least one more axis, and the weights of as many axes; "
            f"got x {x.shape}, weight {weight.shape}"
        )


def _lifted(inner: ConvNdCache) -> LiftedCache:
    assert isinstance(inner, ConvCache | ConvTransposeCache)
    return LiftedCache(inner)


# --- slices as examples of a batch ----------------------------------------------------------------------------------


def _depth_first(shape: tuple[int, ...], dtype: np.dtype[np.floating], bias: Array | None) -> Array:
    """An array for (N, F, D, ...) that lies as (D, N, F, ...) and holds the bias."""
    N, F, D, *rest = shape
    y = np.zeros((D, N, F, *rest), dtype)
    if bias is not None:
        if bias.shape != (F,):
            raise ShapeError(f"Conv, ConvTranspose: bias must have shape ({F},), got {bias.shape}")
        y += bias.reshape(F, *[1] * len(rest))
    return y


def _depth_third(y: Array) -> Array:
    """(D, N, F, ...) as (N, F, D, ...)"""
    return np.ascontiguousarray(np.moveaxis(y, 0, 2))


def _fold(x: Array, slices: slice) -> Array:
    """Slices of (N, C, D, ...) as examples: (D'*N, C, ...)"""
    some = np.moveaxis(x[:, :, slices], 2, 0)  # (D', N, C, ...)
    return some.reshape(some.shape[0] * some.shape[1], *some.shape[2:])
