"""The first layer: few channels, so the columns are made channel by channel, out of long runs.

The rows that conv_rows.py copies consist of runs of C numbers: with the 3 channels of a colour image these are too
short to be fast. Here the same numbers lie the other way round, one line for each number of the kernel::

    padded images   (H', C, SW, W'/SW, N)     channel by channel; columns that a stride of SW keeps stand side by side
    lines           (H', C*KW, OW*N)          line (c, kw) is what kernel column kw meets, in runs of OW*N numbers
    cols            (OH, KH*C*KW, OW*N)       the lines of KH rows: a view, in which neighbours share KH - SH rows
    y               (OH, OW*N, F)             = cols^T @ weight^T

so that any stride, too, copies in runs of OW*N, and a number is copied KW/SW times instead of KH*KW/(SH*SW) times.
BLAS takes the transposed factor as it is. On 3 channels of 32x32 images (64 filters of 3x3) this was measured at half
the time of conv_rows.py; nine tenths of it are the product.

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
    filters = np.ascontiguousarray(weight.transpose(2, 1, 3, 0).reshape(-1, F))  # (KH*C*KW, F)
    y = empty((OH, OW, N, F), x.dtype)
    for first, last, cols in _pieces(x, geometry, F):
        piece = y[first:last]
        matmul_by_rows(cols.swapaxes(1, 2), filters, piece.reshape(last - first, OW * N, F))
        if finish is not None:
            finish(piece)
    return in_order_of(x, y)


def backward_first(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """dweight = (cols @ dy)^T, summed over the pieces; dx, where it is asked for, by rows."""
    F, C, KH, KW = weight.shape
    dyh = to_hwnc(dy).transpose(HWNC)  # (OH, OW, N, F)
    dfilters = np.zeros((KH * C * KW, F), x.dtype)
    for first, last, cols in _pieces(x, geometry, F):
        add_long_matmul(cols, dyh[first:last].reshape(last - first, cols.shape[2], F), dfilters)
    dweight = np.ascontiguousarray(dfilters.reshape(KH, C, KW, F).transpose(3, 1, 0, 2))
    return (input_gradient(dyh, x, weight, geometry, groups) if need_dx else None), dweight


def _by_rows(x: Array, geometry: ConvGeometry) -> Array:
    """The padded images as (H', C, SW, columns, N): phase p has the columns p, p + SW, p + 2*SW and so on."""
    (N, C, H), SW = x.shape[:3], geometry.stride[1]
    (top, _), (left, _), (HP, WP) = *geometry.padding, geometry.padded
    out = empty((HP, C, SW, -(-WP // SW), N), x.dtype)
    out.fill(0)
    for phase in range(SW):
        skipped = max(0, -(-(left - phase) // SW))  # columns of this phase that are padding
        kept = x[:, :, :, skipped * SW + phase - left :: SW].transpose(2, 1, 3, 0)  # (H, C, columns, N)
        out[top : top + H, :, phase, skipped : skipped + kept.shape[2]] = kept
    return out


def _windows(xp: Array, geometry: ConvGeometry) -> list[tuple[slice, Array]]:
    """Pairs of some kernel columns kws, all of one phase, and what they meet, (H', C, kws, OW*N)."""
    (HP, C, SW, _, N), OW = xp.shape, geometry.output[1]
    KW, DW = geometry.kernel[1], geometry.dilation[1]
    of_row, of_channel, _, of_column, of_image = xp.strides
    step = SW // math.gcd(SW, DW)  # from one kernel column to the next of the same phase
    strides = (of_row, of_channel, of_column * (step * DW // SW), of_image)
    windows = []
    for kw in range(min(step, KW)):
        corner = xp[:, :, kw * DW % SW, kw * DW // SW :]
        shape = (HP, C, len(range(kw, KW, step)), OW * N)
        windows.append((slice(kw, None, step), as_strided(corner, shape, strides, writeable=False)))
    return windows


def _pieces(x: Array, geometry: ConvGeometry, F: int) -> Iterator[tuple[int, int, Array]]:
    """(first, last, cols) for a few output rows at a time; cols (rows, KH*C*KW, OW*N) are valid until the next."""
    windows = _windows(_by_rows(x, geometry), geometry)
    (KH, KW), (OH, OW), (N, C) = geometry.kernel, geometry.output, x.shape[:2]
    (SH, _), (DH, _), L = geometry.stride, geometry.dilation, OW * N
    rows = even_pieces(OH, PIECE // max(1, max(C * KW * SH, F) * L * x.itemsize))
    reach = (KH - 1) * DH + 1  # rows of the image that one output row looks at, between the first and the last
    room = empty(((rows - 1) * SH + reach, C, KW, L), x.dtype)
    of_row, _, of_line, of_number = room.strides
    strides = (SH * of_row, DH * of_row, of_line, of_number)
    for first in range(0, OH, rows):
        last = min(first + rows, OH)
        count = (last - first - 1) * SH + reach
        for kws, window in windows:
            room[:count, :, kws] = window[first * SH : first * SH + count]
        lines = as_strided(room, (last - first, KH, C * KW, L), strides, writeable=False)
        yield first, last, lines.reshape(last - first, KH * C * KW, L)  # a view, unless rows are dilated
