"""What a convolution has learned to look for: its filters as pictures."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..layers import Conv2d, Layer
from ..layers.predict import require_layer
from ..ops.utils import check_rank
from ..typing import Array
from . import style
from .tiles import near_square, tile

MOST_FILTERS = 64
MOST_SLICES = 16
"""At most so many filters are shown; at most so many, and as many channels, where every channel has its own picture."""

TILE_INCHES, MOST_INCHES = 0.62, 8.0
"""Width of one filter, and of all of them at most."""


def plot_filters(model: Layer, key: str | None = None) -> Figure:
    """The filters of one convolution, all on one scale.

    Filters that look at a single channel, and those of the first layer if it looks at red, green and blue, are one
    picture each. Otherwise every filter is a row, with a picture for each channel.

    Parameters
    ----------
    model : Layer
    key : str, optional
        Which convolution, as ``"0"`` or ``"features.0"``; the first one if not given.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the model has no convolution, or none of that key.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Sequential
    >>> plot_filters(Sequential(Conv2d(1, 8, 3, rng=0))).get_suptitle()
    'Filters of 0'
    """
    name, layer = find_convolution(model, key)
    weight = layer.params["weight"]
    colour = weight.shape[1] == 3 and name == find_convolution(model)[0]
    grid = filter_grid(weight, colour=colour)
    (KH, KW), (height, width) = weight.shape[2:], grid.shape[:2]
    inches = min(TILE_INCHES / max(KH, KW), MOST_INCHES / width)
    title = f"Filters of {name}" if name else "Filters"
    size = max(width * inches, 2.4) + 1.3, max(height * inches, 1.0) + 0.9
    figure = style.new_figure(*size, title, _caption(weight, colour))
    ax = figure.subplots()
    scale = _scale(weight)
    image = ax.imshow(grid, cmap=style.SIGNED, vmin=-scale, vmax=scale, interpolation="nearest")
    ax.set_axis_off()
    ax.set_anchor("W")
    if not colour:
        style.scale_bar(figure, ax, image)
    return figure


def filter_grid(weight: Array, *, colour: bool = False) -> Array:
    """The picture that `plot_filters` shows, as numbers.

    Parameters
    ----------
    weight : (F, C, KH, KW)
    colour : bool
        For C = 3: one picture in red, green and blue for each filter, in which 0 is grey.

    Returns
    -------
    grid : (rows, columns), or (rows, columns, 3) if in colour
        Weights as they are, NaN between the filters; in colour 0.5 + weight / (2 * largest), white between them.

    Raises
    ------
    ShapeError
        If the weight has not four axes.

    Examples
    --------
    >>> filter_grid(np.array([1.0, -2.0]).reshape(2, 1, 1, 1))
    array([[ 1., nan, -2.]])
    """
    check_rank("filter_grid", "weight", weight, "F C KH KW")
    F, C, KH, KW = weight.shape
    if colour and C == 3:
        pictures = 0.5 + weight[:MOST_FILTERS].transpose(0, 2, 3, 1) / (2 * _scale(weight))  # (F, KH, KW, 3)
        return tile(pictures, near_square(len(pictures)), fill=1.0)
    if C == 1:
        return tile(weight[:MOST_FILTERS, 0], near_square(min(F, MOST_FILTERS)))
    slices = weight[:MOST_SLICES, :MOST_SLICES]
    return tile(slices.reshape(-1, KH, KW), slices.shape[1])


def find_convolution(model: Layer, key: str | None = None) -> tuple[str, Conv2d]:
    """The convolution of this key, or the first one, with its key.

    Raises
    ------
    ValueError
        If there is none.
    """
    require_layer("find_convolution", model)
    found = {name: layer for name, layer in model.layers() if isinstance(layer, Conv2d)}
    if not found:
        raise ValueError("find_convolution: the model has no Conv2d")
    if key is None:
        key = next(iter(found))
    if not isinstance(key, str) or key not in found:
        raise ValueError(f"find_convolution: no Conv2d has the key {key!r}; those that have one: {', '.join(found)}")
    return key, found[key]


def _scale(weight: Array) -> float:
    """The largest weight, by amount."""
    return float(np.abs(weight).max(initial=0.0)) or 1.0


def _caption(weight: Array, colour: bool) -> str:
    F, C, KH, KW = weight.shape
    if colour:
        return f"{_some(F, MOST_FILTERS, 'filter')} of {KH}×{KW} on red, green and blue. Grey is a weight of zero."
    if C == 1:
        return f"{_some(F, MOST_FILTERS, 'filter')} of {KH}×{KW}."
    rows, columns = _some(F, MOST_SLICES, "filter"), _some(C, MOST_SLICES, "channel")
    return f"Rows: {rows} of {KH}×{KW}. Columns: {columns} that each filter looks at."


def _some(count: int, most: int, name: str) -> str:
    """As 16 filters, or the first 64 of 128 filters."""
    return f"the first {most} of {count} {name}s" if count > most else f"{count} {name}" + "s" * (count > 1)
