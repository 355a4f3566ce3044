"""How the shape of one example changes from layer to layer."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...layers import Layer, Sequential
from .. import style
from .grids import arrow, tint, write

Shape = tuple[int, ...]


class Stage(NamedTuple):
    """A shape, and the layers that lead to it from the one before."""

    layers: list[str]
    parameters: int
    shape: Shape


def stages(model: Sequential, input_shape: Shape) -> list[Stage]:
    """The shapes that one example passes through; layers that keep a shape are joined to the one before.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, Flatten, ReLU
    >>> for stage in stages(Sequential(Conv2d(1, 4, 3), ReLU(), Flatten()), (1, 8, 8)):
    ...     print(stage)
    Stage(layers=['input'], parameters=0, shape=(1, 8, 8))
    Stage(layers=['0 Conv2d', '1 ReLU'], parameters=40, shape=(4, 6, 6))
    Stage(layers=['2 Flatten'], parameters=0, shape=(144,))
    """
    found = [Stage(["input"], 0, tuple(input_shape))]
    for key, layer in model.children.items():
        name, before = layer_name(key, layer), found[-1]
        shape = layer.output_shape(before.shape)
        count = sum(array.size for array in layer.params.values())
        if shape == before.shape and not count and len(found) > 1:
            found[-1] = before._replace(layers=[*before.layers, name])
        else:
            found.append(Stage([name], count, shape))
    return found


def draw_shapes(model: Sequential, input_shape: Shape) -> Figure:
    """An image of (C, H, W) on its way to class scores: every shape as a stack of maps, drawn to scale.

    Parameters
    ----------
    model : Sequential
    input_shape : (C, H, W)

    Returns
    -------
    Figure

    Examples
    --------
    >>> from cnn_from_scratch.layers import Flatten
    >>> draw_shapes(Sequential(Flatten()), (1, 8, 8)).get_suptitle()
    'Shapes from 1 × 8 × 8 to 64'
    """
    found = stages(model, input_shape)
    total = sum(stage.parameters for stage in found)
    title = f"Shapes from {style.times(*found[0].shape)} to {style.times(*found[-1].shape)}"
    caption = f"{total:,} parameters. Maps are drawn to scale, their number and the length of vectors are not."
    scale = TALLEST / max((max(stage.shape[1:]) for stage in found if len(stage.shape) == 3), default=1)
    columns = -(-len(found) // -(-len(found) // MOST_IN_ROW))  # rows as equally long as can be
    rows = [found[start : start + columns] for start in range(0, len(found), columns)]
    heights = [BELOW + 0.26 + LINE * max(len(_words(stage)) for stage in row) for row in rows]
    figure, axes = style.stack(title, caption, heights, width=0.3 + STEP * columns, gap=0.2)
    for ax, height, row in zip(axes, heights, rows, strict=True):
        ax.set_xlim(0, 0.3 + STEP * columns)
        ax.set_ylim(height, 0)
        ax.set_axis_off()
        _draw_row(ax, row, scale, begins=row is rows[0], ends=row is rows[-1])
    return figure


def _draw_row(ax: Axes, row: list[Stage], scale: float, *, begins: bool, ends: bool) -> None:
    """Shapes side by side, arrows between them, and to and from other rows."""
    edge = -0.2 if begins else 0.0  # right edge of the shape before
    for i, stage in enumerate(row):
        middle, reach = (i + 0.5) * STEP + 0.1, _reach(stage.shape, scale)
        if i or not begins:
            between = (edge + middle - reach) / 2
            arrow(ax, (between - 0.15, CENTRE), (between + 0.15, CENTRE))
        edge = middle + reach
        _draw_shape(ax, middle, stage.shape, scale)
        write(ax, middle, BELOW, style.times(*stage.shape), size=9)
        write(ax, middle, BELOW + 0.16, "\n".join(_words(stage)), style.SOFT, size=7.5, va="top")
    if not ends:
        between = min(edge + 0.3, len(row) * STEP + 0.15)
        arrow(ax, (between - 0.15, CENTRE), (between + 0.15, CENTRE))


MOST_IN_ROW = 5
"""Shapes; with more side by side, the words would be too small on a page."""

STEP, TALLEST, CENTRE, BELOW, LINE = 1.5, 1.0, 0.72, 1.6, 0.14
"""Inches: from shape to shape, side of the largest map, where shapes have their middle, where words begin, a line."""

SHEET = 0.035
"""Inches from one map of a stack to the next."""


def _words(stage: Stage) -> list[str]:
    """The layers that lead to a shape, and how much they learn."""
    return [*stage.layers, *([f"{stage.parameters:,} parameters"] if stage.parameters else [])]


def _sheets(C: int) -> int:
    """How many maps are drawn for C of them: one more for each doubling."""
    return 1 + min(round(math.log2(C)), 7)


def _reach(shape: Shape, scale: float) -> float:
    """How far the drawing goes from its middle to each side."""
    return shape[2] * scale / 2 + SHEET * (_sheets(shape[0]) - 1) / 2 if len(shape) == 3 else 0.06


def _draw_shape(ax: Axes, middle: float, shape: Shape, scale: float) -> None:
    """A stack of maps, or a bar."""
    if len(shape) != 3:
        height = min(0.12 * math.log2(1 + math.prod(shape)), 1.5 * TALLEST)
        corner = middle - 0.06, CENTRE - height / 2
        ax.add_patch(Rectangle(corner, 0.12, height, facecolor=tint(style.ORANGE, 0.5), edgecolor=style.ORANGE))
        return
    C, H, W = shape
    face = tint(style.BLUE, 0.3)
    for i in range(_sheets(C)):  # the last one in front
        shift = SHEET * ((_sheets(C) - 1) / 2 - i)
        corner = middle - W * scale / 2 + shift, CENTRE - H * scale / 2 - shift
        ax.add_patch(Rectangle(corner, W * scale, H * scale, facecolor=face, edgecolor=style.BLUE, linewidth=0.8))


def layer_name(key: str, layer: Layer) -> str:
    """Key and kind of a layer; once, where they are the same word."""
    kind = type(layer).__name__
    return kind if key.lower() == kind.lower() else f"{key} {kind}"
