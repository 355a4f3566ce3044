"""One image on its way through a network, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..layers import Layer
from ..layers.containers import named_layers
from ..ops import softmax_forward
from ..ops.utils import check_rank
from ..typing import Array
from . import style
from .features import feature_maps

MOST_LAYERS = 8
MOST_MAPS = 10
MOST_CLASSES = 10
"""At most so many layers, maps of each, and classes are drawn."""

MAP_INCHES = 0.66
MOST_LETTERS = 21
"""Of the label of a row."""

STEP = 1.1
"""From one map to the next, in widths of a map."""

SAME_NUMBERS = ("Sequential", "Flatten", "Identity", "Dropout")
"""What gives, in evaluation, the numbers of another layer; it is not drawn."""


def plot_feature_maps(
    model: Layer, x: Array, *, image: Array | None = None, classes: Sequence[str] | None = None
) -> Figure:
    """One image on its way through the layers: pixels, feature maps, probabilities.

    Parameters
    ----------
    model : Layer
    x : (1, C, H, W)
        What the model takes: one image.
    image : (C, H, W), optional
        The same image in [0, 1], to be shown; x itself, stretched to [0, 1], if not given.
    classes : sequence of str, optional
        Names of the model's outputs.

    Returns
    -------
    Figure
        A row for each layer, or for some of them where there are many: the first maps of a layer, each row on a scale
        of its own. Where the model ends in one number for each class, the last row shows their softmax.

    Raises
    ------
    ShapeError
        If x is not a batch of images.
    """
    check_rank("plot_feature_maps", "x", x, "N C H W")
    maps = {key: y[0] for key, y in feature_maps(model, x[:1]).items() if y.ndim in (2, 4)}
    layers = dict(named_layers(model))
    logits = _last_vector(maps)
    others = [key for key in maps if logits is None or not np.array_equal(maps[key], logits)]
    rows = evenly_chosen([key for key in others if type(layers[key]).__name__ not in SAME_NUMBERS])
    heights = [1.3, *(_inches(maps[key]) for key in rows), *([] if logits is None else [1.0])]
    width = MAP_INCHES * MOST_MAPS * STEP
    figure, axes = style.stack("One image through the network", CAPTION, heights, left=1.75, width=width, foot=0.36)
    _draw_image(axes[0], stretched(x[0]) if image is None else image)
    for ax, key in zip(axes[1:], rows, strict=False):
        _draw_maps(ax, maps[key])
        label_row(ax, f"{key} {type(layers[key]).__name__}", style.times(*maps[key].shape))
    if logits is not None:
        _draw_probabilities(axes[-1], logits, classes)
    return figure


CAPTION = (
    "White is zero, blue above, orange below; every row has its own scale. "
    f"Of layers with more than {MOST_MAPS} maps, the first {MOST_MAPS} are shown."
)


def evenly_chosen(keys: Sequence[str]) -> list[str]:
    """All of them, or some that are evenly spaced."""
    places = np.linspace(0, len(keys) - 1, min(len(keys), MOST_LAYERS)).round().astype(int)
    return [keys[i] for i in places]


def _last_vector(maps: Mapping[str, Array]) -> Array | None:
    """What the model ends in, if that is one number for each class."""
    last = list(maps.values())[-1] if maps else None
    return last if last is not None and last.ndim == 1 else None


def _inches(y: Array) -> float:
    """Height of the row of one layer."""
    return 0.22 if y.ndim == 1 else MAP_INCHES * min(y.shape[1] / y.shape[2], 2.0)


def stretched(image: Array) -> Array:
    """Any numbers as numbers in [0, 1]."""
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low or 1.0)


def _draw_image(ax: Axes, image: Array) -> None:
    style.draw_image(ax, image)
    ax.set_anchor("W")
    label_row(ax, "input", style.times(*image.shape))


def _draw_maps(ax: Axes, y: Array) -> None:
    """The first maps side by side, or a vector as a strip."""
    scale = float(np.abs(y).max(initial=0.0)) or 1.0
    pictures = y[None, None] if y.ndim == 1 else y[:MOST_MAPS]
    width = MOST_MAPS * STEP - (STEP - 1) if y.ndim == 1 else 1.0
    for i, picture in enumerate(pictures):
        place = (i * STEP, i * STEP + width, 0, 1)
        ax.imshow(picture, style.SIGNED, vmin=-scale, vmax=scale, interpolation="nearest", extent=place, aspect="auto")
        ax.add_patch(Rectangle((i * STEP, 0), width, 1, fill=False, edgecolor=style.FAINT, linewidth=0.8))
    ax.set_xlim(0, MOST_MAPS * STEP)
    ax.set_ylim(0, 1)
    ax.set_axis_off()


def _draw_probabilities(ax: Axes, logits: Array, classes: Sequence[str] | None) -> None:
    """The likeliest classes as bars, in the order of the classes."""
    probabilities = softmax_forward(logits)[0]
    shown = np.sort(np.argsort(-probabilities, kind="stable")[:MOST_CLASSES])
    names = [str(k) if classes is None else two_lines(classes[k]) for k in shown]
    colours = [style.BLUE if k == probabilities.argmax() else style.SOFT for k in shown]
    places = np.arange(len(shown)) * STEP + 0.5
    ax.bar(places, probabilities[shown], width=0.8, color=colours)
    for place, k in zip(places, shown, strict=True):
        if probabilities[k] >= 0.005:
            ax.text(
                place,
                probabilities[k] + 0.05,
                style.percent(probabilities[k]),
                ha="center",
                fontsize=7.5,
                color=style.SOFT,
            )
    ax.set_xticks(places, names, fontsize=8, color=style.INK, parse_math=False)
    ax.set_xlim(0, MOST_MAPS * STEP)
    ax.set_ylim(0, 1.25)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.spines["bottom"].set_color(style.FAINT)
    count = len(logits)
    label_row(ax, "softmax", f"the {len(shown)} largest of {count}" if count > len(shown) else f"{count} classes")


def two_lines(name: str) -> str:
    """A name of a class as it stands below a bar."""
    return textwrap.fill(style.short(name, 20), 10, max_lines=2, placeholder="…")


def label_row(ax: Axes, name: str, shape: str) -> None:
    """Which layer, and the shape of what it gives, at the left of a row."""
    figure, box = ax.figure, ax.get_position()
    assert isinstance(figure, Figure)
    name = name if len(name) <= MOST_LETTERS else "…" + name[1 - MOST_LETTERS :]
    x, y = style.MARGIN / figure.get_figwidth(), (box.y0 + box.y1) / 2
    apart = 0.015 / figure.get_figheight()
    figure.text(x, y + apart, name, va="bottom", fontsize=8.5, color=style.INK, parse_math=False)
    figure.text(x, y - apart, shape, va="top", fontsize=8, color=style.SOFT)
