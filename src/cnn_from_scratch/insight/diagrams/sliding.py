"""The filter on its way over the image, in motion."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ...errors import LimitError
from ...ops import conv_forward, im2col
from ...ops.utils import check_rank, pad_sides
from ...typing import Array, Padding, Pair
from .. import style
from ..animation import Animation
from .grids import board, draw_grid, outline, padded_greys, said, shades, write

MOST_STEPS = 36
"""With more, nobody would wait for the last one."""


def animate_sliding_window(
    x: Array, weight: Array, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1, seconds: float = 1.6
) -> Animation:
    """A filter slides over an image: under it the products, below their sum, and the output fills up.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    weight : (KH, KW)
        One filter.
    stride, padding, dilation
        As for `conv_forward`.
    seconds : float
        How long each position is seen.

    Returns
    -------
    Animation
        A step for each pixel of the output, for `save_animation`.

    Raises
    ------
    LimitError
        If the output has more than 36 pixels.

    Examples
    --------
    >>> animation = animate_sliding_window(np.arange(9.0).reshape(3, 3), np.ones((2, 2)))
    >>> animation.show(0)
    >>> [text.get_text() for text in animation.figure.axes[0].texts if text.get_visible()][-2:]
    ['0 + 1 + 3 + 4 = 8', '8']
    """
    check_rank("animate_sliding_window", "x", x, "H W")
    check_rank("animate_sliding_window", "weight", weight, "KH KW")
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    y, cache = conv_forward(x[None, None], weight[None, None], **options)  # type: ignore[arg-type]
    geometry, y = cache.geometry, y[0, 0]
    if y.size > MOST_STEPS:
        raise LimitError(f"animate_sliding_window: {y.size} positions are too many to show; at most {MOST_STEPS}")
    (KH, KW), (SH, SW), (DH, DW) = geometry.kernel, geometry.stride, geometry.dilation
    cols = im2col(x[None, None], (KH, KW), **options)[0]  # type: ignore[arg-type]  # (KH*KW, OH*OW)
    xp = pad_sides(x[None, None], geometry.padding)[0, 0]
    positions = list(np.ndindex(*y.shape))
    title = f"A filter of {KH}×{KW} slides over an image of {x.shape[0]}×{x.shape[1]}"
    caption = "Window times filter, number by number, added up: one number of the output."
    width = sum(grid.shape[1] for grid in (xp, weight, weight, y)) + 3 * GAP
    figure, ax = board(width, max(len(xp), KH, len(y)) + 2.6, title, caption)
    places = _draw_still(ax, xp, weight, y, padded_greys(x, geometry))
    animation = Animation(figure, y.size, seconds)
    for step, position in enumerate(positions):
        products = (cols[:, step] * weight.ravel()).reshape(KH, KW)
        with animation.during(ax, step, step):
            draw_grid(ax, products, *places["products"], name="products", fill=shades(products))
            write(
                ax, width / 2, max(len(xp), KH, len(y)) + 1.9, f"{added_up(products)} = {said(y[position])}", size=9.5
            )
        with animation.during(ax, step):
            _write_in(ax, *places["output"], position, said(y[position]))
    _slide(animation, ax, places["image"], positions, (SH, SW), (DH * (KH - 1) + 1, DW * (KW - 1) + 1))
    _slide(animation, ax, places["output"], positions, (1, 1), (1, 1))
    return animation


GAP = 1.5
"""Cells between two grids."""


def _draw_still(ax: Axes, xp: Array, weight: Array, y: Array, fill: Array) -> dict[str, tuple[float, float]]:
    """What stays: image, filter, an empty output; and where the upper left corner of each grid is."""
    middle, left, places = 1 + max(len(xp), len(weight), len(y)) / 2, 0.0, {}
    for name, grid, sign in (("image", xp, "×"), ("filter", weight, "="), ("products", weight, "→"), ("output", y, "")):
        places[name] = left, middle - len(grid) / 2
        left += grid.shape[1] + GAP
        write(ax, left - GAP / 2, middle, sign, style.SOFT, size=12)
    draw_grid(ax, xp, *places["image"], name="image", fill=fill)
    draw_grid(ax, weight, *places["filter"], name="filter", fill=shades(weight))
    draw_grid(ax, np.full(y.shape, np.nan), *places["output"], name="output")
    return places


def _write_in(ax: Axes, left: float, top: float, cell: tuple[int, ...], words: str) -> None:
    """Words in one cell of a grid."""
    write(ax, left + cell[1] + 0.5, top + cell[0] + 0.52, words, size=8.5 if len(words) <= 3 else 7)


def _slide(
    animation: Animation,
    ax: Axes,
    place: tuple[float, float],
    positions: list[tuple[int, ...]],
    stride: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """A blue frame of so many rows and columns that goes over a grid."""
    corners = [(place[0] + ow * stride[1], place[1] + oh * stride[0]) for oh, ow in positions]
    outline(ax, *corners[-1], size[1], size[0], style.BLUE, width=2.6)
    frame = ax.patches[-1]
    assert isinstance(frame, Rectangle)
    animation.slide(frame, corners)


def added_up(numbers: Array) -> str:
    """A sum as it is written.

    Examples
    --------
    >>> added_up(np.array([1.0, -2.0, 0.5]))
    '1 − 2 + 0.5'
    """
    first, *others = (said(float(number)) for number in numbers.flat)
    return first + "".join(f" − {words[1:]}" if words[0] == "−" else f" + {words}" for words in others)
