"""Small arrays drawn as grids of numbers: what the diagrams are made of.

Everything lies on a board whose unit is one cell, with y pointing down, as rows are counted.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from ...ops import ConvGeometry
from ...typing import Array
from .. import style

CELL = 0.32
"""Inches of one cell."""

WINDOW_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PINK, style.YELLOW, style.SKY)
"""For windows and what becomes of them."""

Colour = str | tuple[float, float, float]


def board(columns: float, rows: float, title: str, caption: str) -> tuple[Figure, Axes]:
    """A figure with room for so many cells."""
    figure, (ax,) = style.stack(title, caption, [rows * CELL], width=columns * CELL)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    ax.set_axis_off()
    return figure, ax


def draw_grid(
    ax: Axes,
    numbers: Array,
    left: float,
    top: float,
    *,
    name: str = "",
    fill: Colour | Array = "white",
    wide: float = 1,
) -> None:
    """A 2-d array with its upper left corner at (left, top), a name above it, cells filled in one or many colours.

    NaN is an empty cell. `fill` is a colour, or an array of them, (rows, columns, 3). A cell is `wide` units wide.
    """
    rows, columns = numbers.shape
    colours = np.broadcast_to(np.array(to_rgb(fill) if isinstance(fill, str | tuple) else fill), (rows, columns, 3))
    places = list(np.ndindex(rows, columns))
    cells = [Rectangle((left + column * wide, top + row), wide, 1) for row, column in places]
    faces = [tuple(colours[place]) for place in places]
    ax.add_collection(PatchCollection(cells, facecolor=faces, edgecolor=style.FAINT, linewidth=0.7, clip_on=False))
    for row, column in places:
        if not np.isnan(numbers[row, column]):
            ink = style.INK if colours[row, column].mean() > 0.5 else "white"
            words = said(float(numbers[row, column]))
            size = 8.5 if len(words) <= 4 * wide - 1 else 7
            write(ax, left + (column + 0.5) * wide, top + row + 0.52, words, ink, size=size)
    outline(ax, left, top, columns * wide, rows, style.SOFT, width=0.9)
    if name:
        write(ax, left + columns * wide / 2, top - 0.3, name, colour=style.SOFT, size=8.5, va="bottom")


def outline(
    ax: Axes,
    left: float,
    top: float,
    columns: float,
    rows: float,
    colour: Colour,
    *,
    width: float = 2.0,
    inset: float = 0,
) -> None:
    """A frame around some cells."""
    size = columns - 2 * inset, rows - 2 * inset
    corner = left + inset, top + inset
    frame = Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=width, zorder=3, clip_on=False)
    ax.add_patch(frame)


def write(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    colour: Colour = style.INK,
    *,
    size: float = 9,
    ha: str = "center",
    va: str = "center",
) -> None:
    """Words on the board."""
    ax.text(x, y, text, ha=ha, va=va, fontsize=size, color=colour, zorder=4, parse_math=False)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: Colour = style.SOFT) -> None:
    """From one place to another."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.4))


def said(number: float) -> str:
    """A number in few letters.

    Examples
    --------
    >>> said(3.0), said(-0.0), said(0.125), said(-1.5)
    ('3', '0', '0.12', '−1.5')
    """
    words = str(int(number)) if number == int(number) else f"{number:.2g}" if abs(number) < 10 else f"{number:.0f}"
    return words.replace("-", "−")


def tint(colour: Colour, strength: float = 0.25) -> tuple[float, float, float]:
    """The colour mixed with white.

    Examples
    --------
    >>> tint("#000000", 0.25)
    (0.75, 0.75, 0.75)
    """
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def shades(numbers: Array, *, strength: float = 0.6) -> Array:
    """A colour for each number: orange below zero, blue above, white at zero; (rows, columns, 3)."""
    scale = float(np.abs(numbers).max(initial=0.0)) or 1.0
    colours: Array = style.SIGNED(0.5 + 0.5 * strength * numbers / scale)[..., :3]
    return colours


def greys(image: Array) -> Array:
    """A light grey for each pixel, the darker the larger its number; (rows, columns, 3)."""
    scale = float(np.abs(image).max(initial=0.0)) or 1.0
    return np.repeat((1 - 0.3 * np.abs(image) / scale)[..., None], 3, axis=-1)


def padded_greys(x: Array, geometry: ConvGeometry) -> Array:
    """Greys for the image, and a plain tint for the zeros around it."""
    (top, _), (left, _) = geometry.padding
    colours = np.full((*geometry.padded, 3), tint(style.YELLOW, 0.18))
    colours[top : top + x.shape[0], left : left + x.shape[1]] = greys(x)
    return colours


def window_colour(window: int) -> str:
    """The colour of one window, and of what becomes of it."""
    return WINDOW_COLOURS[window % len(WINDOW_COLOURS)]
