"""How values go forward through a network and gradients come back, drawn from a run of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from ...layers import Sequential
from ...typing import Array
from .. import style
from .flow import flow
from .grids import arrow, tint, write
from .shapes import Shape


def draw_gradient_flow(model: Sequential, x: Array, targets: Array) -> Figure:
    """Values go down, gradients come up with the same shapes, and each layer leaves the gradients of its parameters.

    Parameters
    ----------
    model : Sequential
    x : (N, C, H, W) or (N, features)
        Inputs; the first is the one that is seen.
    targets : (N,)
        Class indices.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear
    >>> model = Sequential(Linear(3, 2, rng=0))
    >>> draw_gradient_flow(model, np.ones((5, 3), np.float32), np.zeros(5, int)).get_suptitle()
    'Forward and backward through 1 layers'
    """
    found = flow(model, x, targets)
    height = len(found.values) * BETWEEN + (len(found.names) + 2) * BOX
    caption = (
        "Down: values; up: gradients of the loss by them, in the same shapes. Shown: the three maps that answer most "
        "to the first example, each row in a scale of its own, blue above zero, orange below. "
        "rms: root mean square of all."
    )
    title = f"Forward and backward through {len(found.names)} layers"
    longest = max(len(style.times(*value.shape)) for value in found.values)
    more = max(0.0, 0.075 * (longest - 18))  # inches, for long shapes
    figure, (ax,) = style.stack(title, caption, [height], width=WIDTH + 2 * more)
    ax.set_axis_off()
    names = ["input", *found.names, f"cross-entropy {found.loss:.3g}"]
    colours = [style.SOFT, *(style.BLUE if grads else style.SOFT for grads in found.grads), style.ORANGE]
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        _box(ax, i * (BOX + BETWEEN), name, colour)
    for i, (value, gradient) in enumerate(zip(found.values, found.gradients, strict=True)):
        _between(ax, i * (BOX + BETWEEN) + BOX, value, gradient, strongest_maps(found.values, value.shape))
    for i, grads in enumerate(found.grads):
        _leave_gradients(ax, (i + 1) * (BOX + BETWEEN), grads)
    ax.set_xlim(-more, WIDTH + more)
    ax.set_ylim(height, 0)
    return figure


def strongest_maps(values: list[Array], shape: Shape) -> Array:
    """Which maps of the first example answer most; the same ones wherever there are as many.

    Examples
    --------
    >>> strongest_maps([np.array([[[[1.0]], [[-3.0]], [[2.0]], [[0.0]]]])], (1, 4, 1, 1))
    array([1, 2, 0])
    """
    if len(shape) != 4:
        return np.arange(0)
    last = next(value for value in reversed(values) if value.ndim == 4 and value.shape[1] == shape[1])
    order: Array = np.argsort(-np.abs(last[0]).mean(axis=(1, 2)), kind="stable")
    return order[:TILES]


WIDTH, BOX, BETWEEN, LEFT, RIGHT = 7.5, 0.34, 0.66, 2.85, 4.65
"""Inches: of everything, height of a box, from box to box, left and right edge of the boxes."""

TILE, TILES, GAP = 0.46, 3, 0.06
"""Inches and number of the maps that are seen."""

STRIP = TILES * (TILE + GAP) - GAP


def _box(ax: Axes, top: float, name: str, colour: str) -> None:
    """One layer."""
    corner, box = (LEFT, top + 0.01), "round,pad=0,rounding_size=0.06"
    face = tint(colour, 0.12)
    size = RIGHT - LEFT, BOX - 0.02
    ax.add_patch(FancyBboxPatch(corner, *size, box, facecolor=face, edgecolor=colour, linewidth=1.2))
    write(ax, (LEFT + RIGHT) / 2, top + BOX / 2, style.short(name, 22))


def _between(ax: Axes, top: float, value: Array, gradient: Array, shown: Array) -> None:
    """Between two layers: at the left what goes down, at the right what comes up."""
    down, up, middle = LEFT + 0.35, RIGHT - 0.35, top + BETWEEN / 2
    arrow(ax, (down, top), (down, top + BETWEEN), style.BLUE)
    arrow(ax, (up, top + BETWEEN), (up, top), style.ORANGE)
    left, right = down - 0.15 - STRIP, up + 0.15
    _maps(ax, left, middle, value[0][shown] if len(shown) else value[0])
    _maps(ax, right, middle, gradient[0][shown] if len(shown) else gradient[0])
    _shape_and_size(ax, left - 0.12, middle, value, style.BLUE, "right")
    _shape_and_size(ax, right + STRIP + 0.12, middle, gradient, style.ORANGE, "left")


def _leave_gradients(ax: Axes, top: float, grads: Mapping[str, Array]) -> None:
    """To the right of a layer, what its parameters learn from."""
    if grads:
        middle = top + BOX / 2
        arrow(ax, (RIGHT + 0.02, middle), (RIGHT + 0.46, middle), style.ORANGE)
        said = [f"d{name} {style.times(*grad.shape)}, rms {_rms(grad)}" for name, grad in grads.items()]
        write(ax, RIGHT + 0.54, middle, "\n".join(said), style.INK, size=7.5, ha="left")


def _shape_and_size(ax: Axes, x: float, middle: float, values: Array, colour: str, ha: str) -> None:
    """The shape, and how large the numbers are."""
    write(ax, x, middle - 0.08, style.times(*values.shape), colour, size=8.5, ha=ha)
    write(ax, x, middle + 0.1, f"rms {_rms(values)}", style.SOFT, size=7.5, ha=ha)


def _rms(values: Array) -> str:
    """Root mean square, to two digits."""
    return f"{float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))):.2g}"


def _maps(ax: Axes, left: float, middle: float, values: Array) -> None:
    """The first maps (C, H, W), or numbers as a strip; orange below zero, blue above."""
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    maps = list(values) if values.ndim == 3 else [values.reshape(1, -1)]
    for i, each in enumerate(maps):
        across, down = (TILE, TILE * min(each.shape[0] / each.shape[1], 1)) if values.ndim == 3 else (STRIP, 0.14)
        start = left + (i * (TILE + GAP) if values.ndim == 3 else 0)
        extent = (start, start + across, middle + down / 2, middle - down / 2)
        ax.imshow(each, cmap=style.SIGNED, vmin=-scale, vmax=scale, extent=extent, aspect="auto", interpolation="none")
        frame = Rectangle((start, middle - down / 2), across, down, fill=False, edgecolor=style.SOFT, linewidth=0.6)
        ax.add_patch(frame)
