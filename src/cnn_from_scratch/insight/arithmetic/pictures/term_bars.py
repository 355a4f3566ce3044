"""The largest terms as bars, for layers in which nothing lies in rows and columns."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....typing import Array
from ... import style
from ...diagrams.grids import outline
from ..receptive_field import Field
from ..sums import Sum
from ..words import in_order
from .cells import pixels_of, said, title


def plot_terms(found: Sum, image: Array | None = None, field: Field | None = None) -> Figure:
    """What each of the largest terms adds, what all others add, and the bias; beside the image if there is one."""
    names, amounts = _named(found)
    pictured = image is not None and image.ndim == 3
    rows = max(len(names), 7 if pictured else 2)
    size = 8.2 if pictured else 6.4, 1.6 + 0.25 * rows
    figure = style.new_figure(*size, title(found), f"{found.layer}: {found.parts.formula}")
    axes = figure.subplots(1, 2, width_ratios=(1, 2)) if pictured else [figure.subplots()]
    if image is not None and field is not None and pictured:
        _draw_image(axes[0], image, field)
    _draw_bars(axes[-1], names, amounts, rows)
    return figure


def _named(found: Sum) -> tuple[list[str], list[float]]:
    """The bars: names and lengths."""
    shown = in_order(found.terms)
    names = [found.terms.text(term) for term in shown]
    amounts = [float(found.amounts[term]) for term in shown]
    if left := len(found.amounts) - len(shown):
        names, amounts = [*names, f"{left} more"], [*amounts, float(np.delete(found.amounts, shown).sum())]
    if found.constant is not None:
        names, amounts = [*names, "bias"], [*amounts, found.constant]
    return names or ["nothing"], amounts or [0.0]


def _draw_image(ax: Axes, image: Array, field: Field) -> None:
    """The image, and a frame around what is seen of it."""
    ax.imshow(pixels_of(image), cmap="Greys", interpolation="nearest")
    rows, columns = field.box
    size = columns.stop - columns.start, rows.stop - rows.start
    outline(ax, columns.start - 0.5, rows.start - 0.5, *size, style.GREEN, width=2.2)
    ax.set_title("what it sees of the image", loc="left", fontsize=9, color=style.SOFT)
    ax.set_axis_off()


def _draw_bars(ax: Axes, names: list[str], amounts: list[float], rows: int) -> None:
    """One bar for each name, with room for so many: blue above 0, orange below, the number beside it."""
    lengths = [amount if np.isfinite(amount) else 0.0 for amount in amounts]
    places = np.arange(len(names))[::-1]
    ax.barh(places, lengths, color=[style.BLUE if a >= 0 else style.ORANGE for a in amounts], height=0.7)
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - rows - 0.7, len(names) - 0.3)
    style.chart(ax, "what each term adds")
    low, high = min(0.0, *lengths, 0.0), max(0.0, *lengths, 0.0)
    reach = (high - low) or 1.0
    ax.set_xlim(low - 0.3 * reach * (low < 0), high + 0.24 * reach)
    for place, amount, length in zip(places, amounts, lengths, strict=True):
        beside, ha = (0.015 * reach, "left") if length >= 0 else (-0.015 * reach, "right")
        ax.text(length + beside, place, said(amount), va="center", ha=ha, fontsize=8, color=style.INK)
    ax.locator_params(axis="x", nbins=4)
    ax.axvline(0, color=style.SOFT, linewidth=0.8)
    ax.tick_params(axis="y", labelsize=8)
