"""The examples that a model gets wrong, the ones it is surest of first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..ops import softmax_forward
from ..ops.utils import check_rank
from ..training import Evaluation
from ..typing import Array
from . import style

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 6
INCHES, STEP, WORDS = 1.2, 1.35, 0.46
"""Width of one image, from one to the next, and height of the words above and below one."""

CAPTION = "Orange: what the model says, and how probable it thinks that is. Blue: what is right."


def most_confident_mistakes(
    evaluation: Evaluation, classes: Sequence[str] | None = None, *, limit: int = 18
) -> pd.DataFrame:
    """Wrong predictions, by falling probability.

    Parameters
    ----------
    evaluation : Evaluation
        What `evaluate` returns.
    classes : sequence of str, optional
        Names; numbers if not given.
    limit : int
        At most so many rows.

    Returns
    -------
    DataFrame
        example (its place in the data), true, predicted, probability (of the predicted class) and
        probability_of_true, by softmax.

    Raises
    ------
    ValueError
        If targets are no class indices, or the number of names is wrong.

    Examples
    --------
    >>> logits = np.array([[3.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> most_confident_mistakes(Evaluation.of(logits, np.array([0, 1, 1]), loss=0.1), ["cat", "dog"]).round(2)
       example true predicted  probability  probability_of_true
    0        1  dog       cat         0.88                 0.12
    """
    import pandas as pd

    names = np.array(evaluation.confusion(classes).index, dtype=object)
    wrong = np.flatnonzero(evaluation.predictions != evaluation.targets)
    probabilities = softmax_forward(evaluation.logits[wrong].astype(np.float64))[0]
    predicted, true = evaluation.predictions[wrong], evaluation.targets[wrong]
    rows = np.arange(len(wrong))
    sure = probabilities[rows, predicted]
    order = np.argsort(-sure, kind="stable")[:limit]
    return pd.DataFrame(
        {
            "example": wrong[order],
            "true": names[true[order]],
            "predicted": names[predicted[order]],
            "probability": sure[order],
            "probability_of_true": probabilities[rows, true][order],
        }
    )


def plot_mistakes(x: Array, mistakes: pd.DataFrame) -> Figure:
    """The images of `most_confident_mistakes`: what was said and how surely, and what is right.

    Parameters
    ----------
    x : (N, C, H, W)
        All images in [0, 1], in the order in which they were evaluated.
    mistakes : DataFrame
        What `most_confident_mistakes` returns; may be empty.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of images, or does not hold the examples.
    """
    check_rank("plot_mistakes", "x", x, "N C H W")
    if not len(mistakes):
        return style.new_figure(4.2, 0.7, f"No mistake among {len(x)} examples")
    if mistakes["example"].max() >= len(x):
        raise ShapeError(f"plot_mistakes: example {mistakes['example'].max()} is not among the {len(x)} images of x")
    columns = min(max(len(mistakes), 3), COLUMNS)
    rows = -(-len(mistakes) // columns)
    height = INCHES * x.shape[2] / x.shape[3]
    size = columns * STEP - (STEP - INCHES), rows * (height + WORDS)
    figure, (ax,) = style.stack("Mistakes, the surest first", CAPTION, [size[1]], width=size[0])
    for i, mistake in enumerate(mistakes.to_dict("records")):
        row, column = divmod(i, columns)
        place = (column * STEP, row * (height + WORDS) + WORDS / 2)
        _draw_mistake(ax, x[mistake["example"]], mistake, place, height)
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)  # inches, from the top
    ax.set_axis_off()
    return figure


def _draw_mistake(
    ax: Axes, image: Array, mistake: Mapping[Any, Any], place: tuple[float, float], height: float
) -> None:
    """The image, above it what the model says, below it the truth."""
    left, top = place
    style.draw_image(ax, image, (left, left + INCHES, top + height, top))
    said = f"{style.short(mistake['predicted'], 11)} · {style.percent(mistake['probability'])}"
    truth = f"{style.short(mistake['true'], 11)} · {style.percent(mistake['probability_of_true'])}"
    lines = ((said, top - 0.03, "bottom", style.ORANGE), (truth, top + height + 0.04, "top", style.BLUE))
    for text, y, side, colour in lines:
        ax.text(left + INCHES / 2, y, text, ha="center", va=side, fontsize=8.5, color=colour, parse_math=False)
