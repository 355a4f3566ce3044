"""A recording replayed: filters as they come about, one moment after the other beside the loss."""

from __future__ import annotations

import math

import numpy as np

from . import style
from .animation import Animation
from .recording import Recording
from .recording_picture import caption_of, draw_loss, largest, mark_moments, pictures_of, spread, title_of
from .tiles import tile

FRAMES = 40
"""At most so many states of an animation."""

LEVELS = 20
"""Shades above and below zero in an animation: a GIF has few colours."""


def animate_recording(recording: Recording, key: str | None = None, *, seconds: float = 0.25) -> Animation:
    """All filters or maps of one layer as they change, and where on the loss curve that is. For `save_animation`.

    Parameters
    ----------
    recording, key
        As for `plot_recording`.
    seconds : float
        How long each moment is seen. Of a long recording, 40 moments are shown, closer together at the beginning.

    Returns
    -------
    Animation
        ``save_animation(animate_recording(recording), "filters.gif")``, or ``.svg``.

    Raises
    ------
    ValueError
        As `plot_recording`.
    """
    key, pictures = pictures_of(recording, key)
    chosen = spread(len(pictures), FRAMES, power=1.5)
    grids = [tile(picture.astype(np.float32), _columns(pictures.shape[1])) for picture in pictures[chosen]]
    rows, columns = grids[0].shape
    inches = min(3.0 / columns, 2.8 / rows)
    size = max(columns * inches, 1.4) + 4.0, max(rows * inches, 1.9) + 1.3
    caption = caption_of(recording, key, pictures.shape[1], pictures.shape[1]).replace("Below", "Right")
    figure = style.new_figure(*size, title_of(recording, key), caption)
    ax, chart = figure.subplots(1, 2, width_ratios=[max(columns * inches, 1.4), 3.4])
    animation = Animation(figure, len(chosen), seconds)
    scale = largest(pictures)
    draw_loss(chart, recording)
    for i, (moment, grid) in enumerate(zip(chosen, grids, strict=True)):
        with animation.during(ax, i, i):
            shades = np.round(grid / scale * LEVELS)
            ax.imshow(shades, style.SIGNED, vmin=-LEVELS, vmax=LEVELS, interpolation="nearest")
            words = f"after {recording.steps[moment]} steps"
            ax.text(0, 1.02, words, fontsize=10, color=style.INK, va="bottom", transform=ax.transAxes)
        with animation.during(chart, i, i):
            mark_moments(chart, recording, chosen[i : i + 1])
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_axis_off()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # arranged once, for all moments
    return animation


def _columns(count: int) -> int:
    """Of a grid that is about as wide as high; without gaps where that is to be had."""
    columns = math.ceil(math.sqrt(count))
    return next((c for c in range(columns, count + 1) if count % c == 0 and c <= 1.5 * columns), columns)
