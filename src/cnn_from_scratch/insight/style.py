"""How every picture looks: colours that colour-blind people can tell apart, few lines, titles that say what is seen.

Figures are made without pyplot, so there is no global state: any thread may make one, and nothing has to be closed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..typing import Array

DPI = 150

INK, SOFT, FAINT = "#1f2328", "#656d76", "#d8dee4"
"""Text, secondary text, lines that only guide the eye."""

BLUE, ORANGE, GREEN, YELLOW, PINK, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"
"""From Okabe and Ito's palette. Blue is positive, right, training; orange is negative, wrong, validation."""

MARGIN = 0.1
"""Inches of white around a figure."""


def _colours(name: str, *steps: str) -> Colormap:
    return LinearSegmentedColormap.from_list(name, steps).with_extremes(bad=(1, 1, 1, 0))


SIGNED = _colours("signed", "#7a3000", ORANGE, "#f6c9a8", "#ffffff", "#a9cfe6", BLUE, "#00314f")
"""Orange below zero, white at zero, blue above; what is missing is transparent."""

RIGHT = _colours("right", "#ffffff", "#a9cfe6", BLUE, "#00507d")
WRONG = _colours("wrong", "#ffffff", "#f6c9a8", ORANGE, "#9a4300")
"""Shares from 0 (white) to 1."""


# --- figures --------------------------------------------------------------------------------------------------------


def new_figure(width: float, height: float, title: str = "", caption: str = "") -> Figure:
    """A white figure of so many inches that arranges its own axes, with a title above and a caption below.

    Examples
    --------
    >>> figure = new_figure(4, 3, "A title")
    >>> figure.get_suptitle(), figure.dpi
    ('A title', 150)
    """
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    x = MARGIN / width
    figure.set_layout_engine("constrained", w_pad=MARGIN, h_pad=0.08)
    if title:
        lines = _wrap(title, width * 9.5)
        figure.suptitle(lines, x=x, ha="left", fontsize=11.5, fontweight="bold", color=INK, parse_math=False)
    if caption:
        lines = _wrap(caption, width * 15)
        figure.supxlabel(lines, x=x, ha="left", fontsize=8.5, color=SOFT, parse_math=False)
    return figure


def stack(
    title: str,
    caption: str,
    heights: Sequence[float],
    *,
    width: float,
    left: float = MARGIN,
    gap: float = 0.12,
    foot: float = MARGIN,
) -> tuple[Figure, list[Axes]]:
    """A figure of axes below each other, `heights` and `width` inches large.

    `left` are the inches for labels at the left, `foot` those below the last axes, above the caption.

    Examples
    --------
    >>> figure, axes = stack("Two rows", "", [1, 2], left=1, width=4)
    >>> [round(float(ax.get_position().height * figure.get_figheight()), 9) for ax in axes]
    [1.0, 2.0]
    """
    heading, lines = _wrap(title, (left + width) * 10), _wrap(caption, (left + width) * 15)
    above = 0.23 + 0.19 * (heading.count("\n") + 1)
    below = foot + (0.15 * (lines.count("\n") + 1) + MARGIN if lines else 0)
    across, down = left + width + MARGIN, above + sum(heights) + gap * (len(heights) - 1) + below
    figure = Figure(figsize=(across, down), dpi=DPI, facecolor="white")
    words = {"x": MARGIN / across, "ha": "left"}
    top = 1 - MARGIN / down
    figure.suptitle(heading, **words, y=top, va="top", fontsize=11.5, fontweight="bold", color=INK, parse_math=False)
    figure.supxlabel(lines, **words, y=0.08 / down, va="bottom", fontsize=8.5, color=SOFT, parse_math=False)
    axes, bottom = [], down - above + gap
    for height in heights:
        bottom -= gap + height
        axes.append(figure.add_axes((left / across, bottom / down, width / across, height / down)))
    return figure, axes


# --- axes -----------------------------------------------------------------------------------------------------------


def chart(ax: Axes, title: str, xlabel: str = "") -> None:
    """Lines and bars: two axes, a faint grid behind the data, the quantity as a title at the left."""
    ax.set_title(title, loc="left", fontsize=10, color=INK)
    ax.set_xlabel(xlabel, fontsize=9, color=SOFT)
    ax.tick_params(colors=SOFT, labelsize=8.5, length=3)
    ax.grid(visible=True, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)


def draw_image(ax: Axes, image: Array, extent: tuple[float, float, float, float] | None = None) -> None:
    """One image (C, H, W) in [0, 1]: in colour if it has three channels, otherwise the mean of them in grey."""
    pixels = image.transpose(1, 2, 0).clip(0, 1) if len(image) == 3 else image.mean(0)
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent)
    ax.set_axis_off()


def scale_bar(figure: Figure, ax: Axes, image: AxesImage) -> None:
    """Which colour is which number."""
    bar = figure.colorbar(image, ax=ax, shrink=0.9, aspect=8 * figure.get_figheight(), pad=0.02)
    bar.ax.tick_params(colors=SOFT, labelsize=8, length=0)
    bar.outline.set_visible(False)


# --- words ----------------------------------------------------------------------------------------------------------


def short(name: str, most: int) -> str:
    """At most so many letters of a name.

    Examples
    --------
    >>> short("cat", 6), short("hippopotamus", 6)
    ('cat', 'hippo…')
    """
    return name if len(name) <= most else name[: most - 1] + "…"


def percent(share: float, digits: int = 0) -> str:
    """A share as people write it.

    Examples
    --------
    >>> percent(0.5), percent(0.98765, 1)
    ('50 %', '98.8 %')
    """
    return f"{100 * share:.{digits}f} %"


def times(*sizes: int) -> str:
    """Sizes as they are read.

    Examples
    --------
    >>> times(3, 28, 28)
    '3 × 28 × 28'
    """
    return " × ".join(map(str, sizes))


def _wrap(text: str, letters: float) -> str:
    """Lines of at most so many letters."""
    return "\n".join(textwrap.wrap(text, max(int(letters), 16)))
