"""How a filter learns: one step against the gradient, with all its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...ops import conv_backward, conv_forward, mse_backward, mse_forward
from ...ops.utils import check_rank, check_shape
from ...optim import SGD
from ...typing import Array
from .. import style
from .grids import board, draw_grid, greys, outline, said, shades, write


class FilterStep(NamedTuple):
    """One step of gradient descent."""

    y: Array  # (OH, OW)
    loss: float
    dy: Array  # (OH, OW)
    dweight: Array  # (KH, KW)
    new_weight: Array  # (KH, KW)
    new_y: Array  # (OH, OW)
    new_loss: float


def filter_step(x: Array, weight: Array, target: Array, lr: float) -> FilterStep:
    """One step of SGD for one filter on one image, with the mean squared error to a target; in float64.

    Examples
    --------
    A filter of one weight: y = 2 * 3, the loss (6 - 5)^2, its gradient by y is 2, by the weight 2 * 2.

    >>> step = filter_step(np.array([[2.0]]), np.array([[3.0]]), np.array([[5.0]]), 0.125)
    >>> step.dweight, step.new_weight, step.new_loss
    (array([[4.]]), array([[2.5]]), 0.0)
    """
    image, target = x.astype(np.float64)[None, None], target.astype(np.float64)
    params = {"weight": weight.astype(np.float64)}  # a copy: the optimizer writes into it
    y, cache = conv_forward(image, params["weight"][None, None])
    check_shape("filter_step", "target", target, y.shape[2:])
    loss, difference = mse_forward(y[0, 0], target)
    dy = mse_backward(difference)
    dweight = conv_backward(dy[None, None], cache)[1][0, 0]
    SGD(lr).step(params, {"weight": dweight})
    new_y = conv_forward(image, params["weight"][None, None])[0][0, 0]
    new_loss, _ = mse_forward(new_y, target)
    return FilterStep(y[0, 0], float(loss), dy, dweight, params["weight"], new_y, float(new_loss))


def draw_filter_step(x: Array, weight: Array, target: Array, lr: float) -> Figure:
    """A filter before and after one step of gradient descent on the mean squared error to a target.

    Parameters
    ----------
    x : (H, W)
        A small image, of any numbers.
    weight : (KH, KW)
        The filter before the step.
    target : (OH, OW)
        What its output should be.
    lr : float
        The learning rate, at least 0.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x or weight have not two axes, or target does not have the shape of the output.
    ValueError
        If lr is negative.

    Examples
    --------
    >>> draw_filter_step(np.eye(3), np.zeros((2, 2)), np.ones((2, 2)), 0.5).get_suptitle()
    'A filter learns: one step takes the loss from 1 to 0.28'
    """
    check_rank("draw_filter_step", "x", x, "H W")
    check_rank("draw_filter_step", "weight", weight, "KH KW")
    step = filter_step(x, weight, target, lr)
    before, after = said(round(step.loss, 2)), said(round(step.new_loss, 2))
    title = f"A filter learns: one step takes the loss from {before} to {after}"
    caption = (
        "The loss is the mean of (y − target)². ∗ is the convolution: the second slides over the first, "
        "is multiplied with it number by number and added up."
    )
    rows = _rows(x, weight, target, lr, step)
    sizes = [max(row.grids[k][1].shape[1] for row in rows if k < len(row.grids)) for k in range(4)]
    lefts = [LEFT + sum(sizes[:k]) + sum(BETWEEN[:k]) for k in range(4)]
    heights = [max(len(numbers) for _, numbers, _ in row.grids) + 1.5 for row in rows]
    figure, ax = board(lefts[3] + max(sizes[3], 3), sum(heights) + 0.1, title, caption)
    tops = [1.2 + sum(heights[:i]) for i in range(len(rows))]
    for row, top in zip(rows, tops, strict=True):
        _draw_row(ax, row, lefts, top)
    _tell_largest_change(ax, lefts, tops[2], weight, step, lr)
    return figure


LEFT, BETWEEN = 4.0, (2.4, 1.6, 1.4)
"""Cells: for the words at the left, from one column of grids to the next."""


class Row(NamedTuple):
    """The first grid, an operation, the second = the third; where there is a fourth, the third should be that."""

    words: str
    operation: str
    grids: tuple[tuple[str, Array, Array], ...]  # name, numbers, colours


def _rows(x: Array, weight: Array, target: Array, lr: float, step: FilterStep) -> list[Row]:
    """Forward, backward, the step, forward again; the same weights and outputs have the same colours throughout."""
    weights, outputs = shades(np.stack([weight, step.new_weight])), shades(np.stack([step.y, target, step.new_y]))
    image, goal = ("image x", x, greys(x)), ("target", target, outputs[1])
    old, new = ("filter", weight, weights[0]), ("new filter", step.new_weight, weights[1])
    y, new_y = ("output y", step.y, outputs[0]), ("new output y", step.new_y, outputs[2])
    dy = f"dy = 2 (y − target) / {target.size}", step.dy, shades(step.dy)
    gradient = "dweight", step.dweight, shades(step.dweight)
    return [
        Row(f"forward:\nloss {said(round(step.loss, 2))}", "∗", (image, old, y, goal)),
        Row("backward", "∗", (image, dy, gradient)),
        Row("step", f"− {said(lr)} ×", (old, gradient, new)),
        Row(f"forward again:\nloss {said(round(step.new_loss, 2))}", "∗", (image, new, new_y, goal)),
    ]


def _draw_row(ax: Axes, row: Row, lefts: Sequence[float], top: float) -> None:
    """Grids side by side, their middles at one height."""
    tallest = max(len(numbers) for _, numbers, _ in row.grids)
    middle = top + tallest / 2
    write(ax, 0, middle, row.words, size=10, ha="left")
    for left, (name, numbers, fill) in zip(lefts, row.grids, strict=False):
        draw_grid(ax, numbers, left, middle - len(numbers) / 2, name=name, fill=fill)
    for k, sign in enumerate((row.operation, "=")):
        edge = lefts[k] + row.grids[k][1].shape[1]
        write(ax, (edge + lefts[k + 1]) / 2, middle, sign, style.SOFT, size=10 if len(sign) > 1 else 12)


def _tell_largest_change(
    ax: Axes, lefts: Sequence[float], top: float, weight: Array, step: FilterStep, lr: float
) -> None:
    """One weight in words, framed in the three grids of the step."""
    place = row, column = np.unravel_index(np.abs(step.dweight).argmax(), weight.shape)
    for left in lefts[:3]:
        outline(ax, left + column, top + row, 1, 1, style.INK, width=2.2)
    old, slope, new = (said(float(numbers[place])) for numbers in (weight, step.dweight, step.new_weight))
    slope = f"({slope})" if slope.startswith("−") else slope
    write(ax, lefts[3] - 0.4, top + len(weight) / 2, f"{old} − {said(lr)} × {slope}\n= {new}", size=8.5, ha="left")
