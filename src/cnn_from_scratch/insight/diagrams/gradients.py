"""How values go forward through a network and gradients come back, drawn from a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ...layers import Context, Sequential
from ...ops import cross_entropy_backward, cross_entropy_forward
from ...randomness import Place
from ...typing import Array
from .. import style
from .grids import arrow, tint, write
from .shapes import Shape, layer_name


class Passage(NamedTuple):
    """What one layer gave in both directions."""

    name: str
    output: Shape
    dx: Shape
    grads: dict[str, Shape]


def passages(model: Sequential, x: Array, targets: Array) -> list[Passage]:
    """Run a model forward and backward with cross-entropy, and note the shapes at each layer; nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear
    >>> passages(Sequential(Linear(3, 2, rng=0)), np.ones((5, 3), np.float32), np.zeros(5, int))[0].grads
    {'weight': (2, 3), 'bias': (2,)}
    """
    forward: dict[str, Shape] = {}
    backward: dict[str, Mapping[str, Any]] = {}

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        if phase == "forward":
            forward[key] = values["output"].shape
        else:
            backward[key] = values

    logits, caches = model.forward(x, Context(train=True, rng=Place(0), tap=tap))
    _, cache = cross_entropy_forward(logits, targets)
    model.backward(cross_entropy_backward(cache), caches)
    return [
        Passage(
            layer_name(key, layer),
            forward[key],
            backward[key]["dx"].shape,
            {name: grad.shape for name, grad in backward[key]["grads"].items()},
        )
        for key, layer in model.children.items()
    ]


def draw_gradient_flow(model: Sequential, x: Array, targets: Array) -> Figure:
    """Values go down, gradients come up with the same shapes, and each layer leaves the gradients of its parameters.

    Parameters
    ----------
    model : Sequential
    x : (N, C, H, W) or (N, features)
        Inputs.
    targets : (N,)
        Class indices.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear
    >>> model = Sequential(Linear(3, 2, rng=0))
    >>> draw_gradient_flow(model, np.ones((5, 3), np.float32), np.zeros(5, int)).get_suptitle()
    'Forward and backward through 1 layers'
    """
    steps = passages(model, x, targets)
    rows = 2 * (len(steps) + 2) - 1  # a box, an arrow, a box ...
    caption = "Blue: values, forward. Orange: gradients of the loss, backward, in the shapes of the values."
    title = f"Forward and backward through {len(steps)} layers"
    figure, (ax,) = style.stack(title, caption, [rows * ROW], width=6.6)
    ax.set_xlim(0, 6.6)
    ax.set_ylim(rows * ROW, 0)
    ax.set_axis_off()
    _box(ax, 0, "input", style.SOFT)
    _arrows(ax, 1, x.shape, steps[0].dx)
    for i, step in enumerate(steps):
        _box(ax, 2 * i + 2, step.name, style.BLUE if step.grads else style.SOFT)
        _leave_gradients(ax, 2 * i + 2, step.grads)
        after = steps[i + 1].dx if i + 1 < len(steps) else step.output
        _arrows(ax, 2 * i + 3, step.output, after)
    _box(ax, rows - 1, "cross-entropy", style.ORANGE)
    return figure


ROW, LEFT, WIDTH = 0.36, 1.5, 1.9
"""Inches: height of a row, left edge and width of the boxes."""


def _box(ax: Axes, row: int, name: str, colour: str) -> None:
    """One layer."""
    corner = LEFT, row * ROW + 0.02
    style_of_box = "round,pad=0,rounding_size=0.06"
    ax.add_patch(
        FancyBboxPatch(
            corner, WIDTH, ROW - 0.04, style_of_box, facecolor=tint(colour, 0.12), edgecolor=colour, linewidth=1.2
        )
    )
    write(ax, LEFT + WIDTH / 2, (row + 0.5) * ROW, name)


def _arrows(ax: Axes, row: int, value: Shape, gradient: Shape) -> None:
    """Down with the values, up with the gradients."""
    top, bottom = row * ROW - 0.01, (row + 1) * ROW + 0.01
    down, up = LEFT + 0.5, LEFT + WIDTH - 0.5
    arrow(ax, (down, top), (down, bottom), style.BLUE)
    arrow(ax, (up, bottom), (up, top), style.ORANGE)
    write(ax, down - 0.12, (row + 0.5) * ROW, style.times(*value), style.BLUE, size=8.5, ha="right")
    write(ax, up + 0.12, (row + 0.5) * ROW, style.times(*gradient), style.ORANGE, size=8.5, ha="left")


def _leave_gradients(ax: Axes, row: int, grads: Mapping[str, Shape]) -> None:
    """To the right of a layer, what its parameters learn from."""
    if grads:
        middle, edge = (row + 0.5) * ROW, LEFT + WIDTH
        arrow(ax, (edge + 0.02, middle), (edge + 0.5, middle), style.ORANGE)
        said = ",  ".join(f"d{name} {style.times(*shape)}" for name, shape in grads.items())
        write(ax, edge + 0.58, middle, said, style.INK, size=8.5, ha="left")
