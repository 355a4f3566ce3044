"""The image once for each layer, with what one pixel behind that layer sees of it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...errors import ShapeError
from ...layers import Sequential
from .. import style
from .fields import Field, receptive_fields
from .grids import outline, write
from .shapes import Shape


def draw_receptive_fields(model: Sequential, input_shape: Shape) -> Figure:
    """The image once for each layer, with what the middle pixel behind that layer sees of it.

    Parameters
    ----------
    model, input_shape
        As for `receptive_fields`.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError, UnsupportedOpError
        As `receptive_fields` does; also ShapeError if there is no layer with a window.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d
    >>> model = Sequential(*(Conv2d(1, 1, 3, rng=0) for _ in range(3)))
    >>> draw_receptive_fields(model, (1, 9, 9)).get_suptitle()
    'The receptive field grows from 3×3 to 7×7 in 3 layers'
    """
    found = receptive_fields(model, input_shape)
    if not found:
        raise ShapeError("draw_receptive_fields: the model has no convolution or pool before its first Flatten")
    first, last = (f"{field.box[2]}×{field.box[3]}" for field in (found[0], found[-1]))
    title = f"The receptive field grows from {first} to {last} in {len(found)} layers"
    caption = (
        "Framed: all pixels of the image that the middle pixel of the layer's output depends on. The darker, the more "
        "ways lead from one to the other."
    )
    columns = min(ACROSS, len(found))
    _, H, W = input_shape
    side = SIDE * W / max(H, W), SIDE * H / max(H, W)
    rows = -(-len(found) // columns)
    size = columns * (side[0] + APART) - APART, rows * (side[1] + HEAD)
    figure, (ax,) = style.stack(title, caption, [size[1]], width=size[0])
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    ax.set_axis_off()
    for i, field in enumerate(found):
        row, column = divmod(i, columns)
        _draw_field(ax, field, column * (side[0] + APART), row * (side[1] + HEAD) + HEAD - 0.06, side[0] / W)
    return figure


ACROSS, SIDE, APART, HEAD = 3, 2.1, 0.3, 0.62
"""Images in a row; inches of the longer side of one, between two of them, for the words above."""


def _draw_field(ax: Axes, field: Field, left: float, top: float, pixel: float) -> None:
    """The image as a grid, the pixels of the field shaded."""
    H, W = field.paths.shape
    lines = [[(left, top + row * pixel), (left + W * pixel, top + row * pixel)] for row in range(H + 1)]
    lines += [[(left + c * pixel, top), (left + c * pixel, top + H * pixel)] for c in range(W + 1)]
    ax.add_collection(LineCollection(lines, colors=style.FAINT, linewidths=0.5, clip_on=False))
    places = np.argwhere(field.paths)
    cells = [Rectangle((left + column * pixel, top + row * pixel), pixel, pixel) for row, column in places]
    colours = style.RIGHT(0.15 + 0.75 * field.paths[field.paths > 0] / field.paths.max())
    ax.add_collection(PatchCollection(cells, facecolor=colours, edgecolor=style.FAINT, linewidth=0.5, clip_on=False))
    row, column, height, width = field.box
    outline(ax, left + column * pixel, top + row * pixel, width * pixel, height * pixel, style.INK, width=1.8)
    KH, KW = field.kernel
    write(ax, left, top - 0.35, f"{field.name} {KH}×{KW}", size=9.5, ha="left")
    words = f"sees {height}×{width}, output {style.times(*field.output)}"
    write(ax, left, top - 0.14, words, style.SOFT, size=8.5, ha="left")
