"""A recording replayed: filters as they come about, in a strip of moments above the loss."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ..typing import Array
from . import style
from .recording import EDGES, Recording

MOMENTS, ROWS = 8, 8
"""At most so many columns and rows of a strip."""

TILE, STEP = 0.72, 1.12
"""Inches of one tile, and from one to the next in tiles."""

HEAD, WORDS = 0.25, 0.26
"""Inches above the first row, and from one row to the next at least: a line of words."""


def plot_recording(recording: Recording, key: str | None = None, *, moments: int = MOMENTS) -> Figure:
    """A strip: one row for each filter or map, one column for each chosen moment; below, the loss at the same moments.

    The moments lie closer together at the beginning, where most happens.

    Parameters
    ----------
    recording : Recording
    key : str, optional
        Which filters (``"0.weight"``) or maps (``"1"``, of the first probed image); the first that were recorded if
        not given.
    moments : int
        At most so many columns.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If nothing, or nothing of that key, was recorded.

    Examples
    --------
    >>> filters = {"0.weight": np.zeros((2, 3, 1, 5, 5), np.float16)}
    >>> nothing = np.zeros((2, 0), np.float32)
    >>> loss = np.array([np.nan, 1.0], np.float32)
    >>> recording = Recording(np.array([0, 9]), loss, filters, {}, nothing, nothing, nothing)
    >>> plot_recording(recording).get_suptitle()
    'How the filters of 0.weight came about'
    """
    key, pictures = pictures_of(recording, key)
    chosen = spread(len(pictures), moments, power=2.0)
    rows = min(pictures.shape[1], ROWS)
    height, width = pictures.shape[2:]
    inches = TILE * min(height / width, 1.5)
    pitch = max(inches * STEP, WORDS)
    strip = HEAD + pitch * rows
    figure, (ax, chart) = style.stack(
        title_of(recording, key), caption_of(recording, key, rows, pictures.shape[1]), [strip, 1.5],
        width=max(TILE * STEP * len(chosen), 4.6), left=0.75, gap=0.45, foot=0.5,
    )  # fmt: skip
    _draw_strip(ax, pictures[chosen, :rows], recording.steps[chosen], inches, pitch)
    for row in range(rows):
        name = "filter" if key in recording.filters else "map"
        middle = HEAD + row * pitch + inches / 2
        ax.text(-0.1, middle, f"{name} {row}", ha="right", va="center", fontsize=8.5, color=style.SOFT)
    ax.set_xlim(0, max(TILE * STEP * len(chosen), 4.6))
    ax.set_ylim(strip, 0)
    draw_loss(chart, recording)
    mark_moments(chart, recording, chosen)
    return figure


# --- what is shown --------------------------------------------------------------------------------------------------


def pictures_of(recording: Recording, key: str | None) -> tuple[str, Array]:
    """(T, F, H, W): filters on their first channel, or the maps of the first image."""
    found = {name: value[:, :, 0] for name, value in recording.filters.items()}
    found |= {name: value[:, 0] for name, value in recording.maps.items()}
    if not found:
        raise ValueError("plot_recording: the recording holds neither filters nor maps")
    key = next(iter(found)) if key is None else key
    if key not in found:
        raise ValueError(f"plot_recording: {key!r} was not recorded; there are {', '.join(found)}")
    return key, found[key]


def spread(count: int, most: int, power: float) -> Array:
    """Places of at most so many moments, the first and the last among them, denser at the beginning."""
    most = min(count, most)
    places = np.round(np.linspace(0, 1, most) ** power * (count - 1)).astype(int)
    for i in range(1, most):  # all different
        places[i] = max(places[i], places[i - 1] + 1)
    last: Array = count - most + np.arange(most)  # so many must still find room behind each
    chosen: Array = np.minimum(places, last)
    return chosen


def largest(pictures: Array) -> float:
    """The largest amount that is finite."""
    amounts = np.abs(pictures.astype(np.float32))
    return float(amounts.max(initial=0.0, where=np.isfinite(amounts))) or 1.0


def title_of(recording: Recording, key: str) -> str:
    """What is seen."""
    what = "filters" if key in recording.filters else "feature maps"
    return f"How the {what} of {key} came about"


def caption_of(recording: Recording, key: str, shown: int, count: int) -> str:
    """How to read it."""
    words = "White is zero, blue above, orange below, on one scale."
    if key in recording.filters and recording.filters[key].shape[2] > 1:
        words = f"The first of the channels that each filter looks at. {words}"
    if key in recording.maps:
        words = f"Of the first probed image. {words}"
    if shown < count:
        words = f"{words} The first {shown} of {count} that were recorded are shown."
    if recording.losses.shape[1]:
        low, _, high = (style.percent(edge) for edge in EDGES)
        count = recording.losses.shape[1]
        words = f"{words} Below: training loss, and the losses of {count} probed examples, median and {low} to {high}."
    return words


# --- drawing --------------------------------------------------------------------------------------------------------


def _draw_strip(ax: Axes, pictures: Array, steps: Array, inches: float, pitch: float) -> None:
    """Tiles in inches from the top left: moments across, filters down."""
    scale = largest(pictures)
    for column, moment in enumerate(pictures):
        left = column * TILE * STEP
        ax.text(left + TILE / 2, 0.16, _steps(int(steps[column]), column), ha="center", fontsize=8.5, color=style.SOFT)
        for row, picture in enumerate(moment):
            top = HEAD + row * pitch
            place = (left, left + TILE, top + inches, top)
            ax.imshow(
                picture.astype(np.float32), style.SIGNED, vmin=-scale, vmax=scale, interpolation="nearest",
                extent=place, aspect="auto",
            )  # fmt: skip
            ax.add_patch(Rectangle((left, top), TILE, inches, fill=False, edgecolor=style.FAINT, linewidth=0.8))
    ax.set_axis_off()


def _steps(steps: int, column: int) -> str:
    return f"step {steps}" if column == 0 else f"{steps}"


def draw_loss(ax: Axes, recording: Recording) -> None:
    """Mean training loss between the moments; median and band of the probed examples."""
    steps = recording.steps
    ax.plot(steps[1:], recording.loss[1:], color=style.BLUE, linewidth=1.6, label="training")
    if recording.losses.shape[1]:
        low, median, high = recording.probe_band()
        ax.fill_between(steps, low, high, color=style.ORANGE, alpha=0.18, linewidth=0)
        ax.plot(steps, median, color=style.ORANGE, linewidth=1.6, label="probe")
        ax.legend(edgecolor="white", framealpha=1, fontsize=8.5, labelcolor=style.INK)
    style.chart(ax, "loss", "steps")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.set_xlim(-0.02 * float(steps[-1]) - 0.5, 1.02 * float(steps[-1]) + 0.5)
    ax.set_ylim(bottom=0)


def mark_moments(ax: Axes, recording: Recording, chosen: Array) -> None:
    """Lines at the moments that the pictures are from, and dots on the loss; the first moment has no loss before it."""
    steps = recording.steps[chosen]
    ax.vlines(steps, 0, 1, transform=ax.get_xaxis_transform(), color=style.SOFT, linewidth=0.8, linestyle=":")
    ax.plot(steps, recording.loss[chosen], "o", color=style.BLUE, markersize=5, markeredgecolor="white")
