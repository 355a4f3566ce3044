"""Winograd's convolution in a plane: overlapping tiles, 16 multiplications where the definition needs 36."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...ops import conv_forward
from ...ops.utils import check_shape
from ...typing import Array
from .. import style
from .grids import arrow, board, draw_grid, greys, outline, shades, tint, window_colour, write
from .winograd_row import PRODUCT, matrices


def draw_winograd(x: Array, weight: Array) -> Figure:
    """F(2×2, 3×3) on an image of four tiles: the way of the first tile with all its numbers.

    Parameters
    ----------
    x : (6, 6)
        A small image, of any numbers.
    weight : (3, 3)
        A filter.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not (6, 6) or weight not (3, 3).

    References
    ----------
    Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2016), section 4.1. https://arxiv.org/abs/1509.09308

    Examples
    --------
    >>> draw_winograd(np.ones((6, 6)), np.ones((3, 3))).get_suptitle()
    'Winograd in two dimensions: 16 multiplications for a tile, not 36'
    """
    check_shape("draw_winograd", "x", x, (6, 6))
    check_shape("draw_winograd", "weight", weight, (3, 3))
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    y = conv_forward(x[None, None], weight[None, None], algorithm="winograd2")[0][0, 0]
    BT, G, AT = matrices()
    V, U = BT @ x[:4, :4] @ BT.T, G @ weight @ G.T
    title = "Winograd in two dimensions: 16 multiplications for a tile, not 36"
    caption = (
        "Tiles of 4×4 overlap by two rows and columns, and each gives 2×2 outputs. With more channels, "
        "the products of all channels are added up before the last step."
    )
    figure, ax = board(RIGHT + 4.1, BOTTOM + 4.2, title, caption)
    _draw_inputs(ax, x, V)
    _draw_filter(ax, weight, U)
    _draw_outputs(ax, V * U, AT @ (V * U) @ AT.T, y)
    return figure


MIDDLE, RIGHT = 8.2, 17.4
"""Left edges of the second and the third column of grids; the first begins at 0."""

TOP, CENTRE, BOTTOM = 1.2, 7.8, 14.3
"""Top edges of the three rows of grids: inputs, filter, products."""


def _draw_inputs(ax: Axes, x: Array, V: Array) -> None:
    """The image with the frames of its tiles, the first tile, what becomes of it."""
    draw_grid(ax, x, 0, TOP, name="image, four tiles", fill=greys(x))
    for i, (row, column) in enumerate(np.ndindex(2, 2)):
        outline(ax, 2 * column, TOP + 2 * row, 4, 4, window_colour(i), inset=0.03 + 0.065 * i, width=2.2)
    arrow(ax, (6.3, TOP + 2), (MIDDLE - 0.3, TOP + 2), window_colour(0))
    draw_grid(ax, x[:4, :4], MIDDLE, TOP, name="first tile d", fill=tint(window_colour(0), 0.3))
    _pass_on(ax, TOP + 2, "Bᵀ d B", MIDDLE + 4)
    draw_grid(ax, V, RIGHT, TOP)


def _draw_filter(ax: Axes, weight: Array, U: Array) -> None:
    """The filter, and what becomes of it, once for all tiles."""
    words = f"by the definition\n{style.times(2, 2, 3, 3)} = {4 * weight.size}\nmultiplications"
    write(ax, 3, CENTRE + 2, words, style.SOFT)
    draw_grid(ax, weight, MIDDLE + 0.5, CENTRE + 0.5, name="filter g", fill=shades(weight))
    _pass_on(ax, CENTRE + 2, "G g Gᵀ", MIDDLE + 4)
    write(ax, RIGHT + 2, (TOP + 4 + CENTRE) / 2, "× number by number", style.SOFT, size=8.5)
    draw_grid(ax, U, RIGHT, CENTRE)
    write(ax, RIGHT + 2, CENTRE + 4.9, "=", style.SOFT, size=12)


def _draw_outputs(ax: Axes, products: Array, first: Array, y: Array) -> None:
    """The products, the outputs of the first tile, and their place among those of all four."""
    draw_grid(ax, products, RIGHT, BOTTOM, name="16 products m", fill=PRODUCT)
    _pass_on(ax, BOTTOM + 2, "Aᵀ m A", MIDDLE + 4, back=True)
    draw_grid(ax, first, MIDDLE + 1, BOTTOM + 1, fill=tint(window_colour(0), 0.3))
    arrow(ax, (MIDDLE + 0.7, BOTTOM + 2), (5.3, BOTTOM + 2), window_colour(0))
    fills = np.array([tint(window_colour(i), 0.3) for i in range(4)]).reshape(2, 2, 3)
    draw_grid(ax, y, 1, BOTTOM, name="output", fill=fills.repeat(2, axis=0).repeat(2, axis=1))
    outline(ax, 1, BOTTOM, 2, 2, window_colour(0), width=2.4)


def _pass_on(ax: Axes, y: float, words: str, start: float, *, back: bool = False) -> None:
    """An arrow between the second and the third column, with the formula above it."""
    places = (start + 0.4, y), (RIGHT - 0.4, y)
    arrow(ax, *(places[::-1] if back else places))
    write(ax, (start + RIGHT) / 2, y - 0.35, words, va="bottom")
