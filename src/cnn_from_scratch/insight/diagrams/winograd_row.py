"""Winograd's trick in a row: additions before and after, and 4 multiplications between instead of 6."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...ops import conv_forward
from ...ops.utils import check_shape
from ...ops.winograd import AT, BT, G
from ...typing import Array
from .. import style
from .grids import board, draw_grid, greys, outline, shades, tint, write

PRODUCT = tint(style.YELLOW, 0.45)
"""The colour of what is multiplied."""


def matrices() -> tuple[Array, Array, Array]:
    """B^T (4, 4), G (4, 3) and A^T (2, 4) of F(2, 3), those that `conv_forward` uses."""
    inputs, weights, outputs = (np.array(matrix[2], np.float64) for matrix in (BT, G, AT))
    return inputs, weights, outputs


def draw_winograd_row(d: Array, g: Array) -> Figure:
    """F(2, 3): two outputs of three weights, by the definition with 6 multiplications and by Winograd's way with 4.

    Parameters
    ----------
    d : (4,)
        Neighbouring inputs.
    g : (3,)
        A filter.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If there are not four inputs and three weights.

    References
    ----------
    Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2016), section 4.1. https://arxiv.org/abs/1509.09308

    Examples
    --------
    >>> draw_winograd_row(np.arange(4.0), np.ones(3)).get_suptitle()
    'Winograd in one dimension: 4 multiplications instead of 6'
    """
    check_shape("draw_winograd_row", "d", d, (4,))
    check_shape("draw_winograd_row", "g", g, (3,))
    d, g = d.astype(np.float64), g.astype(np.float64)
    y = conv_forward(d[None, None, None], g[None, None, None])[0].ravel()
    title = "Winograd in one dimension: 4 multiplications instead of 6"
    caption = (
        "Yellow: multiplications. The matrix products with B and A only add and subtract; what Gᵀ makes of a filter "
        "serves all images."
    )
    figure, ax = board(WIDTH, 20.0, title, caption)
    _draw_definition(ax, d, g, y, 1.8)
    _draw_transforms(ax, d, g, 7.1)
    return figure


WIDTH, LEFT = 23.4, 0.0
"""Cells: across the picture, left edge of the inputs."""

SHARED = 11.6
"""Left edge of what is multiplied with each other."""

WORDS = {"d": "inputs", "g": "filter"}


def combination(factors: Array, letter: str) -> str:
    """What a column of B or G^T makes of numbers.

    Examples
    --------
    >>> combination(np.array([1, 0, -1, 0]), "d"), combination(np.array([0.5, -0.5, 0.5]), "g")
    ('d0 − d2', '(g0 − g1 + g2) / 2')
    """
    size = np.abs(factors).max()
    places = sorted(np.flatnonzero(factors), key=lambda i: i != factors.argmax())  # one with a plus comes first
    words = " ".join(f"{'+' if factors[i] > 0 else '−'} {letter}{i}" for i in places).removeprefix("+ ")
    return words if size == 1 else f"({words}) / {1 / size:.0f}"


def _draw_definition(ax: Axes, d: Array, g: Array, y: Array, top: float) -> None:
    """The filter at both places: patch times filter, summed."""
    write(ax, 0, top - 1.4, "By the definition: 6 multiplications", size=10, ha="left")
    fills = greys(d[None])
    for i in range(2):
        row, patch = top + 1.4 * i, d[i : i + 3]
        draw_grid(ax, d[None], LEFT, row, name="" if i else "inputs d", fill=fills)
        outline(ax, LEFT + i, row, 3, 1, style.BLUE, width=2.4)
        write(ax, LEFT + 4.9, row + 0.5, "×", style.SOFT, size=12)
        draw_grid(ax, g[None], LEFT + 5.8, row, name="" if i else "filter g", fill=shades(g[None]))
        write(ax, LEFT + 10.7, row + 0.5, "=", style.SOFT, size=12)
        draw_grid(ax, (patch * g)[None], SHARED, row, name="" if i else "products", fill=PRODUCT)
        write(ax, SHARED + 5.1, row + 0.5, "add up", style.SOFT)
        draw_grid(ax, y[i : i + 1, None], SHARED + 7.2, row, name="" if i else "output", fill=tint(style.BLUE))


def _draw_transforms(ax: Axes, d: Array, g: Array, top: float) -> None:
    """(d B) * (g G^T) = m, then m A = y, all of them rows."""
    write(ax, 0, top - 1.4, "By Winograd: 4 multiplications", size=10, ha="left")
    inputs, weights, outputs = matrices()
    transformed = []
    for row, name, numbers, matrix, fill in (
        (top, "d", d, inputs.T, greys(d[None])),
        (top + 5.6, "g", g, weights.T, shades(g[None])),
    ):
        middle = row + len(matrix) / 2
        transformed.append(numbers @ matrix)
        draw_grid(ax, numbers[None], LEFT, middle - 0.5, name=f"{WORDS[name]} {name}", fill=fill)
        write(ax, LEFT + 4.9, middle, "×", style.SOFT, size=12)
        draw_grid(ax, matrix, LEFT + 5.8, row, name="B" if name == "d" else "Gᵀ", fill=shades(matrix, strength=0.3))
        write(ax, LEFT + 10.7, middle, "=", style.SOFT, size=12)
        draw_grid(ax, transformed[-1][None], SHARED, middle - 0.5)
        first, second, third, fourth = (combination(column, name) for column in matrix.T)
        words = f"{first},   {second},\n{third},   {fourth}"
        write(ax, SHARED + 4.6, middle, words, style.SOFT, size=8.5, ha="left")
    m, row = transformed[0] * transformed[1], top + 10.3
    write(ax, SHARED + 2, (top + 2 + top + 7.1) / 2, "× number by number", style.SOFT, size=8.5)
    write(ax, SHARED + 2, (top + 7.1 + row + 0.5) / 2, "=", style.SOFT, size=12)
    draw_grid(ax, m[None], SHARED, row, fill=PRODUCT)
    write(ax, SHARED + 4.9, row + 0.5, "×", style.SOFT, size=12)
    draw_grid(ax, outputs.T, SHARED + 5.8, row - 1.5, name="A", fill=shades(outputs.T, strength=0.3))
    write(ax, SHARED + 8.7, row + 0.5, "=", style.SOFT, size=12)
    draw_grid(ax, (m @ outputs.T)[None], SHARED + 9.6, row, name="output", fill=tint(style.BLUE))
