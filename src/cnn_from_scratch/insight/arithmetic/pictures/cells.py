"""What these pictures are made of: grids of numbers that are multiplied, images with a frame, and words."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ....typing import Array
from ... import style
from ...diagrams.grids import draw_grid, outline, shades, tint, write
from ..sums import Sum
from ..terms import said_at
from ..words import said as digits

CELL = 0.42
"""Inches of one cell: wide enough for two digits, a sign and a point."""

IMAGE = 5.0
"""How many cells wide and high an image is drawn, at most."""

OVER = 0.45
"""How many cells a frame hangs over an image, at most."""

MOST_SLICES = 3
MOST_CELLS = 9
"""At most so many channels are drawn, and numbers are written into the cells up to so many in a row."""


class Factors(NamedTuple):
    """Arrays and their product, cell by cell; NaN where there is none."""

    name: str  # which slice it is: "channel 3"
    arrays: dict[str, Array]  # each (rows, columns); the last is the product, if there are several
    total: float
    slice: int = 0  # its number
    padded: Array | None = None  # which cells lie in the padding


def cell_board(columns: float, rows: float, found: Sum, caption: str) -> tuple[Figure, Axes]:
    """A figure with room for so many cells, its title the number that is taken apart."""
    figure, (ax,) = style.stack(title(found), caption, [rows * CELL], width=columns * CELL)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    ax.set_axis_off()
    return figure, ax


# --- numbers ---------------------------------------------------------------------------------------------------------


def draw_factors(ax: Axes, part: Factors, left: float, top: float) -> None:
    """Grids of numbers: the first times the second is the third, whose sum stands at the right."""
    names = list(part.arrays)
    for name, numbers in part.arrays.items():
        rows, columns = numbers.shape
        shown, power = rounded(numbers)
        called = part.name if name == "x" and part.padded is not None else name
        draw_grid(ax, shown, left, top, name=f"{called}{power}", fill=_fill(part, name, numbers))
        left += columns + 1
        if name != names[-1]:
            write(ax, left - 0.5, top + rows / 2, "=" if names[-2:-1] == [name] else "×", style.SOFT, size=12)
    write(ax, left - 0.6, top + rows / 2, f"sum {said(part.total)}", style.INK, size=9, ha="left")


def _fill(part: Factors, name: str, numbers: Array) -> Array:
    """What a window shows is blue, and yellow in the padding; all else has the colour of its sign."""
    if name != "x" or part.padded is None:
        return shades(np.nan_to_num(numbers))
    fill = np.empty((*numbers.shape, 3))
    fill[...] = tint(style.BLUE, 0.12)
    fill[part.padded] = tint(style.YELLOW, 0.35)
    return fill


def rounded(numbers: Array) -> tuple[Array, str]:
    """Numbers of a few digits, with a power of ten before the bracket if they need one.

    Examples
    --------
    >>> rounded(np.array([1.234, -0.0016])), rounded(np.array([2.5e-7, 1e-9]))
    ((array([1.23, 0.  ]), ''), (array([2.5 , 0.01]), ', in 1e−07'))
    """
    largest = float(np.max(np.abs(numbers), initial=0, where=np.isfinite(numbers)))
    power = math.floor(math.log10(largest)) if largest else 0
    if -1 <= power <= 2:
        return np.round(numbers, 2 - power) + 0.0, ""
    return np.round(numbers / 10.0**power, 2) + 0.0, f", in 1e{power:03d}".replace("-", "−")


def said(number: float) -> str:
    """Five digits, with the sign that is as wide as a plus.

    Examples
    --------
    >>> said(-0.5)
    '−0.5'
    """
    return digits(number).replace("-", "−")


# --- images ----------------------------------------------------------------------------------------------------------


def draw_framed(
    ax: Axes, image: Array, left: float, top: float, name: str, mask: Array, box: tuple[slice, ...], colour: str
) -> None:
    """An image (C, H, W), darker for larger numbers, with a frame around what is seen, which may hang over."""
    C, H, W = image.shape
    cell = IMAGE / max(H, W)
    x, y = left + (IMAGE - W * cell) / 2, top + (IMAGE - H * cell) / 2
    extent, limits = (x, x + W * cell, y + H * cell, y), (ax.get_xlim(), ax.get_ylim())
    ax.imshow(pixels_of(image), cmap="Greys", extent=extent, interpolation="nearest", aspect="auto")
    rows, columns = box
    within = mask[max(rows.start, 0) : rows.stop, max(columns.start, 0) : columns.stop]
    if not within.all():  # gaps of a dilation
        ax.imshow(_veil(mask, colour), extent=extent, interpolation="nearest", aspect="auto")
    outline(ax, x, y, W * cell, H * cell, style.FAINT, width=0.9)
    (first, last), (low, high) = _frame(columns, W, cell), _frame(rows, H, cell)
    outline(ax, x + first, y + low, last - first, high - low, colour, width=2.2)
    write(ax, left + IMAGE / 2, y + min(low, 0) - 0.3, name, style.SOFT, size=8.5, va="bottom")
    ax.set_xlim(*limits[0])
    ax.set_ylim(*limits[1])


def _frame(side: slice, size: int, cell: float) -> tuple[float, float]:
    """Where a frame begins and ends along one axis of an image; what hangs over is cut at `OVER`."""
    return max(side.start * cell, -OVER), min(side.stop * cell, size * cell + OVER)


def pixels_of(image: Array) -> Array:
    """As `imshow` takes them: three channels as colours, otherwise their mean."""
    if len(image) != 3:
        mean: Array = image.mean(0)
        return mean
    colours: Array = (image - image.min()).transpose(1, 2, 0) / (float(np.ptp(image)) or 1.0)
    return colours


def _veil(mask: Array, colour: str) -> Array:
    """A transparent colour over the pixels that are seen: (H, W, 4)."""
    veil: Array = mask[..., None] * np.array(to_rgba(colour, 0.35))
    return veil


# --- words -----------------------------------------------------------------------------------------------------------


def title(found: Sum) -> str:
    """The number, its value, and whose it is."""
    where = "" if found.key == "loss" else f", of {found.key or found.layer.split('(')[0]}"
    return f"{said_at(found.name, found.index)} = {said(found.value)}{where}"


def caption_of(found: Sum, count: int, name: str) -> str:
    """The layer, what is added up, and how much of it is shown."""
    bias = "" if found.constant is None else f" and the bias {said(found.constant)}"
    shown = f" Shown are the {MOST_SLICES} {name} that add most, of {count}." if count > MOST_SLICES else ""
    return f"{found.layer}: {found.count}{bias} add up to {said(found.total)}.{shown}"
