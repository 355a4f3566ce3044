"""What is left of each map when the layers are drawn anew: methods in rows, the layers gone in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..layers import Layer
from ..ops.utils import check_rank
from ..typing import Array
from . import style
from .attribution_picture import draw_map, stretched
from .attributions import METHODS
from .map_similarity import rank_correlation
from .randomization import randomized_maps
from .targets import Target

MOST_STAGES = 6
INCHES, STEP, WORDS, LEFT, HEAD = 1.1, 1.2, 0.24, 1.15, 0.38
"""Width of a map, from one to the next, and inches for the words below a map, at the left, and above."""

CAPTION = (
    "From left to right the layers are drawn anew, the last one first. Below each map its rank correlation with the "
    "map of the trained network: near 0 if the method depends on what was learned."
)


def plot_model_randomization(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    methods: Sequence[str] | None = None,
    image: Array | None = None,
    seed: int = 0,
) -> Figure:
    """The maps of one image, as trained and with more and more layers drawn anew.

    Parameters
    ----------
    model : Layer
        Gives (N, K). It is copied, not changed.
    x : (1, C, H, W)
        What the model takes: one image.
    target, methods, seed
        As in `model_randomization`.
    image : (C, H, W), optional
        The same image in [0, 1], to be shown; x itself, stretched to [0, 1], if not given.

    Returns
    -------
    Figure
        At most 6 of the stages, the first and the last among them. Every map has a scale of its own.

    Raises
    ------
    ShapeError
        If x is not a batch of one image.
    ValueError
        As `model_randomization`.
    """
    check_rank("plot_model_randomization", "x", x, "N C H W")
    if len(x) != 1:
        raise ShapeError(f"plot_model_randomization: x must be a batch of one image (1, C, H, W), got shape {x.shape}")
    (_, trained), *stages = randomized_maps("plot_model_randomization", model, x, target, methods, seed)
    places = np.linspace(0, len(stages) - 1, min(len(stages), MOST_STAGES)).round().astype(int)
    columns = [("as trained", trained), *((_heading(stages[i][0]), stages[i][1]) for i in places)]
    picture = stretched(x[0] if image is None else image)
    height = INCHES * float(np.clip(x.shape[2] / x.shape[3], 0.3, 2.0))
    size = LEFT + len(columns) * STEP, HEAD + len(trained) * (height + WORDS)
    figure, (ax,) = style.stack("Does the map depend on what was learned?", CAPTION, [size[1]], width=size[0])
    for row, name in enumerate(trained):
        middle = HEAD + row * (height + WORDS) + height / 2
        ax.text(0, middle, METHODS[name].heading, va="center", fontsize=8.5, color=style.INK)
    for column, (heading, maps) in enumerate(columns):
        _draw_column(ax, LEFT + column * STEP, height, heading, picture, maps, trained if column else None)
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)  # inches, from the top
    ax.set_aspect("auto")
    ax.set_axis_off()
    return figure


def _draw_column(
    ax: Axes,
    left: float,
    height: float,
    heading: str,
    picture: Array,
    maps: Mapping[str, Array],
    trained: Mapping[str, Array] | None,
) -> None:
    """One stage: the map of each method, and below it how much it is like that of the trained network."""
    _write(ax, left + INCHES / 2, HEAD - 0.05, heading, style.INK)
    for row, (name, (shown, *_)) in enumerate(maps.items()):
        top = HEAD + row * (height + WORDS)
        draw_map(ax, picture, shown, signed=METHODS[name].signed, extent=(left, left + INCHES, top + height, top))
        if trained is not None:
            likeness = f"{rank_correlation(trained[name][0], shown):.2f}".replace("-", "−")
            _write(ax, left + INCHES / 2, top + height + 0.17, likeness, style.SOFT)


def _heading(key: str) -> str:
    """Which layers are gone; of a long key, its end."""
    return "anew down to\n" + (key if len(key) <= 14 else "…" + key[-13:])


def _write(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.text(x, y, text, ha="center", va="bottom", fontsize=8.5, color=colour, parse_math=False)
