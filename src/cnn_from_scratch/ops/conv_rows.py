"""The same convolution for speed: patches become rows, a few output rows at a time, on arrays that lie as (H, W, N, C).

`im2col` makes one matrix for the whole batch: easy to see, but KH*KW times the size of the images, so that it is
written to memory and read back. Here a piece of it at a time is made in one small buffer that stays in the
processor's cache, is multiplied, and is overwritten by the next piece. The memory order (H, W, N, C) turns each copy
into runs of C numbers and lets the product be written straight into the result.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .conv_output import Finish, hand_over, in_order_of
from .memory import empty
from .utils import HWNC, ConvGeometry, crop_sides, pad_sides, to_hwnc

PIECE = 1 << 20
"""Bytes of one piece of rows: about half of a core's second-level cache."""


def forward_rows(x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None) -> Array:
    """y = rows(x) @ weight^T, piece by piece. Groups run one after another."""
    if groups > 1:
        return _in_groups(x, weight, geometry, groups, finish)
    N, F, (OH, OW) = len(x), len(weight), geometry.output
    xp = pad_sides(to_hwnc(x), geometry.padding).transpose(HWNC)  # (H + top + bottom, W + left + right, N, C)
    filters = _filters_as_columns(weight)  # (KH*KW*C, F)
    y = np.empty((OH, OW, N, F), x.dtype)
    buffer = _buffer(xp, geometry)
    for first, last in _pieces(buffer, OH):
        rows = _rows(xp, geometry, first, last, buffer)  # (piece*OW*N, KH*KW*C)
        out = y[first:last].reshape(-1, F)
        np.matmul(rows, filters, out=out)
        if finish is not None:
            finish(y[first:last])
    return in_order_of(x, y)


def backward_rows(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """dweight = sum over pieces of rows^T @ dy; dx adds dy @ weight back to where each row came from."""
    if groups > 1:
        return _backward_in_groups(dy, x, weight, geometry, groups, need_dx)
    F, C, KH, KW = weight.shape
    xp = pad_sides(to_hwnc(x), geometry.padding).transpose(HWNC)
    dyp = to_hwnc(dy).transpose(HWNC)  # (OH, OW, N, F)
    filters = _filters_as_columns(weight)
    dfilters = np.zeros_like(filters)  # (KH*KW*C, F)
    dxp = np.zeros(xp.shape, x.dtype) if need_dx else None
    buffer = _buffer(xp, geometry)
    for first, last in _pieces(buffer, len(dyp)):
        rows = _rows(xp, geometry, first, last, buffer)
        dy_piece = dyp[first:last].reshape(-1, F)  # (piece*OW*N, F)
        dfilters += rows.T @ dy_piece
        if dxp is not None:
            np.matmul(dy_piece, filters.T, out=rows)  # the gradient of the rows, in the place of the rows
            windows = _windows(dxp, geometry, first, last)
            drows = buffer[: last - first]  # (piece, OW, N, KH, KW, C)
            for kh, kw in np.ndindex(KH, KW):
                windows[kh][kw][...] += drows[:, :, :, kh, kw]
    dweight = np.ascontiguousarray(dfilters.reshape(KH, KW, C, F).transpose(3, 2, 0, 1))
    if dxp is None:
        return None, dweight
    return in_order_of(x, crop_sides(dxp.transpose(HWNC), geometry.padding).transpose(HWNC)), dweight


def _filters_as_columns(weight: Array) -> Array:
    """(F, C, KH, KW) -> (KH*KW*C, F)"""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(-1, len(weight))


def _buffer(xp: Array, geometry: ConvGeometry) -> Array:
    """Room for the rows of as many output rows as `PIECE` holds, at least one: (piece, OW, N, KH, KW, C)."""
    (OH, OW), (KH, KW), (N, C) = geometry.output, geometry.kernel, xp.shape[2:]
    one = OW * N * KH * KW * C * xp.itemsize
    return np.empty((min(OH, max(1, PIECE // max(one, 1))), OW, N, KH, KW, C), xp.dtype)


def _pieces(buffer: Array, OH: int) -> list[tuple[int, int]]:
    """[(first, last)) output rows of each piece."""
    return [(first, min(first + len(buffer), OH)) for first in range(0, OH, len(buffer))]


def _windows(xp: Array, geometry: ConvGeometry, first: int, last: int) -> list[list[Array]]:
    """windows[kh][kw] is what kernel position (kh, kw) meets under output rows first to last, (piece, OW, N, C)."""
    (KH, KW), SH, DH = geometry.kernel, geometry.stride[0], geometry.dilation[0]
    return [
        [xp[first * SH + kh * DH : (last - 1) * SH + kh * DH + 1 : SH, geometry.columns(kw)] for kw in range(KW)]
        for kh in range(KH)
    ]


def _rows(xp: Array, geometry: ConvGeometry, first: int, last: int, buffer: Array) -> Array:
    """Copy the patches of output rows first to last into the buffer, and view it as (piece*OW*N, KH*KW*C)."""
    for kh, line in enumerate(_windows(xp, geometry, first, last)):
        for kw, window in enumerate(line):
            buffer[: last - first, :, :, kh, kw] = window
    piece = buffer[: last - first]
    _, OW, N, KH, KW, C = piece.shape
    return piece.reshape((last - first) * OW * N, KH * KW * C)


def _in_groups(x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None) -> Array:
    N, (F, CG), (OH, OW) = len(x), weight.shape[:2], geometry.output
    FG = F // groups
    y = empty((OH, OW, N, F), x.dtype)
    for g in range(groups):
        channels, filters = slice(g * CG, (g + 1) * CG), slice(g * FG, (g + 1) * FG)
        y.transpose(HWNC)[:, filters] = forward_rows(x[:, channels], weight[filters], geometry, 1)
    return hand_over(y, finish, like=x)


def _backward_in_groups(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    F, CG = weight.shape[:2]
    FG = F // groups
    dx = np.empty_like(x) if need_dx else None
    dweight = np.empty_like(weight)
    for g in range(groups):
        channels, filters = slice(g * CG, (g + 1) * CG), slice(g * FG, (g + 1) * FG)
        part, dweight[filters] = backward_rows(dy[:, filters], x[:, channels], weight[filters], geometry, 1, need_dx)
        if dx is not None:
            dx[:, channels] = part
    return dx, dweight
