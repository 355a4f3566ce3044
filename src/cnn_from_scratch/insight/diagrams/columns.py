"""Patches become columns, and the convolution one matrix product."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import LimitError
from ...ops import ConvGeometry, conv_forward, conv_geometry, im2col
from ...ops.utils import check_rank, pad_sides
from ...typing import Array, Padding, Pair
from .. import style
from .grids import arrow, board, draw_grid, outline, padded_greys, shades, tint, window_colour, write

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
    rows = max(K, OH * (KH + 1) - 1, H) + 1.4
    title = f"im2col: {L} patches of {KH}×{KW} become {L} columns of {K}"
    patches, matrix = W + 2, W + 2 + OW * (KW + 1) + 2.2  # left edges
    figure, ax = board(
        matrix + L, rows, title, "One multiplication by this matrix does all the multiplications of a convolution."
    )
    middle = (rows + 1) / 2
    xp = pad_sides(x[None, None], geometry.padding)[0, 0]
    draw_grid(ax, xp, 0, middle - H / 2, name="image", fill=padded_greys(x, geometry))
    arrow(ax, (W + 0.4, middle), (patches - 0.4, middle))
    arrow(ax, (matrix - 2.6, middle), (matrix - 1.4, middle))
    fills = np.array([tint(window_colour(i), 0.3) for i in range(L)])  # (L, 3)
    for i, (oh, ow) in enumerate(np.ndindex(OH, OW)):
        _outline_window(ax, geometry, (oh, ow), middle - H / 2, window_colour(i), inset=0.07 * i % 0.3)
        top = middle - (OH * (KH + 1) - 1) / 2 + oh * (KH + 1)
        draw_grid(ax, cols[:, i].reshape(KH, KW), patches + ow * (KW + 1), top, fill=tuple(fills[i]))
    write(
        ax,
        patches + (OW * (KW + 1) - 1) / 2,
        middle - (OH * (KH + 1) - 1) / 2 - 0.3,
        "patches",
        style.SOFT,
        va="bottom",
    )
    draw_grid(ax, cols, matrix, middle - K / 2, name="columns", fill=np.broadcast_to(fills, (K, L, 3)))
    for row, (kh, kw) in enumerate(np.ndindex(KH, KW)):
        write(ax, matrix - 0.2, middle - K / 2 + row + 0.5, f"{kh},{kw}", style.SOFT, size=7, ha="right")
    return figure


def _outline_window(
    ax: Axes, geometry: ConvGeometry, position: tuple[int, int], top: float, colour: str, inset: float
) -> None:
    """A frame around all that a window sees."""
    (KH, KW), (SH, SW), (DH, DW) = geometry.kernel, geometry.stride, geometry.dilation
    size = DW * (KW - 1) + 1, DH * (KH - 1) + 1
    outline(ax, position[1] * SW, top + position[0] * SH, *size, colour, inset=inset)


def draw_product(x: Array, weight: Array, *, stride: Pair = 1, padding: Padding = 0) -> Figure:
    """The convolution as one matrix product: rows of filters times columns of patches.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    weight : (F, KH, KW)
        Filters.
    stride, padding
        As for `conv_forward`.

    Returns
    -------
    Figure

    Examples
    --------
    >>> draw_product(np.arange(9.0).reshape(3, 3), np.ones((2, 2, 2))).get_suptitle()
    'A convolution is one matrix product'
    """
    check_rank("draw_product", "x", x, "H W")
    check_rank("draw_product", "weight", weight, "F KH KW")
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    y, cache = conv_forward(x[None, None], weight[:, None], stride=stride, padding=padding, algorithm="im2col")
    cols = im2col(x[None, None], weight.shape[1:], stride=stride, padding=padding)[0]  # (K, L)
    F, (K, L), (OH, OW) = len(weight), cols.shape, cache.geometry.output
    rows, outputs = weight.reshape(F, K), y[0].reshape(F, L)
    caption = "Framed: the first filter times the second patch is the second pixel of the first output."
    middle = 1 + max(K, F * (OH + 1) - 1) / 2
    figure, ax = board(K + 2 * L + OW + 6, 2 * middle - 1, "A convolution is one matrix product", caption)
    fills = np.array([tint(window_colour(i), 0.3) for i in range(L)])
    one, left = min(1, L - 1), 0.0
    for name, numbers, fill, frame in (
        ("filters", rows, shades(rows), (0, K, 1)),
        ("columns", cols, np.broadcast_to(fills, (K, L, 3)), (one, 1, K)),
        ("output", outputs, np.broadcast_to(fills, (F, L, 3)), (one, 1, 1)),
    ):
        lines, columns = numbers.shape
        top = middle - lines / 2
        draw_grid(ax, numbers, left, top, name=f"{name} {lines}×{columns}", fill=fill)
        first, across, down = frame
        outline(ax, left + first, top, across, down, style.INK, width=2.2)
        left += columns + 1.5
        if name != "output":
            write(ax, left - 0.75, middle, "×" if name == "filters" else "=", style.SOFT, size=12)
    arrow(ax, (left - 1.2, middle), (left + 0.6, middle))
    for f in range(F):
        top = middle - (F * (OH + 1) - 1) / 2 + f * (OH + 1)
        draw_grid(ax, y[0, f], left + 1.3, top, name="" if f else "images", fill=fills.reshape(OH, OW, 3))
    return figure
