"""One image on its way through a network and back: maps at the left, gradients at the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..ops import softmax_forward
from ..ops.utils import check_rank
from ..typing import Array
from . import style
from .feature_picture import SAME_NUMBERS, evenly_chosen, label_row, stretched, two_lines
from .trace import LayerTrace, Trace

MOST_MAPS = 5
"""Maps of a layer, or classes, that are drawn side by side."""

MAP, STEP, IMAGE, LINES = 0.64, 0.7, 1.25, 0.27
"""Inches: a map, from one to the next, the image, and two lines of words."""

SIDE = MOST_MAPS * STEP - (STEP - MAP)
BACK = SIDE + 0.95
WIDTH = BACK + SIDE + 0.6
"""Width of one side, where the way back begins, and the end of both; the scales are written between."""

BARS, REACH, MIDDLE, MIDDLE_REACH = 1.0, 0.8, 0.5, 0.32
"""Height of the row of classes, of a bar of 100 %, of the line between up and down, and of the longest from there."""

CAPTION = (
    "White is zero, blue above, orange below; darkest is the largest number of the layer, which stands beside its row. "
    "A gradient says how the loss changes with the number that stands at its place on the left. "
    f"Of layers with more than {MOST_MAPS} maps, the first {MOST_MAPS} are shown."
)


def plot_trace(
    trace: Trace, index: int = 0, *, image: Array | None = None, classes: Sequence[str] | None = None
) -> Figure:
    """One image of a traced batch: what each layer gives, and beside it the gradient of the loss by just that.

    Parameters
    ----------
    trace : Trace
        With a backward pass.
    index : int
        Which image of the batch.
    image : (C, H, W), optional
        The same image in [0, 1], to be shown; x itself, stretched to [0, 1], if not given.
    classes : sequence of str, optional
        Names of the model's outputs.

    Returns
    -------
    Figure
        A row for the image, for each layer, or for some of them where there are many, and, where the loss is
        cross-entropy over classes, for the likeliest classes and the right one: probabilities, and the gradient by
        their scores. Read it down at the left and up at the right.

    Raises
    ------
    ValueError
        If the trace has no backward pass.
    ShapeError
        If x is not a batch of images.
    IndexError
        If there is no such image.
    """
    check_rank("plot_trace", "trace.x", trace.x, "N C H W")
    if trace.dlogits is None or trace.dx is None:
        raise ValueError("plot_trace: the trace has no backward pass; give y to trace")
    if not 0 <= index < len(trace.x):
        raise IndexError(f"plot_trace: index must be from 0 to {len(trace.x) - 1}, got {index}")
    rows, scored = _rows(trace), _has_classes(trace)
    heights = [0.2, IMAGE, *(_inches(seen.output[index]) for seen in rows), *([BARS] if scored else [])]
    figure, axes = style.stack(_title(trace, index, classes), CAPTION, heights, left=1.75, width=WIDTH, foot=0.42)
    for ax, height in zip(axes, heights, strict=True):
        ax.set_xlim(0, WIDTH)
        ax.set_ylim(0, height)
        ax.set_axis_off()
    _draw_headings(axes[0])
    _draw_image(axes[1], stretched(trace.x[index]) if image is None else image, trace.dx[index])
    for ax, seen in zip(axes[2:], rows, strict=False):
        _draw_layer(ax, seen, index)
    if scored:
        _draw_classes(axes[-1], trace, index, classes)
    return figure


# --- what is shown --------------------------------------------------------------------------------------------------


def _rows(trace: Trace) -> list[LayerTrace]:
    """The layers that have a row: maps or vectors that are not those of another layer."""
    same = [name for name in SAME_NUMBERS if not (trace.train and name == "Dropout")]
    shown = [
        key
        for key, seen in trace.layers.items()
        if seen.output.ndim in (2, 4) and seen.dy is not None and type(seen.layer).__name__ not in same
        if not (_has_classes(trace) and seen.output is trace.logits)
    ]
    return [trace[key] for key in (evenly_chosen(shown) if shown else [])]


def _has_classes(trace: Trace) -> bool:
    """Whether the logits are scores of classes, of which one is right."""
    one_each = trace.y is not None and trace.y.ndim == 1 and trace.y.dtype.kind in "ui"
    return one_each and trace.logits.ndim == 2 and trace.loss_name == "cross_entropy"


def _title(trace: Trace, index: int, classes: Sequence[str] | None) -> str:
    words = "One image on its way through the network, and the gradient on its way back"
    if not _has_classes(trace):
        return words
    assert trace.y is not None
    said, right = int(trace.logits[index].argmax()), int(trace.y[index])
    names = {k: str(k) if classes is None else classes[k] for k in (said, right)}
    return f"{words}: “{names[right]}”, taken for “{names[said]}”"


def _inches(y: Array) -> float:
    """Height of the row of one layer, which has room for two lines of words."""
    return max(LINES, _map_inches(y))


def _map_inches(y: Array) -> float:
    """Height of its maps."""
    return LINES if y.ndim == 1 else MAP * min(y.shape[1] / y.shape[2], 2.0)


# --- rows -----------------------------------------------------------------------------------------------------------


def _draw_headings(ax: Axes) -> None:
    for x, text in ((0.0, "forward ↓  what each layer gives"), (BACK, "backward ↑  gradient of the loss by it")):
        ax.text(x, 0.04, text, va="bottom", fontsize=9.5, fontweight="bold", color=style.INK)


def _draw_image(ax: Axes, image: Array, dx: Array) -> None:
    """The image, and the gradient by each of its channels."""
    C, H, W = dx.shape
    width = min(IMAGE * W / H, SIDE)
    height = min(IMAGE, width * H / W)
    style.draw_image(ax, image, (0, width, IMAGE - height, IMAGE))
    _frame(ax, 0, IMAGE - height, width, height)
    narrow = min(width, (SIDE - (min(C, MOST_MAPS) - 1) * 0.06) / min(C, MOST_MAPS))
    _draw_maps(ax, dx[:MOST_MAPS], BACK, narrow, narrow * H / W, top=IMAGE)
    label_row(ax, "input", style.times(*dx.shape))


def _draw_layer(ax: Axes, seen: LayerTrace, index: int) -> None:
    """Maps and their gradients, or a vector and its gradient as strips."""
    assert seen.dy is not None
    y, dy = seen.output[index], seen.dy[index]
    for start, numbers in ((0.0, y), (BACK, dy)):
        height = _map_inches(numbers)
        top = (_inches(numbers) + height) / 2
        if numbers.ndim == 1:
            _draw_maps(ax, numbers[None, None], start, SIDE, height, top=top)
        else:
            _draw_maps(ax, numbers[:MOST_MAPS], start, MAP, height, top=top, scale=float(np.abs(numbers).max()))
    label_row(ax, f"{seen.key} {type(seen.layer).__name__}", style.times(*y.shape))


def _draw_maps(
    ax: Axes, maps: Array, start: float, width: float, height: float, *, top: float, scale: float | None = None
) -> None:
    """Some maps side by side on one scale, which is written behind them."""
    largest = float(np.abs(maps).max(initial=0.0)) if scale is None else scale
    limit = largest if largest > 0 and np.isfinite(largest) else 1.0
    gap = STEP - MAP
    for i, picture in enumerate(maps):
        x = start + i * (width + gap)
        place = (x, x + width, top - height, top)
        ax.imshow(picture, style.SIGNED, vmin=-limit, vmax=limit, interpolation="nearest", extent=place, aspect="auto")
        _frame(ax, x, top - height, width, height)
    end = start + len(maps) * (width + gap) - gap
    ax.text(end + 0.06, top - height / 2, f"{largest:.2g}", va="center", fontsize=7.5, color=style.SOFT)
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(0, max(top, ax.get_ylim()[1]))


def _frame(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=style.FAINT, linewidth=0.8, clip_on=False))


def _draw_classes(ax: Axes, trace: Trace, index: int, classes: Sequence[str] | None) -> None:
    """The likeliest classes and the right one: probabilities, and the gradient by their scores."""
    assert trace.y is not None
    assert trace.dlogits is not None
    logits, gradient, right = trace.logits[index], trace.dlogits[index], int(trace.y[index])
    probabilities = softmax_forward(logits)[0]
    shown = _likeliest(probabilities, right)
    names = [str(k) if classes is None else two_lines(classes[k]) for k in shown]
    most = float(np.abs(gradient[shown]).max()) or 1.0
    for i, k in enumerate(shown):
        share, slope = float(probabilities[k]), float(gradient[k])
        colour = style.BLUE if k == probabilities.argmax() else style.SOFT
        _bar(ax, i * STEP, 0.0, REACH * share, colour, style.percent(share))
        sign = style.BLUE if slope > 0 else style.ORANGE
        _bar(ax, BACK + i * STEP, MIDDLE, MIDDLE_REACH * slope / most, sign, f"{slope:.2g}")
        for x in (i * STEP, BACK + i * STEP):
            ax.text(x + MAP / 2, -0.06, names[i], ha="center", va="top", fontsize=8, color=style.INK, parse_math=False)
    for start, height in ((0.0, 0.0), (BACK, MIDDLE)):
        ax.plot([start, start + SIDE], [height, height], color=style.FAINT, linewidth=1, clip_on=False, zorder=0)
    count = len(logits)
    label_row(ax, "softmax", f"{len(shown)} of {count} classes" if count > len(shown) else f"{count} classes")


def _likeliest(probabilities: Array, right: int) -> list[int]:
    """Some classes in their order, the right one among them."""
    order = np.argsort(-probabilities, kind="stable")[:MOST_MAPS].tolist()
    if right not in order and 0 <= right < len(probabilities):
        order[-1] = right
    return sorted(order)


def _bar(ax: Axes, x: float, floor: float, height: float, colour: str, words: str) -> None:
    """A bar up or down, with its number at its end."""
    ax.add_patch(Rectangle((x + 0.06, floor), MAP - 0.12, height, color=colour, linewidth=0))
    place, anchor = (floor + height + 0.03, "bottom") if height >= 0 else (floor + height - 0.03, "top")
    ax.text(x + MAP / 2, place, words, ha="center", va=anchor, fontsize=7.5, color=style.SOFT)
