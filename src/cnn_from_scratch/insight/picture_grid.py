"""Rows of small pictures with words above and below each, and at the left of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..typing import Array
from . import style

INCHES, GAP, WORDS, LETTER = 0.9, 0.14, 0.19, 0.085
"""Side of a picture, from one to the next, height of a line of words, and width of a letter at the left of a row."""

OUTSIDE = "#a9cfe6"
"""Where there is no picture: its pixels are NaN."""


class Panel(NamedTuple):
    """A picture (C, H, W) in [0, 1], NaN where there is nothing, and a word above and one below."""

    image: Array
    above: str = ""
    below: str = ""


def draw_panels(
    title: str, caption: str, rows: Sequence[Sequence[Panel]], *, left: Sequence[str] = (), inches: float = INCHES
) -> Figure:
    """Rows of pictures, each `inches` wide; `left` names the rows.

    Examples
    --------
    >>> figure = draw_panels("Title", "", [[Panel(np.zeros((1, 2, 2)), "above")]], left=["a row"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['above', 'a row']
    """
    H, W = rows[0][0].image.shape[1:]
    height, margin = inches * H / W, LETTER * max(map(len, left), default=-GAP / LETTER) + GAP
    width = max(max(map(len, rows)) * (inches + GAP) - GAP, 2.6)
    letters = int(inches * 15)
    above = [WORDS * any(panel.above for panel in row) for row in rows]
    below = [WORDS * any(panel.below for panel in row) for row in rows]
    total = sum(above) + sum(below) + len(rows) * (height + GAP) - GAP
    figure, (ax,) = style.stack(title, caption, [total], width=margin + width)
    top = 0.0
    for i, row in enumerate(rows):
        top += above[i]
        for j, panel in enumerate(row):
            x = margin + j * (inches + GAP)
            style.draw_image(ax, _pixels(panel.image), (x, x + inches, top + height, top))
            ax.add_patch(
                Rectangle((x, top), inches, height, fill=False, edgecolor=style.FAINT, linewidth=0.8, clip_on=False)
            )
            _write(ax, x + inches / 2, top - 0.04, _tail(panel.above, letters), "bottom", style.INK)
            _write(ax, x + inches / 2, top + height + 0.04, panel.below, "top", style.SOFT)
        if left:
            ax.text(0, top + height / 2, left[i], va="center", fontsize=8.5, color=style.INK, parse_math=False)
        top += height + below[i] + GAP
    ax.set_xlim(0, margin + width)
    ax.set_ylim(total, 0)  # inches, from the top
    ax.set_aspect("auto")
    return figure


def shown(images: Array) -> Array:
    """Images as they are if they lie in [0, 1]; otherwise all stretched to it together.

    Examples
    --------
    >>> shown(np.array([-1.0, 1.0, np.nan, 3.0]))
    array([0. , 0.5, nan, 1. ])
    """
    low, high = np.nanmin(images, initial=0.0), np.nanmax(images, initial=1.0)
    return images if (low, high) == (0.0, 1.0) else (images - low) / (high - low)


def in_rows(panels: Sequence[Panel], columns: int) -> list[Sequence[Panel]]:
    """So many panels in a row."""
    return [panels[i : i + columns] for i in range(0, len(panels), columns)]


def _write(ax: Axes, x: float, y: float, words: str, side: Literal["bottom", "top"], colour: str) -> None:
    """Words above or below this place, if there are any."""
    if words:
        ax.text(x, y, words, ha="center", va=side, fontsize=8.5, color=colour, parse_math=False)


def _pixels(image: Array) -> Array:
    """In colour, (3, H, W), with its own colour where the picture ends."""
    colour = image if len(image) == 3 else np.repeat(image.mean(0, keepdims=True), 3, 0)
    return np.where(np.isnan(colour), np.array(to_rgb(OUTSIDE), image.dtype)[:, None, None], colour)


def _tail(name: str, most: int) -> str:
    """The end of a long key says most."""
    return name if len(name) <= most else "…" + name[1 - most :]
