"""Pooling both ways: which number of a window goes on, and to which pixels its gradient comes back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...errors import LimitError, ShapeError
from ...ops import avg_pool_backward, avg_pool_forward, max_pool_backward, max_pool_forward
from ...ops.utils import check_rank, check_shape, pair
from ...typing import Array, Pair
from .. import style
from .grids import arrow, board, draw_grid, tint, window_colour, write

MOST_WINDOWS = 6
"""As many as there are colours to tell them apart."""


def draw_pooling(x: Array, kernel_size: Pair, *, dy: Array | None = None) -> Figure:
    """Max and average pooling of one image, windows side by side: values forward, gradients backward.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    kernel_size : int or (KH, KW)
        Size of the windows, which is also the step between them; it must divide the image.
    dy : (OH, OW), optional
        The gradient that arrives at the output; KH*KW, 2*KH*KW, ... if not given, which the average divides evenly.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is no (H, W) image, the windows do not divide it, or dy does not have the shape of the output.
    LimitError
        If there are more than six windows.

    Examples
    --------
    >>> draw_pooling(np.arange(16.0).reshape(4, 4), 2).get_suptitle()
    'Max pooling sends its gradient to one pixel, average pooling to all'
    """
    check_rank("draw_pooling", "x", x, "H W")
    (KH, KW), (H, W) = pair("draw_pooling", "kernel_size", kernel_size, minimum=1), x.shape
    if H % KH or W % KW:
        raise ShapeError(f"draw_pooling: windows of {KH}x{KW} must divide the image, got x {x.shape}")
    OH, OW = H // KH, W // KW
    if OH * OW > MOST_WINDOWS:
        raise LimitError(f"draw_pooling: {OH * OW} windows are too many to draw; at most {MOST_WINDOWS}")
    dy = np.arange(1.0, OH * OW + 1).reshape(OH, OW) * KH * KW if dy is None else dy
    check_shape("draw_pooling", "dy", dy, (OH, OW))
    highest, mean = (_pool(ops, x, (KH, KW), dy) for ops in (MAX, AVERAGE))
    first = _pool(MAX, x, (KH, KW), np.ones_like(dy, np.float64)).dx == 1
    tied = (np.kron(highest.y, np.ones((KH, KW))) == x) & ~first
    caption = "Framed: the maximum of its window."
    if tied.any():
        caption += " Dashed: as large, but later, row by row; the first maximum takes the whole gradient."
    panel, tops = W + BETWEEN + OW, (2.3, H + 4.0)
    title = "Max pooling sends its gradient to one pixel, average pooling to all"
    figure, ax = board(LEFT + 2 * panel + APART, tops[1] + H + 0.1, title, caption)
    for top, name, colour in zip(tops, ("forward", "backward"), (style.BLUE, style.ORANGE), strict=True):
        write(ax, 0, top + H / 2, name, colour, size=9.5, ha="left")
        _frame(ax, first, LEFT, top, "-")
        _frame(ax, tied, LEFT, top, (0, (2, 1.2)))
    for left, name, pooled in ((LEFT, "max", highest), (LEFT + panel + APART, "average", mean)):
        write(ax, left + W / 2, 0.5, f"{name} pooling of {KH}×{KW}", size=10)
        _draw_both_ways(ax, left, tops, pooled)
    return figure


MAX, AVERAGE = (max_pool_forward, max_pool_backward), (avg_pool_forward, avg_pool_backward)


class Pooled(NamedTuple):
    """What a pool makes of an image, and of the gradient that comes back."""

    x: Array  # (H, W)
    y: Array  # (OH, OW)
    dy: Array  # (OH, OW)
    dx: Array  # (H, W)


def _pool(ops: tuple[Any, Any], x: Array, kernel: tuple[int, int], dy: Array) -> Pooled:
    """One image through a pool and back, in float64."""
    (forward, backward), x, dy = ops, x.astype(np.float64), dy.astype(np.float64)
    y, cache = forward(x[None, None], kernel)
    return Pooled(x, y[0, 0], dy, backward(dy[None, None], cache)[0, 0])


LEFT, BETWEEN, APART = 3.2, 2.4, 2.0
"""Cells: for the words at the left, between an input and its output, between the two panels."""


def _draw_both_ways(ax: Axes, left: float, tops: tuple[float, float], pooled: Pooled) -> None:
    """x and y above, dx and dy below, each window in its colour."""
    (H, W), (OH, OW) = pooled.x.shape, pooled.y.shape
    small = np.array([tint(window_colour(i), 0.3) for i in range(OH * OW)]).reshape(OH, OW, 3)
    large = small.repeat(H // OH, axis=0).repeat(W // OW, axis=1)  # (H, W, 3)
    right, down = left + W + BETWEEN, (H - OH) / 2
    start, end = left + W + 0.35, right - 0.35
    for top, wide, narrow in zip(tops, ("x", "dx"), ("y", "dy"), strict=True):
        draw_grid(ax, getattr(pooled, wide), left, top, name=wide, fill=large)
        draw_grid(ax, getattr(pooled, narrow), right, top + down, name=narrow, fill=small)
    arrow(ax, (start, tops[0] + H / 2), (end, tops[0] + H / 2), style.BLUE)
    arrow(ax, (end, tops[1] + H / 2), (start, tops[1] + H / 2), style.ORANGE)


def _frame(ax: Axes, where: Array, left: float, top: float, dashes: str | tuple[float, tuple[float, float]]) -> None:
    """A frame around some cells of a grid."""
    for row, column in np.argwhere(where):
        corner = left + column + 0.06, top + row + 0.06
        ax.add_patch(
            Rectangle(corner, 0.88, 0.88, fill=False, edgecolor=style.INK, linewidth=1.8, linestyle=dashes, zorder=3)
        )
