"""The way back: where windows overlap, gradients add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ...ops import col2im, im2col
from ...typing import Array, Pair
from .. import style
from .grids import board, draw_grid


def draw_overlaps(input_size: tuple[int, int], kernel_size: Pair, strides: Sequence[int] = (1, 2, 3)) -> Figure:
    """How many windows see each pixel, for some strides: col2im of ones.

    Parameters
    ----------
    input_size : (H, W)
    kernel_size : int or (KH, KW)
    strides : sequence of int

    Returns
    -------
    Figure

    Examples
    --------
    >>> draw_overlaps((8, 8), 2, (1, 2)).get_suptitle()
    'col2im adds overlaps: how many windows see each pixel'
    """
    H, W = input_size
    caption = "Each window sends its gradient back to the pixels that it saw. Where windows overlap, gradients add up."
    title = "col2im adds overlaps: how many windows see each pixel"
    figure, ax = board(len(strides) * (W + 1) - 1, H + 1.2, title, caption)
    counts = [_windows_over(input_size, kernel_size, stride) for stride in strides]
    most = max(int(count.max()) for count in counts)
    for i, (stride, count) in enumerate(zip(strides, counts, strict=True)):
        fill = style.RIGHT(0.75 * count / most)[..., :3]
        draw_grid(ax, count, i * (W + 1), 1, name=f"stride {stride}", fill=fill)
    return figure


def _windows_over(input_size: tuple[int, int], kernel_size: Pair, stride: int) -> Array:
    """How many windows see each pixel, (H, W)."""
    shape = (1, 1, *input_size)
    ones = np.ones_like(im2col(np.zeros(shape), kernel_size, stride=stride))
    counts: Array = col2im(ones, shape, kernel_size, stride=stride)[0, 0]
    return counts
