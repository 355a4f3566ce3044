"""The same convolution for speed: patches become rows, a few output rows at a time, on arrays that lie as (H, W, N, C).

`im2col` makes one matrix for the whole batch: easy to see, but KH*KW times the size of the images, so that it is
written to memory and read back. Here a piece of it at a time is made in one small buffer that stays in the
processor's cache, is multiplied, and is overwritten by the next piece::

    slab      (rows + KH - 1, OW + KW - 1, N, C)    what a piece looks at, and the zeros around: copied in long runs
    patches   (rows*OW*N, KH*KW*C)                  copied from the slab in runs of C numbers, by one call
    y         (rows*OW*N, F)                        = patches @ weight^T, written where it belongs

The memory order (H, W, N, C) makes the runs long and lets the product be written straight into the result. The input
gradient is computed the same way, as a convolution of dy (see `phases` in tap_runs.py): every number of dx is written
once, where adding patches back to where they came from reads and writes it KH*KW/(SH*SW) times.

Measured on 64 channels, 128 filters of 3x3, stride 2: one call copies the patches in 0.55 of the time of a call for
each of the nine kernel positions, and a product in blocks of rows takes 0.9 of the time of one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..typing import Array
from .blocked_matmul import matmul_by_rows
from .conv_output import Finish, in_order_of
from .long_matmul import add_long_matmul
from .memory import empty
from .tap_runs import Axis, Phase, forward_axes, phases
from .utils import HWNC, ConvGeometry, to_hwnc

PIECE = 1 << 20
"""Bytes of one piece of patches: about a core's second-level cache."""


