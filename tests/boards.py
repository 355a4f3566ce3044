"""What stands in the grids of a diagram, read from the figure itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.collections import PatchCollection

from cnn_from_scratch.insight.diagrams.grids import said


class Grid(NamedTuple):
    """One grid of numbers as it is written; empty cells are ''."""

    name: str
    left: float
    top: float
    words: np.ndarray  # (rows, columns) of str


def grids_in(figure) -> list[Grid]:
    """Every grid that `draw_grid` has drawn, in the order of drawing."""
    ax = figure.axes[0]
    found = []
    for cells in (artist for artist in ax.collections if isinstance(artist, PatchCollection)):
        corners = np.array([path.vertices[:4].min(axis=0) for path in cells.get_paths()])
        ends = np.array([path.vertices[:4].max(axis=0) for path in cells.get_paths()])
        left, top = corners.min(axis=0)
        right, _ = ends.max(axis=0)
        rows = len(np.unique(corners[:, 1].round(6)))
        words = [_inside(ax.texts, corner, end) for corner, end in zip(corners, ends, strict=True)]
        names = [text for text in ax.texts if np.allclose(text.get_position(), ((left + right) / 2, top - 0.3))]
        name = names[0].get_text() if names else ""
        found.append(Grid(name, float(left), float(top), np.array(words).reshape(rows, -1)))
    return found


def grid_named(figure, name, which=0) -> np.ndarray:
    """The words of a grid with this name; of the first one, if there are many."""
    return [grid.words for grid in grids_in(figure) if grid.name == name][which]


def written(numbers) -> np.ndarray:
    """Numbers as a grid has them."""
    return np.vectorize(lambda number: said(float(number)))(np.asarray(numbers))


def words_in(figure) -> list[str]:
    """Every text of a diagram."""
    return [text.get_text() for text in figure.axes[0].texts]


def _inside(texts, corner, end) -> str:
    found = [
        text.get_text() for text in texts if (corner < text.get_position()).all() and (text.get_position() < end).all()
    ]
    assert len(found) <= 1, f"{found} in one cell"
    return found[0] if found else ""
