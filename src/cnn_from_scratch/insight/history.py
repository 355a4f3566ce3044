"""How the training went: loss, accuracy and learning rate, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..training import History
from ..typing import Array
from . import style

if TYPE_CHECKING:
    import pandas as pd

WIDE_RANGE = 30.0
"""Where the largest value is so many times the smallest, the axis is logarithmic."""


def plot_history(history: History) -> Figure:
    """Loss and accuracy on the training batches and on the validation part, and the learning rate.

    The epoch with the lowest validation loss wears a ring.

    Parameters
    ----------
    history : History
        What `fit` returns.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If no epoch was finished.

    Examples
    --------
    >>> rows = [{"epoch": 1, "loss": 0.5, "lr": 0.1}, {"epoch": 2, "loss": 0.25, "lr": 0.1}]
    >>> [ax.get_title("left") for ax in plot_history(History(rows)).axes]
    ['loss', 'learning rate']
    """
    if not len(history):
        raise ValueError("plot_history: the history is empty, for no epoch was finished")
    frame = history.to_frame()
    quantities = [name for name in ("loss", "accuracy") if name in frame]
    shows_lr = "lr" in frame
    widths = [1.0] * len(quantities) + [0.7] * shows_lr
    figure = style.new_figure(0.6 + 3.9 * sum(widths), 3.4, _title(frame), _caption(frame))
    axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    for ax, name in zip(axes, quantities, strict=False):
        _plot_quantity(ax, frame, name)
    if shows_lr:
        _plot_lr(axes[-1], frame)
    return figure


def plot_quantity(history: History, name: str) -> Figure:
    """One chart of `plot_history` alone.

    Parameters
    ----------
    history : History
        What `fit` returns.
    name : str
        "loss", "accuracy" or "lr".

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If no epoch was finished, or the history has no such column.

    Examples
    --------
    >>> [ax.get_title("left") for ax in plot_quantity(History([{"epoch": 1, "lr": 0.1}]), "lr").axes]
    ['learning rate']
    """
    if name not in CHARTS or not any(name in row for row in history.rows):
        known = [chart for chart in CHARTS if any(chart in row for row in history.rows)]
        raise ValueError(f"plot_quantity: name must be one of {', '.join(known) or 'nothing'} here, got {name!r}")
    frame, figure = history.to_frame(), style.new_figure(4.6, 2.9)
    ax = figure.subplots()
    if name == "lr":
        _plot_lr(ax, frame)
    else:
        _plot_quantity(ax, frame, name)
    return figure


CHARTS = ("loss", "accuracy", "lr")
"""What `plot_quantity` can draw."""


def best_epoch(frame: pd.DataFrame) -> int | None:
    """The row with the lowest validation loss; None where nothing was validated."""
    if "val_loss" not in frame or frame["val_loss"].isna().all():
        return None
    return int(frame["val_loss"].to_numpy(np.float64).argmin())


def _plot_quantity(ax: Axes, frame: pd.DataFrame, name: str) -> None:
    """One quantity for training and validation."""
    _plot_line(ax, frame, name, "training", style.BLUE)
    values = frame[name].to_numpy(np.float64)
    best = best_epoch(frame)
    if f"val_{name}" in frame:
        _plot_line(ax, frame, f"val_{name}", "validation", style.ORANGE)
        values = np.concatenate([values, frame[f"val_{name}"].to_numpy(np.float64)])
        if best is not None:
            x, y = frame["epoch"].iloc[best], frame[f"val_{name}"].iloc[best]
            ax.plot([x], [y], "o", markersize=9, fillstyle="none", color=style.ORANGE, markeredgewidth=1.4)
    if name == "loss":
        ax.legend(frameon=False, fontsize=8.5, labelcolor=style.INK)
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        _finish(ax, np.ones(1), name)
    else:
        _finish(ax, values, name)


def _plot_lr(ax: Axes, frame: pd.DataFrame) -> None:
    _plot_line(ax, frame, "lr", "learning rate", style.GREEN)
    _finish(ax, frame["lr"].to_numpy(np.float64), "learning rate")


def _plot_line(ax: Axes, frame: pd.DataFrame, column: str, label: str, colour: str) -> None:
    marker = "o" if len(frame) <= 30 else ""
    ax.plot(
        frame["epoch"],
        frame[column],
        color=colour,
        label=label,
        linewidth=1.8,
        marker=marker,
        markersize=3.5,
        clip_on=False,
    )


def _finish(ax: Axes, values: Array, title: str) -> None:
    """Title, whole epochs, and a logarithmic axis where small values would drown."""
    finite = values[np.isfinite(values)]
    if title == "learning rate":
        ax.set_ylim(0, 1.1 * finite.max(initial=1e-12))
    elif finite.size and finite.min() > 0 and finite.max() > WIDE_RANGE * finite.min():
        ax.set_yscale("log")
        title += " (logarithmic)"
    style.chart(ax, title, "epoch")
    left, right = ax.dataLim.intervalx
    ax.set_xlim(left - 0.4, right + 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _title(frame: pd.DataFrame) -> str:
    epochs = f"{len(frame)} epoch" + ("s" if len(frame) > 1 else "")
    return f"Training: {epochs}"


def _caption(frame: pd.DataFrame) -> str:
    best = best_epoch(frame)
    if best is None:
        return ""
    row = frame.iloc[best]
    said = f"Lowest validation loss: {row['val_loss']:.4g} after epoch {row['epoch']:.0f} (ring)"
    if "val_accuracy" in frame:
        said += f", with an accuracy of {style.percent(row['val_accuracy'], 2)}"
    return said + "."
