"""SmoothGrad: saliency with its noise averaged away, by adding noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..layers import Layer
from ..randomness import derive
from ..typing import Array
from .attribution_picture import draw_one, subject
from .input_gradient import BATCH, score_gradient
from .targets import Target, as_classifier_input, target_classes


def smoothgrad(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Array:
    """mean over i of d score(x + e_i) / dx, with e_i normal of standard deviation noise * (max(x) - min(x))

    The gradient of a rectified network jumps from one pixel to the next. Around x it is the smooth mean that tells.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class.
    x : (N, C, H, W), or any (N, ...)
        What the model takes; floating.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts for x without noise.
    samples : int
        How many noisy images are averaged over; at least 1.
    noise : float
        At least 0. The paper recommends 0.1 to 0.2 of the range of the image.
    seed : int
        Where the noise comes from. Example n meets the same noise whatever stands behind it in the batch, and
        in either precision.
    batch_size : int
        How many noisy images run at a time; at least 1.

    Returns
    -------
    smooth : (N, C, H, W)
        With its sign.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `input_gradient`; ValueError also if samples is below 1 or noise below 0.

    References
    ----------
    Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad: removing noise by adding noise (2017).
    https://arxiv.org/abs/1706.03825

    Examples
    --------
    score = relu(x), at x = 0 between two others: at the kink, half of the noise sees the slope 1.

    >>> from cnn_from_scratch.layers import Linear, ReLU, Sequential
    >>> model = Sequential(ReLU(), Linear(3, 1, bias=False))
    >>> model.params["1.weight"] = np.ones((1, 3), np.float32)
    >>> smoothgrad(model, np.array([[-10.0, 0.0, 10.0]], np.float32), samples=1000).round(1)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    x = as_classifier_input("smoothgrad", model, x)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"smoothgrad: samples must be an int >= 1, got {samples!r}")
    if not noise >= 0:
        raise ValueError(f"smoothgrad: noise must be at least 0, got {noise!r}")
    classes = target_classes("smoothgrad", model, x, target)
    smooth = np.empty(x.shape, x.dtype)
    for n, image in enumerate(x):
        noisy = derive(seed, "smoothgrad", step=n).standard_normal((samples, *image.shape)).astype(x.dtype, copy=False)
        noisy *= noise * (image.max() - image.min())
        noisy += image
        smooth[n] = score_gradient("smoothgrad", model, noisy, int(classes[n]), batch_size=batch_size).dx.mean(0)
    return smooth


def plot_smoothgrad(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    image: Array | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image and its smoothed gradients, summed over the channels.

    Parameters
    ----------
    model, x, target, image, classes
        As in `plot_saliency`.
    samples, noise, seed
        As in `smoothgrad`.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of one image.
    """
    of = subject("plot_smoothgrad", model, x, target, image, classes)
    shown = smoothgrad(model, x, of.target, samples=samples, noise=noise, seed=seed)[0].sum(0)
    caption = f"Blue where more light raises the score, orange where it lowers it: the mean of {samples} noisy images."
    return draw_one(of, shown, f"SmoothGrad of the score of {of.name}", caption)