def forward_rows(x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None) -> Array:
    """y = patches(x) @ weight^T, piece by piece."""
    N, (F, CG, KH, KW), (OH, OW), G = len(x), weight.shape, geometry.output, groups
    filters = packed(weight.reshape(G, F // G, CG, KH, KW).transpose(0, 3, 4, 2, 1)).reshape(G, KH * KW * CG, F // G)
    y = empty((OH, OW, N, F), x.dtype)
    for first, last, patches in _patches(to_hwnc(x).transpose(HWNC), *forward_axes(geometry), G):
        piece = y[first:last]
        matmul_by_rows(patches, filters, _by_groups(piece, G))
        if finish is not None:
            finish(piece)
    return in_order_of(x, y)


def backward_rows(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """dweight = sum over pieces of patches(x)^T @ dy; dx = patches(dy) @ weight, the kernel reversed."""
    (F, CG, KH, KW), G = weight.shape, groups
    dyh = to_hwnc(dy).transpose(HWNC)  # (OH, OW, N, F)
    dfilters = empty((G, KH * KW * CG, F // G), x.dtype)
    dfilters.fill(0)
    for first, last, patches in _patches(to_hwnc(x).transpose(HWNC), *forward_axes(geometry), G):
        for g, dy_rows in enumerate(_by_groups(dyh[first:last], G)):  # (rows*OW*N, F/G)
            add_long_matmul(patches[g].T, dy_rows, dfilters[g])
    dweight = packed(dfilters.reshape(G, KH, KW, CG, F // G).transpose(0, 4, 3, 1, 2)).reshape(weight.shape)
    return (input_gradient(dyh, x, weight, geometry, G) if need_dx else None), dweight


def input_gradient(dyh: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int) -> Array:
    """dx, from dy as (OH, OW, N, F): one convolution with stride 1 for each of the SH*SW phases of the rows of x."""
    N, C, H, W = x.shape
    dx = empty((H, W, N, C), x.dtype)
    rows, columns = forward_axes(geometry)
    for row, column in product(phases(rows), phases(columns)):
        _fill_phase(dx[row.places, column.places], dyh, weight, row, column, groups)
    return in_order_of(x, dx)


def _fill_phase(out: Array, dyh: Array, weight: Array, row: Phase, column: Phase, G: int) -> None:
    """The numbers of dx (rows, columns, N, C) that meet the same elements of the kernel; zero if there are none."""
    elements = weight[:, :, row.elements, column.elements]
    F, CG, KH, KW = elements.shape
    if not elements.size:
        out[...] = 0
        return
    of_groups = elements.reshape(G, F // G, CG, KH, KW).transpose(0, 3, 4, 1, 2)
    filters = packed(of_groups).reshape(G, KH * KW * F // G, CG)
    room = None
    for first, last, patches in _patches(dyh, row.axis, column.axis, G):
        piece = out[first:last]
        if piece.flags.c_contiguous:
            matmul_by_rows(patches, filters, _by_groups(piece, G))
            continue
        room = empty(piece.shape, out.dtype) if room is None else room  # the first piece is the largest
        matmul_by_rows(patches, filters, _by_groups(room[: len(piece)], G))
        piece[...] = room[: len(piece)]


def packed(view: Array) -> Array:
    """A copy in C order, in memory that may be used again."""
    out = empty(view.shape, view.dtype)
    out[...] = view
    return out


def _by_groups(pixels: Array, G: int) -> Array:
    """(rows, OW, N, F) -> (G, rows*OW*N, F/G), a view."""
    return pixels.reshape(-1, G, pixels.shape[-1] // G).transpose(1, 0, 2)


# --- patches --------------------------------------------------------------------------------------------------------


def _patches(pixels: Array, rows: Axis, columns: Axis, G: int) -> Iterator[tuple[int, int, Array]]:
    """(first, last, patches) for a few output rows at a time.

    The patches (G, rows*OW*N, KH*KW*C/G) of the images (H, W, N, C) are valid until the next are made.
    """
    N, C = pixels.shape[2:]
    shape = (columns.output, N, rows.kernel, columns.kernel, C // G)
    count = even_pieces(rows.output, PIECE // max(1, int(np.prod(shape)) * G * pixels.itemsize))
    room = empty((G, count, *shape), pixels.dtype)
    slab = empty((_reach(rows, count), _reach(columns, columns.output), N, C), pixels.dtype)
    slab.fill(0)
    windows = _windows(slab, room.shape, rows, columns)
    for first in range(0, rows.output, count):
        last = min(first + count, rows.output)
        _fill_slab(slab, pixels, first * rows.stride - rows.before, -columns.before)
        part = room[:, : last - first]
        part[...] = windows[:, : last - first]
        yield first, last, part.reshape(G, -1, rows.kernel * columns.kernel * C // G)


def even_pieces(total: int, most: int) -> int:
    """The length of equally long pieces, at most `most` but at least 1, as few as possible.

    Examples
    --------
    >>> even_pieces(10, 8), even_pieces(10, 0)
    (5, 1)
    """
    return -(-total // -(-total // max(1, most)))


def _reach(axis: Axis, count: int) -> int:
    """How much of the input `count` neighbouring outputs look at."""
    return (count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1


def _fill_slab(slab: Array, pixels: Array, top: int, left: int) -> None:
    """slab[r, c] = pixels[top + r, left + c], and zero where that is outside; columns outside are zero already."""
    rows, columns = _inside(len(slab), len(pixels), top), _inside(slab.shape[1], pixels.shape[1], left)
    slab[: rows.start] = 0
    slab[rows.stop :] = 0
    slab[rows, columns] = pixels[
        rows.start + top : rows.stop + top,
        columns.start + left : columns.stop + left,
    ]


def _inside(length: int, size: int, start: int) -> slice:
    """Which of the indices start, start + 1, ... start + length - 1 are among 0 to size - 1."""
    first = min(max(0, -start), length)
    return slice(first, max(first, min(length, size - start)))


def _windows(slab: Array, shape: tuple[int, ...], rows: Axis, columns: Axis) -> Array:
    """The overlapping view (G, rows, OW, N, KH, KW, C/G) of all patches of a slab."""
    of_row, of_column, of_image, of_number = slab.strides
    strides = (
        shape[-1] * of_number,
        rows.stride * of_row,
        columns.stride * of_column,
        of_image,
        rows.dilation * of_row,
        columns.dilation * of_column,
        of_number,
    )
    return as_strided(slab, shape, strides, writeable=False)
