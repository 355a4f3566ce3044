"""From logits to probabilities, to the loss, and back: what each class is told."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...errors import ShapeError
from ...ops import cross_entropy_backward, cross_entropy_forward, softmax_forward
from ...ops.utils import check_rank, check_shape
from ...typing import Array
from .. import style
from .grids import arrow, board, draw_grid, outline, said, shades, tint, write


def draw_cross_entropy(logits: Array, targets: Array, classes: Sequence[str] | None = None) -> Figure:
    """Softmax and cross-entropy of some examples, class by class: logits, probabilities, loss and gradient.

    Parameters
    ----------
    logits : (N, K)
        What a network says of N examples: one score for each class, of any size.
    targets : (N,)
        The right classes, integers from 0 to K - 1.
    classes : sequence of str, optional
        The names of the K classes; their numbers if not given.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If logits are no (N, K), targets no (N,), or there are not K names.
    ValueError
        If a target is no class.

    Examples
    --------
    >>> draw_cross_entropy(np.array([[2.0, 0.0]]), np.array([0])).get_suptitle()
    'Softmax and cross-entropy: the gradient is probability minus truth'
    """
    check_rank("draw_cross_entropy", "logits", logits, "N K")
    (N, K), logits = logits.shape, logits.astype(np.float64)
    names = list(map(str, range(K))) if classes is None else list(classes)
    if len(names) != K:
        raise ShapeError(f"draw_cross_entropy: classes must name all K={K} classes, got {len(names)}")
    check_shape("draw_cross_entropy", "targets", targets, (N,))
    if ((targets < 0) | (targets >= K)).any():
        raise ValueError(f"draw_cross_entropy: targets must be classes from 0 to {K - 1}, got {targets.tolist()}")
    losses, cache = cross_entropy_forward(logits, targets, reduction="none")
    p, _ = softmax_forward(logits)
    dlogits = cross_entropy_backward(cache, np.ones(N))
    height = K + 3.6
    title = "Softmax and cross-entropy: the gradient is probability minus truth"
    caption = "A step against the gradient raises the logit of the right class and lowers all others."
    figure, ax = board(WIDTH, HEAD + N * height - 1.4, title, caption)
    for x, words in COLUMNS.items():
        write(ax, x + WIDE / 2, HEAD - 0.35, words, style.SOFT, size=8.5, va="bottom")
    for n in range(N):
        columns = logits[n], np.exp(logits[n]), p[n], cache.distribution[n], dlogits[n]
        _draw_example(ax, HEAD + n * height, names, columns, int(targets[n]), float(losses[n]))
    return figure


HEAD, WIDTH, WIDE, BAR = 2.0, 22.4, 1.4, 2.0
"""Cells: for the headings, across the picture, width of a cell, length of a bar of 1."""

COLUMNS = {
    2.8: "logit\nz",
    6.0: "\nexp(z)",
    9.2: "probability\np = exp(z) / sum",
    14.0: "truth\nt",
    16.6: "gradient\np − t",
}
"""Left edges of the columns of numbers, and what they are."""


def _draw_example(
    ax: Axes, top: float, names: Sequence[str], columns: Sequence[Array], target: int, loss: float
) -> None:
    """A row for each class, the sums below, then the loss."""
    logits, _, p, _, gradient = columns
    K, lefts = len(names), list(COLUMNS)
    for k, name in enumerate(names):
        colour = style.INK if k == target else style.SOFT
        write(ax, lefts[0] - 0.4, top + k + 0.5, style.short(name, 8), colour, ha="right")
        _bar(ax, lefts[2] + WIDE + 0.2, top + k, p[k])
        _bar(ax, WIDTH - BAR, top + k, gradient[k])
    white = np.ones((K, 1, 3))
    fills = shades(logits[:, None]), white, white, white, shades(gradient[:, None])
    for left, numbers, fill in zip(lefts, columns, fills, strict=True):
        draw_grid(ax, numbers.round(2)[:, None], left, top, fill=fill, wide=WIDE)
        if left != lefts[0]:
            write(ax, left + WIDE / 2, top + K + 0.5, said(round(float(numbers.sum()), 2)), style.SOFT)
    write(ax, lefts[1] - 0.4, top + K + 0.5, "sum", style.SOFT, ha="right")
    outline(ax, lefts[2], top + target, WIDE, 1, style.INK, width=2.2)
    for left, right in itertools.pairwise(lefts[:3]):
        arrow(ax, (left + WIDE + 0.3, top + K / 2), (right - 0.3, top + K / 2))
    for place, sign in ((lefts[3] - 0.6, "−"), (lefts[4] - 0.6, "=")):
        write(ax, place, top + K / 2, sign, style.SOFT, size=12)
    truth, chance = names[target], said(round(float(p[target]), 2) or float(p[target]))
    words = f"The truth is {truth}:  loss = −log p({truth}) = −log {chance} = {said(round(loss, 2))}"
    write(ax, lefts[0], top + K + 1.5, words, size=9.5, ha="left")


def _bar(ax: Axes, zero: float, top: float, value: float) -> None:
    """A number as a length: blue to the right, orange to the left."""
    colour = style.BLUE if value > 0 else style.ORANGE
    ax.add_patch(Rectangle((zero, top + 0.2), BAR * value, 0.6, facecolor=tint(colour, 0.6)))
    ax.plot([zero, zero], [top, top + 1], color=style.SOFT, linewidth=0.9)
