"""Saliency: the gradient of a class's score by the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..layers import Layer
from ..typing import Array
from .attribution_picture import draw_one, subject
from .input_gradient import BATCH, score_gradient
from .targets import Target


def saliency(model: Layer, x: Array, target: Target = None, *, batch_size: int = BATCH) -> Array:
    """saliency[n, c, h, w] = d score[n] / d x[n, c, h, w]

    By how much the score of a class grows if a pixel grows a little. The paper shows max_c abs(saliency[n, c]), as
    `plot_saliency` does.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class.
    x : (N, C, H, W), or any (N, ...)
        What the model takes; floating.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts.
    batch_size : int
        How many examples run at a time; at least 1.

    Returns
    -------
    saliency : (N, C, H, W)
        With its sign.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `input_gradient`.

    References
    ----------
    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification Models and
    Saliency Maps (2013), section 3. https://arxiv.org/abs/1312.6034

    Examples
    --------
    Of a linear model, the gradient is the row of the weight:

    >>> from cnn_from_scratch.layers import Linear
    >>> model = Linear(2, 2, bias=False)
    >>> model.params["weight"] = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)
    >>> saliency(model, np.array([[5.0, 6.0]], np.float32), target=1)
    array([[ 3., -4.]], dtype=float32)
    """
    return score_gradient("saliency", model, x, target, batch_size=batch_size).dx


def plot_saliency(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    image: Array | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image and the largest absolute gradient of each of its pixels.

    Parameters
    ----------
    model : Layer
    x : (1, C, H, W)
        What the model takes: one image.
    target : int or None
        Whose score; None for the class that the model predicts.
    image : (C, H, W), optional
        The same image in [0, 1], to be shown; x itself, stretched to [0, 1], if not given.
    classes : sequence of str, optional
        Names of the model's outputs.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of one image.
    """
    of = subject("plot_saliency", model, x, target, image, classes)
    shown = np.abs(saliency(model, x, of.target)[0]).max(0)
    return draw_one(of, shown, f"Saliency: pixels that would change the score of {of.name}", CAPTION, signed=False)


CAPTION = (
    "Dark where a small change of the pixel changes the score most, up or down. Gradients of neighbouring pixels "
    "vary: read regions, not single pixels."
)
