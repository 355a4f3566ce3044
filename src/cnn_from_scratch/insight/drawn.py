"""What a figure consists of, in pixels: labels, cells, frames and arrows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from ..typing import Array


class Label(NamedTuple):
    """A text, and where its ink is."""

    words: str
    box: Bbox


class Arrow(NamedTuple):
    """Points on an arrow, not more than a pixel apart, (points, 2); among them where it starts, and its tip."""

    points: Array
    start: Array
    tip: Array


class Drawn(NamedTuple):
    """All of a figure that can be in the way of something else; y counts upwards."""

    size: tuple[int, int]
    labels: list[Label]
    cells: list[Bbox]
    frames: list[tuple[Bbox, float]]  # with the width of the line
    arrows: list[Arrow]


def drawn(figure: Figure) -> Drawn:
    """Draw a figure, and say what is where.

    Examples
    --------
    >>> from cnn_from_scratch.insight.style import new_figure
    >>> found = drawn(new_figure(2, 1, "A title"))
    >>> found.size, [label.words for label in found.labels]
    ((300, 150), ['A title'])
    """
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    patches = [patch for ax in figure.axes if not ax.axison for patch in ax.patches if patch.get_visible()]
    pixel = figure.dpi / 72
    return Drawn(
        canvas.get_width_height(),
        [Label(text.get_text(), _ink(text, renderer)) for text in texts_of(figure)],
        [*_cells(figure), *(_extent(patch) for patch in patches if _is_box(patch) and patch.get_fill())],
        [
            (_extent(patch), patch.get_linewidth() * pixel)
            for patch in patches
            if _is_box(patch) and not patch.get_fill()
        ],
        [_arrow(patch) for patch in _arrows(figure)],
    )


# --- labels ---------------------------------------------------------------------------------------------------------


def texts_of(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    found = list(figure.texts)
    for ax in figure.axes:
        found += ax.texts
        if not ax.axison:
            found += [ax.title]
            continue
        found += [ax.title, *_side_titles(ax), ax.xaxis.label, ax.yaxis.label]
        found += [*_tick_labels(ax.xaxis, *sorted(ax.get_xlim())), *_tick_labels(ax.yaxis, *sorted(ax.get_ylim()))]
        legend = ax.get_legend()
        found += legend.get_texts() if legend is not None else []
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def _side_titles(ax: Any) -> list[Text]:
    """Titles at the left and right, which Matplotlib keeps to itself."""
    return [ax._left_title, ax._right_title]


def _tick_labels(axis: Axis, low: float, high: float) -> list[Text]:
    """The labels of the ticks that are within the axes."""
    ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label for place, label in ticks if low <= place <= high]


def _ink(text: Text, renderer: Any) -> Bbox:
    """The box of a text; of upright text without the room for letters that it does not have."""
    box = Text.get_window_extent(text, renderer)  # of an annotation without its arrow
    if text.get_rotation() or "$" in text.get_text():
        return box
    lines = text.get_text().split("\n")
    font = text.get_fontproperties()
    sizes = [renderer.get_text_width_height_descent(words, font, False) for words in ("lp", lines[0], lines[-1])]
    (_, high, deep), (_, first, first_deep), (_, _, last_deep) = sizes
    above, below = (high - deep) - (first - first_deep), deep - last_deep
    return Bbox.from_extents(box.x0, box.y0 + max(below, 0), box.x1, box.y1 - max(above, 0))


# --- cells and frames -----------------------------------------------------------------------------------------------


def _cells(figure: Figure) -> Iterator[Bbox]:
    """The cells of every grid."""
    for ax in figure.axes:
        for collection in ax.collections:
            if isinstance(collection, PatchCollection) and collection.get_visible():
                to_pixels = collection.get_transform()
                yield from (to_pixels.transform_path(path).get_extents() for path in collection.get_paths())


def _is_box(patch: Patch) -> bool:
    return isinstance(patch, Rectangle | FancyBboxPatch)


def _extent(patch: Patch) -> Bbox:
    return patch.get_transform().transform_path(patch.get_path()).get_extents()


# --- arrows ---------------------------------------------------------------------------------------------------------


def _arrows(figure: Figure) -> Iterator[FancyArrowPatch]:
    """Arrows by themselves, and those of annotations."""
    for ax in figure.axes:
        yield from (patch for patch in ax.patches if isinstance(patch, FancyArrowPatch) and patch.get_visible())
    for text in texts_of(figure):
        if isinstance(text, Annotation) and text.arrow_patch is not None:
            yield text.arrow_patch


def _arrow(patch: FancyArrowPatch) -> Arrow:
    """Where an arrow goes: its line, and the outline of its head, which is drawn from side over tip to side."""
    path = patch.get_transform().transform_path(patch.get_path())
    lines = [line for line in map(np.asarray, path.to_polygons(closed_only=False)) if len(line)]
    starts = np.flatnonzero(np.asarray(path.codes) == Path.MOVETO)
    tip = np.asarray(path.vertices)[starts[-1] + 1] if len(starts) > 1 else lines[-1][-1]
    return Arrow(np.concatenate([_dense(line) for line in lines]), lines[0][0], tip)


def _dense(line: Array) -> Array:
    """A polygon's corners and points between them, not more than a pixel apart."""
    pieces = [np.linspace(a, b, 2 + int(np.hypot(*(b - a))), endpoint=False) for a, b in itertools.pairwise(line)]
    return np.concatenate([*pieces, line[-1:]])
