"""The filter on its way over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...ops import ConvGeometry, conv_forward
from ...ops.utils import check_rank, pad_sides
from ...typing import Array, Padding, Pair
from .. import style
from .grids import board, draw_grid, outline, padded_greys, said, shades, tint, write


def draw_sliding_window(
    x: Array,
    weight: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    positions: Sequence[tuple[int, int]] | None = None,
) -> Figure:
    """A filter on its way over an image: at each position, patch times filter, summed, is one number of the output.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    weight : (KH, KW)
        One filter.
    stride, padding
        As for `conv_forward`.
    positions : sequence of (oh, ow), optional
        Which steps to show, a row each; the first two and the last if not given.

    Returns
    -------
    Figure

    Examples
    --------
    >>> draw_sliding_window(np.arange(9.0).reshape(3, 3), np.ones((2, 2))).get_suptitle()
    'A filter of 2×2 slides over an image of 3×3'
    """
    check_rank("draw_sliding_window", "x", x, "H W")
    check_rank("draw_sliding_window", "weight", weight, "KH KW")
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    y, cache = conv_forward(x[None, None], weight[None, None], stride=stride, padding=padding)
    (KH, KW), (H, W), (OH, OW) = cache.geometry.kernel, cache.geometry.padded, cache.geometry.output
    if positions is None:
        positions = list(dict.fromkeys([(0, 0), divmod(min(1, OH * OW - 1), OW), (OH - 1, OW - 1)]))
    height = max(H, KH, OH) + 1.4
    title = f"A filter of {KH}×{KW} slides over an image of {x.shape[0]}×{x.shape[1]}"
    caption = "Patch times filter, number by number; the sum is one pixel of the output."
    if cache.geometry.input != cache.geometry.padded:
        caption += " Yellow: zeros around the image."
    if cache.geometry.stride != (1, 1):
        caption += f" Steps of {cache.geometry.stride[0]} down and {cache.geometry.stride[1]} to the right."
    figure, ax = board(W + 3 * KW + OW + 6, len(positions) * height, title, caption)
    for step, position in enumerate(positions):
        _draw_step(ax, x, weight, y[0, 0], cache.geometry, position, step * height + 1)
    return figure


def _draw_step(
    ax: Axes, x: Array, weight: Array, y: Array, geometry: ConvGeometry, position: tuple[int, int], top: float
) -> None:
    """One row: image and window, patch times filter = products, output as far as it is known."""
    (KH, KW), (H, W), (SH, SW) = geometry.kernel, geometry.padded, geometry.stride
    oh, ow = position
    xp = pad_sides(x[None, None], geometry.padding)[0, 0]
    patch = xp[oh * SH : oh * SH + KH, ow * SW : ow * SW + KW]
    known = np.where(np.arange(y.size).reshape(y.shape) <= oh * y.shape[1] + ow, y, np.nan)
    middle = (H - KH) / 2
    draw_grid(ax, xp, 0, top, name="image", fill=padded_greys(x, geometry))
    outline(ax, ow * SW, top + oh * SH, KW, KH, style.BLUE, width=2.6)
    left = W + 1.5
    for name, numbers, fill, sign in (
        ("patch", patch, tint(style.BLUE), "×"),
        ("filter", weight, shades(weight), "="),
        ("products", patch * weight, "white", f"sum {said(y[position])}"),
    ):
        draw_grid(ax, numbers, left, top + middle, name=name, fill=fill)
        wide = len(sign) > 1
        write(ax, left + KW + (1.1 if wide else 0.5), top + H / 2, sign, colour=style.SOFT, size=9 if wide else 12)
        left += KW + 1
    left += 1.3
    draw_grid(ax, known, left, top + (H - len(y)) / 2, name="output")
    outline(ax, left + ow, top + (H - len(y)) / 2 + oh, 1, 1, style.BLUE, width=2.6)
