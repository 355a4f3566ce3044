"""Whether a figure is tidy: no label cut off or on another, no arrow through a cell that it does not mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ..typing import Array
from .drawn import Arrow, Drawn, drawn

AIR = 3.0
"""Pixels between a label and anything that is not its own."""

REACH = 12.0
"""Pixels from an end of an arrow to the cell that it means, at most."""


def untidy(figure: Figure, air: float = AIR) -> list[str]:
    """What is not tidy in a figure, a sentence each; nothing if all is well.

    A label must lie within the figure; keep `air` pixels from every other; be wholly within a cell or box, or outside
    it with as much air; not be crossed by the line of a frame; and keep away from arrows. An arrow must not cross any
    cell or box but those in which, or next to which, it starts and ends.

    Cells are those of `draw_grid`; boxes, frames and arrows are patches of axes whose axis lines are switched off, so
    that bars of a chart are none.

    Examples
    --------
    >>> from cnn_from_scratch.insight.style import new_figure
    >>> figure = new_figure(3, 1, "A title")
    >>> untidy(figure)
    []
    >>> _ = figure.text(0.1, 0.86, "another")
    >>> untidy(figure)
    ["'A title' and 'another' touch"]
    """
    parts = drawn(figure)
    rules = (_cut_off(parts), _touching(parts, air), _across_cells(parts, air), _framed(parts), _arrows(parts, air))
    return [sentence for rule in rules for sentence in rule]


# --- labels ---------------------------------------------------------------------------------------------------------


def _cut_off(parts: Drawn) -> Iterator[str]:
    width, height = parts.size
    for words, box in parts.labels:
        if min(box.x0, box.y0, width - box.x1, height - box.y1) < 0:
            yield f"{words!r} is cut off"


def _touching(parts: Drawn, air: float) -> Iterator[str]:
    for (a, box), (b, other) in itertools.combinations(parts.labels, 2):
        if _gap(box, other) < air:
            yield f"{a!r} and {b!r} touch"


def _across_cells(parts: Drawn, air: float) -> Iterator[str]:
    """Labels that are neither in a cell nor outside it."""
    if not parts.cells or not parts.labels:
        return
    x0, y0, x1, y1 = np.array([cell.extents for cell in parts.cells]).T
    for words, box in parts.labels:
        inside = (x0 <= box.x0) & (y0 <= box.y0) & (box.x1 <= x1) & (box.y1 <= y1)
        gap = np.maximum(np.maximum(x0 - box.x1, box.x0 - x1), np.maximum(y0 - box.y1, box.y0 - y1))
        own = inside.any()  # cells share their edges: a number is as near to the next cell as to its own edge
        if (~inside & (gap < (0 if own else air))).any():
            yield f"{words!r} crosses the edge of a cell"


def _framed(parts: Drawn) -> Iterator[str]:
    """Labels that the line of a frame runs through."""
    for words, box in parts.labels:
        for frame, width in parts.frames:
            apart, within = _gap(box, frame), _gap_within(box, frame)
            if max(apart, within) < width / 2:
                yield f"{words!r} is crossed by a frame"
                break


# --- arrows ---------------------------------------------------------------------------------------------------------


def _arrows(parts: Drawn, air: float) -> Iterator[str]:
    for arrow in parts.arrows:
        place = ", ".join(f"{value:.0f}" for value in arrow.start)
        for words, box in parts.labels:
            if _covers(box, arrow.points, air):
                yield f"an arrow from ({place}) touches {words!r}"
        meant = _meant(parts.cells, arrow)
        crossed = [
            cell for cell in parts.cells if _covers(cell, arrow.points) and not any(cell is own for own in meant)
        ]
        if crossed:
            yield f"an arrow from ({place}) crosses {len(crossed)} cells that it does not mean"


def _meant(cells: list[Bbox], arrow: Arrow) -> list[Bbox]:
    """The cells at the two ends of an arrow: all that hold the end, or else the nearest."""
    found: list[Bbox] = []
    for end in (arrow.start, arrow.tip):
        away = [max(_gap(Bbox([end, end]), cell), 0) for cell in cells]
        nearest = min(away, default=REACH)
        if nearest < REACH:
            found += [cell for cell, distance in zip(cells, away, strict=True) if distance == nearest]
    return found


# --- boxes ----------------------------------------------------------------------------------------------------------


def _gap(a: Bbox, b: Bbox) -> float:
    """Pixels between two boxes; negative where they overlap."""
    return float(max(a.x0 - b.x1, b.x0 - a.x1, a.y0 - b.y1, b.y0 - a.y1))


def _gap_within(inner: Bbox, outer: Bbox) -> float:
    """Pixels from a box to the edge of the one around it; negative where it reaches out."""
    return float(min(inner.x0 - outer.x0, inner.y0 - outer.y0, outer.x1 - inner.x1, outer.y1 - inner.y1))


def _covers(box: Bbox, points: Array, air: float = 0) -> bool:
    """Whether any point is in the box, or nearer to it than so many pixels."""
    low, high = np.array([box.x0, box.y0]) - air, np.array([box.x1, box.y1]) + air
    return bool(((points > low) & (points < high)).all(axis=1).any())
