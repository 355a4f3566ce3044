"""A gradient, position by position: dy times what it met."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....typing import Array
from ... import style
from ...diagrams.grids import outline, write
from ..sums import Sum
from ..terms import Terms, said_at
from .cells import IMAGE, MOST_CELLS, MOST_SLICES, Factors, caption_of, cell_board, draw_factors, said


def factors_of_positions(terms: Terms) -> list[Factors]:
    """For each image and filter (n, f) the factors over rows and columns of the output; the largest sums first.

    Nothing where the terms are not those of images, or are one number in each.
    """
    place = terms.place("y")
    if place is None or place.indices.shape[1] != 4 or not len(place.indices):
        return []
    slices, which = np.unique(place.indices[:, :2], axis=0, return_inverse=True)
    totals = np.bincount(which.ravel(), weights=terms.amounts)
    order = np.argsort(-np.abs(totals), kind="stable")
    found = [_slice(terms, np.flatnonzero(which.ravel() == s), said_at("dy", slices[s])) for s in order]
    return found if found[0].arrays["dy"].size > 1 else []


def _slice(terms: Terms, chosen: Array, name: str) -> Factors:
    """The factors of some terms, each where its output is."""
    place = terms.place("y")
    assert place is not None
    spots = place.indices[chosen, 2:]
    low, high = spots.min(0), spots.max(0) + 1
    arrays = dict(terms.factors) if len(terms.factors) == 1 else terms.factors | {"product": terms.amounts}
    laid = {}
    for kind, values in arrays.items():
        laid[kind] = np.full(tuple(high - low), np.nan)
        laid[kind][tuple((spots - low).T)] = values[chosen]
    return Factors(name, laid, float(terms.amounts[chosen].sum()))


def plot_positions(found: Sum, factors: list[Factors]) -> Figure:
    """The images and filters that add most: in numbers where they are small, in colours otherwise."""
    shown, count = factors[:MOST_SLICES], len(factors[0].arrays)
    rows, columns = shown[0].arrays["dy"].shape
    small = max(rows, columns) <= MOST_CELLS
    high, wide = (rows, columns) if small else (IMAGE, IMAGE)
    width = count * (wide + 1) + 4.2
    caption = caption_of(found, len(factors), "images and filters dy[n, f]")
    figure, ax = cell_board(width, len(shown) * (high + 1.3) + 0.2, found, caption)
    for row, part in enumerate(shown):
        top = row * (high + 1.3) + 1.2
        write(ax, 0, top + high / 2, part.name, style.SOFT, size=8.5, ha="left")
        if small:
            draw_factors(ax, part, 1.9, top)
        else:
            _draw_maps(ax, part, 1.9, top)
    return figure


def _draw_maps(ax: Axes, part: Factors, left: float, top: float) -> None:
    """The factors as images in colours, each on its own scale: orange below 0, blue above."""
    names, limits = list(part.arrays), (ax.get_xlim(), ax.get_ylim())
    for name, numbers in part.arrays.items():
        rows, columns = numbers.shape
        cell = IMAGE / max(rows, columns)
        x, y = left + (IMAGE - columns * cell) / 2, top + (IMAGE - rows * cell) / 2
        scale = float(np.max(np.abs(numbers), initial=0, where=np.isfinite(numbers)))
        label = f"{name}, ±{scale:.2g}".replace("-", "−") if scale else f"{name}, all 0"
        extent = (x, x + columns * cell, y + rows * cell, y)
        ax.imshow(numbers, cmap=style.SIGNED, vmin=-(scale or 1), vmax=scale or 1, extent=extent, aspect="auto")
        outline(ax, x, y, columns * cell, rows * cell, style.SOFT, width=0.9)
        write(ax, left + IMAGE / 2, y - 0.3, label, style.SOFT, size=8.5, va="bottom")
        left += IMAGE + 1
        if name != names[-1]:
            write(ax, left - 0.5, top + IMAGE / 2, "=" if names[-2:-1] == [name] else "×", style.SOFT, size=12)
    write(ax, left - 0.6, top + IMAGE / 2, f"sum {said(part.total)}", style.INK, size=9, ha="left")
    ax.set_xlim(*limits[0])
    ax.set_ylim(*limits[1])
