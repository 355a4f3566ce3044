"""The same images in two orders of memory: which numbers lie side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import LimitError
from ...ops.utils import check_rank, to_hwnc
from ...typing import Array
from .. import style
from .grids import board, draw_grid, outline, tint, window_colour, write

MOST_NUMBERS = 32
"""With more, memory would not fit on a line."""


def draw_memory_order(x: Array) -> Figure:
    """Images as they are thought of, and as they lie in memory: (N, C, H, W), or (H, W, N, C) behind the same shape.

    Parameters
    ----------
    x : (N, C, H, W)
        Few and small images, of any numbers.

    Returns
    -------
    Figure

    Raises
    ------
    LimitError
        If there are more than 32 numbers.

    Examples
    --------
    >>> draw_memory_order(np.zeros((2, 3, 2, 2), np.float32)).get_suptitle()
    'One shape, 2 × 3 × 2 × 2, two orders of memory'
    """
    check_rank("draw_memory_order", "x", x, "N C H W")
    N, C, H, W = x.shape
    if not 0 < x.size <= MOST_NUMBERS:
        raise LimitError(f"draw_memory_order: x must hold 1 to {MOST_NUMBERS} numbers, got {x.size}")
    title = f"One shape, {style.times(*x.shape)}, two orders of memory"
    caption = (
        "A colour for each channel. Framed: pixel (0, 0) of every channel and image. (H, W, N, C) keeps it together, "
        "so that what is done to pixels (padding, pooling, windows) runs over long pieces of memory."
    )
    width = max(20, x.size, N * (C * (W + 0.4) + 1.2))
    figure, ax = board(width, H + 8.2, title, caption)
    left = 0.0
    for n in range(N):
        for c in range(C):
            draw_grid(ax, x[n, c], left, 1.2, fill=tint(window_colour(c), 0.3))
            outline(ax, left, 1.2, 1, 1, style.INK, width=1.8)
            left += W + 0.4
        middle = left - C * (W + 0.4) / 2 - 0.2
        write(
            ax,
            middle,
            0.9,
            f"image {n}, channels 0 to {C - 1}" if C > 1 else f"image {n}",
            style.SOFT,
            size=8.5,
            va="bottom",
        )
        left += 1.2
    for i, (order, lying) in enumerate({"N, C, H, W": np.ascontiguousarray(x), "H, W, N, C": to_hwnc(x)}.items()):
        values, places, strides = _as_it_lies(lying)
        name = f"memory in order ({order}): one step along N, C, H, W is {', '.join(map(str, strides))} numbers"
        _draw_strip(ax, H + 3.3 + 3 * i, name, values, places)
    return figure


def _as_it_lies(x: Array) -> tuple[Array, Array, Sequence[int]]:
    """What memory holds, number after number; which (n, c, h, w) each is, (4, size); how far neighbours are apart."""
    strides = [step // x.itemsize for step in x.strides]
    places = np.indices(x.shape).reshape(4, -1)
    order = np.argsort(np.array(strides) @ places, kind="stable")
    return x[tuple(places)][order], places[:, order], strides


def _draw_strip(ax: Axes, top: float, name: str, values: Array, places: Array) -> None:
    """Memory from left to right."""
    fills = np.array([tint(window_colour(c), 0.3) for c in places[1]])[None]
    draw_grid(ax, values[None], 0, top, fill=fills)
    write(ax, 0, top - 0.3, name, style.SOFT, size=8.5, ha="left", va="bottom")
    framed = np.flatnonzero((places[2] == 0) & (places[3] == 0))
    for run in np.split(framed, np.flatnonzero(np.diff(framed) > 1) + 1):  # cells side by side share a frame
        outline(ax, run[0], top, len(run), 1, style.INK, width=1.8)
