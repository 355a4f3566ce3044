"""What batch norm does to each channel of a batch, in training and in evaluation."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ...errors import LimitError
from ...layers import BatchNorm2d
from ...ops import batch_norm_forward
from ...ops.utils import check_rank
from ...typing import Array
from .. import style
from .grids import said, tint

COLOURS, MOST_IMAGES = (style.BLUE, style.ORANGE, style.GREEN, style.PINK), 4
"""One colour for each channel; how many images of the batch are shown."""


def draw_batch_norm(layer: BatchNorm2d, x: Array) -> Figure:
    """The values of each channel: as they come, normalized in training, normalized in evaluation.

    Parameters
    ----------
    layer : BatchNorm2d
        With the running statistics that evaluation is to use; it is not changed.
    x : (N, C, H, W)
        A batch of at most four channels.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is no batch for this layer.
    LimitError
        If there are more than four channels.
    ValueError
        If the layer has no running statistics.

    References
    ----------
    Ioffe, Szegedy: Batch Normalization (2015), algorithms 1 and 2. https://arxiv.org/abs/1502.03167

    Examples
    --------
    >>> x = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
    >>> draw_batch_norm(BatchNorm2d(1), x).get_suptitle()
    'Batch norm: every channel is measured over the whole batch, by itself'
    """
    check_rank("draw_batch_norm", "x", x, "N C H W")
    N, C, H, W = x.shape
    if C > len(COLOURS):
        raise LimitError(f"draw_batch_norm: {C} channels are too many to draw; at most {len(COLOURS)}")
    x = x.astype(np.float64)  # the picture is then the same on every machine
    vectors = [None if vector is None else vector.astype(np.float64) for vector in layer.vectors()]
    train, evaluation = (batch_norm_forward(x, *vectors, train=mode, eps=layer.eps)[0] for mode in (True, False))
    title = "Batch norm: every channel is measured over the whole batch, by itself"
    caption = (
        "Bars and numbers: mean ± standard deviation. Training takes those of this batch, so all batches come out "
        "alike; evaluation takes the running ones (grey), so that an image comes out alike in every batch."
    )
    figure = style.new_figure(7.4, 1.15 + 1.2 * C, title, caption)
    axes = figure.subplots(C, 4, width_ratios=[1.1, 1, 1, 1], squeeze=False)
    remembered = np.stack([layer.buffers["running_mean"], np.sqrt(layer.buffers["running_var"])], axis=-1)  # (C, 2)
    before, after = _limits(x, remembered @ np.array([[1, 1], [-1, 1]])), _limits(train, evaluation)
    shown = np.unique(np.linspace(0, N - 1, MOST_IMAGES).astype(int))
    for c, row in enumerate(axes):
        _draw_maps(row[0], x[shown, c], COLOURS[c], f"channel {c}: {N}×{H}×{W} values")
        _draw_values(row[1], x[:, c], before, COLOURS[c], remembered[c])
        for ax, values in zip(row[2:], (train, evaluation), strict=True):
            _draw_values(ax, values[:, c], after, COLOURS[c])
    for ax, words in zip(axes[0, 1:], ("before", "after, in training", "after, in evaluation"), strict=True):
        ax.set_title(f"{words}\n{ax.get_title(loc='left')}", loc="left", fontsize=9, color=style.INK)
    return figure


def _limits(*arrays: Array) -> tuple[float, float]:
    """From the lowest to the highest value, but for a few."""
    low, high = (
        choose(np.quantile(array, share) for array in arrays) for choose, share in ((min, 0.002), (max, 0.998))
    )
    room = 0.03 * (high - low) or 1.0
    return float(low - room), float(high + room)


def _draw_maps(ax: Axes, maps: Array, colour: str, words: str) -> None:
    """Some maps of one channel side by side, in its colour."""
    N, H, W = maps.shape
    low, high = maps.min(), maps.max()
    strip = np.full((H, N * (W + 1) - 1), np.nan)
    for n, image in enumerate(maps):
        strip[:, n * (W + 1) : n * (W + 1) + W] = (image - low) / ((high - low) or 1)
    shades = LinearSegmentedColormap.from_list("shades", ["#ffffff", colour])
    ax.imshow(strip, cmap=shades, vmin=0, vmax=1, interpolation="none")  # an SVG then holds these very pixels
    ax.set_title(words, loc="left", fontsize=9, color=style.INK)
    ax.set_axis_off()


def _draw_values(
    ax: Axes, values: Array, limits: tuple[float, float], colour: str, remembered: Array | None = None
) -> None:
    """How often each value occurs, and below it mean and standard deviation."""
    mean, std = float(values.mean()), float(values.std())
    style.chart(ax, "")
    ax.set_title(f"{_two(mean)} ± {_two(std)}", loc="left", fontsize=9, color=style.INK)
    ax.set_facecolor("none")
    counts, edges = np.histogram(values, bins=36, range=limits)
    ax.stairs(counts / counts.max(), edges, fill=True, color=tint(colour, 0.5))
    bars = [(mean, std, colour), *([] if remembered is None else [(*remembered, style.SOFT)])]
    for place, (middle, reach, shade) in enumerate(bars):
        y = -0.14 - 0.18 * place
        ax.plot([middle - reach, middle + reach], [y, y], color=shade, linewidth=3, solid_capstyle="butt")
        ax.plot(middle, y, marker="o", color=shade, markersize=5)
    ax.set(xlim=limits, ylim=(-0.45, 1.05), yticks=[])
    ax.spines["left"].set_visible(False)


def _two(number: float) -> str:
    """Two decimals."""
    return said(round(number, 2))
