"""Patches become columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import LimitError
from ...ops import ConvGeometry, conv_geometry, im2col
from ...ops.utils import check_rank, pad_sides
from ...typing import Array, Padding, Pair
from .. import style
from .grids import arrow, board, draw_grid, outline, padded_greys, tint, window_colour, write

MOST_WINDOWS = 16
"""With more, nobody could tell them apart."""


def draw_im2col(x: Array, kernel_size: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1) -> Figure:
    """Every patch that the window sees becomes one column, in a colour of its own.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    kernel_size, stride, padding, dilation
        As for `im2col`.

    Returns
    -------
    Figure

    Raises
    ------
    LimitError
        If there are more than sixteen windows.

    Examples
    --------
    >>> draw_im2col(np.arange(9.0).reshape(3, 3), 2).get_suptitle()
    'im2col: 4 patches of 2×2 become 4 columns of 4'
    """
    check_rank("draw_im2col", "x", x, "H W")
    x = x.astype(np.float64)
    geometry = conv_geometry("draw_im2col", x.shape, kernel_size, stride, padding, dilation)
    cols = im2col(x[None, None], kernel_size, stride=stride, padding=padding, dilation=dilation)[0]
    (KH, KW), (H, W), (OH, OW) = geometry.kernel, geometry.padded, geometry.output
    K, L = cols.shape
    if L > MOST_WINDOWS:
        raise LimitError(f"draw_im2col: {L} windows are too many to draw; at most {MOST_WINDOWS}")
    parts = _Parts(x, cols, geometry, np.array([tint(window_colour(i), 0.3) for i in range(L)]))
    rows = max(K + 0.6, OH * (KH + 1) - 1, H) + 1.4
    patches, matrix = W + 2, W + 2 + OW * (KW + 1) + 2.7  # left edges
    pixel, count = _most_copied(geometry)
    title = f"im2col: {L} patches of {KH}×{KW} become {L} columns of {K}"
    caption = "A row for each place kh,kw in the window; a column for each place oh,ow of the window."
    if count > 1:
        caption += f" Black: one pixel, seen by {count} windows, is copied into {count} columns."
    figure, ax = board(matrix + L, rows, title, caption)
    middle = (rows + 1) / 2
    _draw_image(ax, parts, middle - H / 2, pixel)
    arrow(ax, (W + 0.4, middle), (patches - 0.4, middle))
    _draw_patches(ax, parts, patches, middle - (OH * (KH + 1) - 1) / 2, pixel)
    arrow(ax, (matrix - 3.3, middle), (matrix - 1.8, middle))
    _draw_matrix(ax, parts, matrix, middle - K / 2 + 0.3, pixel)
    return figure


class _Parts(NamedTuple):
    """What is drawn."""

    x: Array  # (H, W), without padding
    cols: Array  # (KH*KW, OH*OW)
    geometry: ConvGeometry
    fills: Array  # (OH*OW, 3), a colour for each window


def _places(geometry: ConvGeometry) -> Array:
    """Which pixel of the padded image each number of the columns is: its place in C order, (KH*KW, OH*OW)."""
    H, W = geometry.padded
    numbers = np.arange(H * W, dtype=np.float64).reshape(1, 1, H, W)
    places: Array = im2col(numbers, geometry.kernel, stride=geometry.stride, dilation=geometry.dilation)[0]
    return places.astype(np.int64)


def _most_copied(geometry: ConvGeometry) -> tuple[int, int]:
    """The pixel that most windows see, and how many do."""
    counts = np.bincount(_places(geometry).ravel())
    return int(counts.argmax()), int(counts.max())


def _draw_image(ax: Axes, parts: _Parts, top: float, pixel: int) -> None:
    """The image with a frame for each window; a little inwards, so that all of them are seen."""
    geometry = parts.geometry
    (KH, KW), (SH, SW), (DH, DW) = geometry.kernel, geometry.stride, geometry.dilation
    xp = pad_sides(parts.x[None, None], geometry.padding)[0, 0]
    draw_grid(ax, xp, 0, top, name="image", fill=padded_greys(parts.x, geometry))
    size = DW * (KW - 1) + 1, DH * (KH - 1) + 1
    for i, (oh, ow) in enumerate(np.ndindex(*geometry.output)):
        outline(ax, ow * SW, top + oh * SH, *size, window_colour(i), inset=0.07 * i % 0.3)
    _mark(ax, pixel % xp.shape[1], top + pixel // xp.shape[1])


def _draw_patches(ax: Axes, parts: _Parts, left: float, top: float, pixel: int) -> None:
    """What each window sees, as the windows lie."""
    (KH, KW), (OH, OW) = parts.geometry.kernel, parts.geometry.output
    places = _places(parts.geometry)
    write(ax, left + (OW * (KW + 1) - 1) / 2, top - 0.3, "patches", style.SOFT, size=8.5, va="bottom")
    for i, (oh, ow) in enumerate(np.ndindex(OH, OW)):
        corner = left + ow * (KW + 1), top + oh * (KH + 1)
        draw_grid(ax, parts.cols[:, i].reshape(KH, KW), *corner, fill=tuple(parts.fills[i]))
        for row in np.flatnonzero(places[:, i] == pixel):
            _mark(ax, corner[0] + row % KW, corner[1] + row // KW)


def _draw_matrix(ax: Axes, parts: _Parts, left: float, top: float, pixel: int) -> None:
    """The columns; beside them which (kh, kw) a row is, above them which (oh, ow) a column."""
    K, L = parts.cols.shape
    draw_grid(ax, parts.cols, left, top, fill=np.broadcast_to(parts.fills, (K, L, 3)))
    write(ax, left + L / 2, top - 1, "columns", style.SOFT, size=8.5, va="bottom")
    for row, column in np.argwhere(_places(parts.geometry) == pixel):
        _mark(ax, left + column, top + row)
    for row, (kh, kw) in enumerate(np.ndindex(*parts.geometry.kernel)):
        write(ax, left - 0.25, top + row + 0.5, f"{kh},{kw}", style.SOFT, size=7, ha="right")
    for column, (oh, ow) in enumerate(np.ndindex(*parts.geometry.output)):
        write(ax, left + column + 0.5, top - 0.25, f"{oh},{ow}", style.SOFT, size=7, va="bottom")


def _mark(ax: Axes, left: float, top: float) -> None:
    """The pixel that the caption speaks of, wherever it is."""
    outline(ax, left, top, 1, 1, style.INK, width=1.8)
