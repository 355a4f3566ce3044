"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ..training import Evaluation
from ..typing import Array
from . import style

if TYPE_CHECKING:
    import pandas as pd

MOST_WITH_COUNTS = 30
"""With more classes, cells are too small to hold a number; the most frequent confusions are listed instead."""


CAPTION = "Colour: share of the row. At its right, the share that was found."


def plot_confusion(evaluation: Evaluation, classes: Sequence[str] | None = None) -> Figure:
    """Counts: a row for each true class, a column for each predicted one.

    Colour is the share of the row: blue on the diagonal, orange for mistakes, on a scale that shows small shares.

    Parameters
    ----------
    evaluation : Evaluation
        What `evaluate` returns.
    classes : sequence of str, optional
        Names; numbers if not given.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If targets are no class indices, or the number of names is wrong.

    Examples
    --------
    >>> figure = plot_confusion(Evaluation.of(np.eye(2), np.array([0, 1]), loss=0.1), ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '100 %', '100 %']
    """
    table = evaluation.confusion(classes)
    names = [style.short(str(name), 12) for name in table.index]
    counts = table.to_numpy()
    right, total = int(np.trace(counts)), int(counts.sum())
    title = f"{style.percent(right / total, 2)} right: {right} of {total} examples"
    side = min(max(0.46 * len(names), 2.4), 8.0)
    listed = len(names) > MOST_WITH_COUNTS
    figure = style.new_figure(side + 1.5 + 2.6 * listed, side + 1.2, title, CAPTION)
    axes = figure.subplots(1, 1 + listed, squeeze=False, width_ratios=[side, 2.6][: 1 + listed])[0]
    _draw_shares(axes[0], counts, names)
    if listed:
        _list_confusions(axes[1], most_confused(evaluation, classes, limit=20))
    else:
        _write_counts(axes[0], counts)
    return figure


def most_confused(evaluation: Evaluation, classes: Sequence[str] | None = None, *, limit: int = 10) -> pd.DataFrame:
    """The most frequent mistakes: true class, predicted class, count, share of the true class.

    Examples
    --------
    >>> logits = np.eye(2)[[0, 1, 1]]
    >>> most_confused(Evaluation.of(logits, np.array([0, 0, 1]), loss=0.1), ["cat", "dog"])
      true predicted  count  share
    0  cat       dog      1    0.5
    """
    import pandas as pd

    table = evaluation.confusion(classes)
    counts = table.to_numpy()
    mistakes = counts - np.diag(np.diag(counts))
    order = np.argsort(-mistakes, axis=None, kind="stable")[: min(limit, np.count_nonzero(mistakes))]
    true, predicted = np.unravel_index(order, counts.shape)
    return pd.DataFrame(
        {
            "true": table.index[true],
            "predicted": table.columns[predicted],
            "count": mistakes[true, predicted],
            "share": _shares(counts)[true, predicted],
        }
    )


def _shares(counts: Array) -> Array:
    """Each row divided by its sum; zero where a class has no example."""
    total = counts.sum(1, keepdims=True)
    shares: Array = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    return shares


def _draw_shares(ax: Axes, counts: Array, names: list[str]) -> None:
    """Coloured cells, with the names of the classes around them."""
    K = len(names)
    shares = _shares(counts)
    diagonal = np.eye(K, dtype=bool)
    for cells, colours in ((diagonal, style.RIGHT), (~diagonal, style.WRONG)):
        ax.imshow(np.where(cells, shares, np.nan), colours, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    every = np.arange(0, K, -(-K // 50))  # no more than fifty names
    size = 8.5 if K <= MOST_WITH_COUNTS else 6
    upright = max(map(len, names)) <= 2
    ax.set_xticks(every, [names[k] for k in every], rotation=0 if upright else 90, parse_math=False)
    ax.set_yticks(every, [names[k] for k in every], parse_math=False)
    ax.tick_params(length=0, labelsize=size, labelcolor=style.INK)
    ax.set_xlabel("predicted", fontsize=9, color=style.SOFT)
    ax.set_ylabel("true", fontsize=9, color=style.SOFT)
    ax.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    ax.grid(visible=True, which="minor", color="white" if K > MOST_WITH_COUNTS else style.FAINT, linewidth=0.6)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)


def _write_counts(ax: Axes, counts: Array) -> None:
    """Every count that is not zero in its cell, and at the right of each row the share that was found."""
    shares, K = _shares(counts), len(counts)
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.3
        colour, size = "white" if dark else style.INK, 8.5 if counts.max() < 1000 else 7
        ax.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=size, color=colour)
    for k in map(int, np.flatnonzero(counts.sum(1))):
        _beside(ax, style.percent(shares[k, k]), (K - 0.5, k))


def _beside(ax: Axes, text: str, place: tuple[float, float]) -> None:
    """A few points to the right of a place, however large the cells are."""
    ax.annotate(text, place, (5, 0), textcoords="offset points", va="center", fontsize=8, color=style.SOFT)


def _list_confusions(ax: Axes, mistakes: pd.DataFrame) -> None:
    """In words, the most frequent first."""
    ax.set_axis_off()
    ax.set_title("most often confused", loc="left", fontsize=9, color=style.INK)
    rows = zip(mistakes["count"], mistakes["true"], mistakes["predicted"], strict=True)
    for i, (count, true, predicted) in enumerate(rows):
        said = f"{count} x  {style.short(str(true), 14)} as {style.short(str(predicted), 14)}"
        ax.text(0, 0.98 - i * 0.047, said, va="top", fontsize=8, color=style.SOFT, parse_math=False)
