"""The first layer: few channels, so the columns are made channel by channel, out of long runs.

The rows that conv_rows.py copies consist of runs of C numbers: with the 3 channels of a colour image these are too
short to be fast. Here the same numbers lie the other way round, one line for each number of the kernel::

    padded images   (C, SW, H', W'/SW, N)    channel by channel; columns that a stride of SW keeps stand side by side
    cols            (C*KH*KW, rows*OW*N)     line (c, kh, kw) is a window of channel c, in runs of OW*N numbers
    y               (rows*OW*N, F)           = cols^T @ weight^T

so that any stride, too, copies in runs of OW*N. BLAS takes the transposed factor as it is. On 3 channels of
32x32 images (64 filters of 3x3) this was measured at half the time of conv_rows.py; there, and with 7x7 and stride 2 on
224x224 images, the copies take less than a tenth of it.

The gradient of the images is rarely asked for (nothing learns below the first layer), and then it is computed as
conv_rows.py does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..typing import Array
from .blocked_matmul import matmul_by_rows
from .conv_output import Finish, in_order_of
from .conv_rows import even_pieces, input_gradient
from .long_matmul import add_long_matmul
from .memory import empty
from .utils import HWNC, ConvGeometry, to_hwnc

PIECE = 1 << 21
"""Bytes of one piece of columns or of output, whichever is larger."""

FEW = 4
"""The largest number of channels."""


def suits_first(weight_shape: tuple[int, ...], groups: int) -> bool:
    """At most four channels, no groups."""
    return weight_shape[1] <= FEW and groups == 1


def forward_first(x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None) -> Array:
    """y = cols^T @ weight^T, a few output rows at a time."""
    N, F, (OH, OW) = len(x), len(weight), geometry.output
    filters = np.ascontiguousarray(weight.reshape(F, -1).T)  # (C*KH*KW, F)
    y = empty((OH, OW, N, F), x.dtype)
    for first, last, cols in _pieces(x, geometry, F):
        piece = y[first:last]
        matmul_by_rows(cols.T, filters, piece.reshape(-1, F))
        if finish is not None:
            finish(piece)
    return in_order_of(x, y)


def backward_first(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """dweight = (cols @ dy)^T, summed over the pieces; dx, where it is asked for, by rows."""
    F = len(weight)
    dyh = to_hwnc(dy).transpose(HWNC)  # (OH, OW, N, F)
    dfilters = np.zeros((weight[0].size, F), x.dtype)  # (C*KH*KW, F)
    for first, last, cols in _pieces(x, geometry, F):
        add_long_matmul(cols, dyh[first:last].reshape(-1, F), dfilters)
    dweight = np.ascontiguousarray(dfilters.T).reshape(weight.shape)
    return (input_gradient(dyh, x, weight, geometry, groups) if need_dx else None), dweight


def _by_channels(x: Array, geometry: ConvGeometry) -> Array:
    """The padded images as (C, SW, H', columns, N): phase p has the columns p, p + SW, p + 2*SW and so on."""
    (N, C, H), SW = x.shape[:3], geometry.stride[1]
    (top, _), (left, _), (HP, WP) = *geometry.padding, geometry.padded
    out = empty((C, SW, HP, -(-WP // SW), N), x.dtype)
    out.fill(0)
    for phase in range(SW):
        skipped = max(0, -(-(left - phase) // SW))  # columns of this phase that are padding
        kept = x[:, :, :, skipped * SW + phase - left :: SW].transpose(1, 2, 3, 0)  # (C, H, columns, N)
        out[:, phase, top : top + H, skipped : skipped + kept.shape[2]] = kept
    return out


def _windows(xp: Array, geometry: ConvGeometry) -> list[tuple[slice, Array]]:
    """Pairs of some kernel columns kws, all of one phase, and what they meet, (C, KH, kws, OH, OW*N)."""
    (C, SW, _, _, N), (OH, OW) = xp.shape, geometry.output
    (KH, KW), SH, (DH, DW) = geometry.kernel, geometry.stride[0], geometry.dilation
    of_channel, _, of_row, of_column, of_image = xp.strides
    step = SW // math.gcd(SW, DW)  # from one kernel column to the next of the same phase
    strides = (of_channel, of_row * DH, of_column * (step * DW // SW), of_row * SH, of_image)
    windows = []
    for kw in range(min(step, KW)):
        corner = xp[:, kw * DW % SW, :, kw * DW // SW :]
        shape = (C, KH, len(range(kw, KW, step)), OH, OW * N)
        windows.append((slice(kw, None, step), as_strided(corner, shape, strides, writeable=False)))
    return windows


def _pieces(x: Array, geometry: ConvGeometry, F: int) -> Iterator[tuple[int, int, Array]]:
    """(first, last, cols) for a few output rows at a time; cols (C*KH*KW, rows*OW*N) are valid until the next."""
    windows = _windows(_by_channels(x, geometry), geometry)
    (KH, KW), (OH, OW), (N, C) = geometry.kernel, geometry.output, x.shape[:2]
    K, L, itemsize = C * KH * KW, OW * N, x.itemsize
    rows = even_pieces(OH, PIECE // max(1, max(K, F) * L * itemsize))
    room = empty((K * rows * L,), x.dtype)
    for first in range(0, OH, rows):
        last = min(first + rows, OH)
        cols = room[: K * (last - first) * L].reshape(C, KH, KW, last - first, L)
        for kws, window in windows:
            cols[:, :, kws] = window[:, :, :, first:last]
        yield first, last, cols.reshape(K, (last - first) * L)
