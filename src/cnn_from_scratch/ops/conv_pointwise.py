"""A kernel of one pixel: the convolution is one matrix product, and nothing has to be copied for it.

::

    x in memory                 (H*W*N, C)    a pixel of an image is one row of C numbers
    weight[:, :, 0, 0]^T        (C, F)
    y in memory                 (H*W*N, F)    = x @ weight^T

There are no patches: the images themselves are the rows. A stride leaves rows and columns out before the product, and
what was left out has the gradient zero; then each pixel of all images is a product of its own, (N, C) @ (C, F), and
nothing is copied: forward, with 16 to 32 and with 32 to 64 channels, 0.75 and 0.8 of the time of one product of a copy.
Output rows are taken a few at a time, so that a piece of y is still in the cache when it is finished, and a piece of dy
when it is used for the second time.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .blocked_matmul import matmul_by_rows
from .conv_output import Finish, in_order_of
from .conv_rows import even_pieces, packed
from .long_matmul import add_long_matmul
from .memory import empty
from .utils import HWNC, ConvGeometry, to_hwnc

PIECE = 1 << 21
"""Bytes of one piece of the wider of input and output."""

IMAGES = 8
"""So many images make a pixel worth a product of its own."""


def suits_pointwise(weight_shape: tuple[int, ...], geometry: ConvGeometry, groups: int) -> bool:
    """1x1, no padding, no groups; any stride."""
    return geometry.kernel == (1, 1) and geometry.padding == ((0, 0), (0, 0)) and groups == 1


def forward_pointwise(
    x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None
) -> Array:
    """y[oh, ow, n] = x[oh*SH, ow*SW, n] @ weight^T, a few output rows at a time."""
    (F, C), (OH, OW), N = weight.shape[:2], geometry.output, len(x)
    seen = _seen(to_hwnc(x).transpose(HWNC), geometry)  # (OH, OW, N, C)
    filters = packed(weight.reshape(F, C).T)
    y = empty((OH, OW, N, F), x.dtype)
    room = _room(seen, F)
    for first in range(0, OH, len(room)):
        piece = y[first : first + len(room)]
        _multiply(seen[first : first + len(room)], filters, piece, room)
        if finish is not None:
            finish(piece)
    return in_order_of(x, y)


def backward_pointwise(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool
) -> tuple[Array | None, Array]:
    """dx = dy @ weight where x was seen, else 0; dweight = dy^T @ x, summed over the pieces."""
    F, C = weight.shape[:2]
    seen = _seen(to_hwnc(x).transpose(HWNC), geometry)
    dyh = to_hwnc(dy).transpose(HWNC)  # (OH, OW, N, F)
    filters = weight.reshape(F, C)
    dfilters = empty((C, F), x.dtype)
    dfilters.fill(0)
    dx = empty(x.transpose(HWNC).shape, x.dtype) if need_dx else None
    if dx is not None and geometry.stride != (1, 1):
        dx.fill(0)
    room = _room(seen, F)
    for first in range(0, len(dyh), len(room)):
        part = slice(first, first + len(room))
        add_long_matmul(_as_rows(seen[part], room).T, dyh[part].reshape(-1, F), dfilters)
        if dx is not None:
            _multiply(dyh[part], filters, _seen(dx, geometry)[part], room)
    dweight = packed(dfilters.T).reshape(weight.shape)
    return (None if dx is None else in_order_of(x, dx)), dweight


def _seen(pixels: Array, geometry: ConvGeometry) -> Array:
    """The pixels that a kernel stands on: (H, W, N, C) -> (OH, OW, N, C)."""
    return pixels[geometry.rows(0), geometry.columns(0)]


def _room(seen: Array, F: int) -> Array:
    """Space for the rows of as many output rows as `PIECE` holds, at least one: (piece, OW, N, C)."""
    OH, OW, N, C = seen.shape
    count = PIECE // max(OW * N * max(C, F) * seen.itemsize, 1)
    return empty((even_pieces(OH, count), OW, N, C), seen.dtype)


def _as_rows(piece: Array, room: Array) -> Array:
    """(piece, OW, N, C) -> (piece*OW*N, C), copied into `room` where pixels were left out."""
    if not piece.flags.c_contiguous:
        room[: len(piece)] = piece
        piece = room[: len(piece)]
    return piece.reshape(-1, piece.shape[-1])


def _multiply(pixels: Array, filters: Array, out: Array, room: Array) -> None:
    """out = pixels @ filters; through `room`, where pixels were left out and each has too few images."""
    whole = pixels.flags.c_contiguous and out.flags.c_contiguous
    if not whole and pixels.shape[2] >= IMAGES:
        np.matmul(pixels, filters, out=out)
        return
    to = out if out.flags.c_contiguous else room[: len(out)]
    matmul_by_rows(_as_rows(pixels, room), filters, to.reshape(-1, to.shape[-1]))
    if to is not out:
        out[...] = to
