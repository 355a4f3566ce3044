"""The convolution as one matrix product."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...ops import conv_forward, im2col
from ...ops.utils import check_rank
from ...typing import Array, Padding, Pair
from .. import style
from .grids import arrow, board, draw_grid, outline, shades, tint, window_colour, write


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
    oh, ow = divmod(one, OW)
    outline(ax, left + 1.3 + ow, middle - (F * (OH + 1) - 1) / 2 + oh, 1, 1, style.INK, width=2.2)
    return figure
