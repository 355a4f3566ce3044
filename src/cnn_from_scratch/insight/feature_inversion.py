"""What a layer still knows of an image: another image with the same activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..data import Normalization
from ..errors import ShapeError
from ..layers import Layer
from ..layers.predict import as_model_input, require_floats
from ..ops.utils import check_rank, check_shape
from ..typing import Array
from .image_optimizer import Bounds, Regularizers, ascend, background_of, check_bounds, noise, pull_back
from .picture_grid import Panel, draw_panels, shown
from .until import model_until

LEGIBLE = Regularizers(total_variation=0.3, decay=0.1, alpha=2.0, blur=0.045)
"""What small images need so that one sees strokes and not noise."""

START = 0.1
"""Share of the bounds that the noise at the start takes up: what is loud dies in the first ReLU and does not return."""


class FeatureInversion(NamedTuple):
    """Images with the activations of others."""

    images: Array  # (N, C, H, W)
    errors: Array  # (N,): |y - y0|^2 / |y0|^2
    history: Array  # (steps, N): the errors before each step


def invert_features(
    model: Layer,
    images: Array,
    key: str | None = None,
    *,
    normalization: Normalization | None = None,
    regularizers: Regularizers = LEGIBLE,
    bounds: Bounds = (0.0, 1.0),
    start: Array | None = None,
    steps: int = 300,
    lr: float = 0.1,
    seed: int = 0,
) -> FeatureInversion:
    """argmin_x  C*H*W * log(1 + |y(x) - y0|^2 / |y0|^2) + penalty(x - background), y0 = y(image), y a layer's output

    The logarithm counts only far away: without it, a first error of a thousand times |y0|^2 drowns the penalties.
    What the layer has thrown away, the penalties decide. So an early layer gives the image back, and a late one an
    image that is the same to it.

    Parameters
    ----------
    model : Layer
    images : (N, C, H, W)
        Floating.
    key : str, optional
        Which layer, as ``"conv2"``; the model's own output if not given.
    normalization : Normalization, optional
        What is done to images before the model sees them. Without it the model takes the images as they are.
    regularizers : Regularizers
        Their weights are by pixel: an edge of 1 in every pixel, with a weight of 1, is as bad as activations all wrong.
    bounds : (low, high) or None
        What pixels may be.
    start : (N, C, H, W), optional
        Images to begin with; faint noise around the background if not given.
    steps : int
    lr : float
        How far a pixel may go in the first step.
    seed : int
        Where the noise comes from.

    Returns
    -------
    FeatureInversion
        In the dtype of the model. After Ctrl-C, what has been reached.

    Raises
    ------
    TypeError
        If images are not floating.
    ShapeError
        If images do not fit into the model.
    ValueError
        If there is no such layer, or a number is out of range.

    References
    ----------
    Mahendran, Vedaldi: Understanding Deep Image Representations by Inverting Them (2014), equations 1 and 2.
    https://arxiv.org/abs/1412.0035

    Examples
    --------
    A layer that only doubles hides nothing:

    >>> from cnn_from_scratch.layers import Conv2d
    >>> model = Conv2d(1, 1, 1, bias=False)
    >>> model.params["weight"] = np.full((1, 1, 1, 1), 2, np.float32)
    >>> found = invert_features(model, np.array([[[[0.25, 0.75]]]]), regularizers=Regularizers())
    >>> found.images.round(2)
    array([[[[0.25, 0.75]]]], dtype=float32)
    """
    function = "invert_features"
    check_rank(function, "images", images, "N C H W")
    require_floats(function, images)
    part = model_until(model, key)
    as_model_input(function, part, images)
    check_bounds(function, bounds)
    background = background_of(function, images.shape[1], normalization, bounds)
    if start is None:
        start = noise(images.shape, background, START, bounds, seed)
    check_shape(function, "start", start, images.shape)
    goal = pull_back(part, images, normalization, np.zeros_like)[0]
    size = np.maximum(_squares(goal), np.finfo(goal.dtype).tiny)  # of a dead layer 0, and one divides by it

    def objective(x: Array) -> tuple[Array, Array]:
        y, dx = pull_back(part, x, normalization, lambda y: (goal - y) / size.reshape(-1, *[1] * (y.ndim - 1)))
        error = _squares(y - goal) / size
        return error, dx * (2 * x[0].size / (1 + error))[:, None, None, None]

    found = ascend(
        objective,
        start.astype(model.dtype),
        regularizers=regularizers,
        background=background.astype(model.dtype),
        bounds=bounds,
        steps=steps,
        lr=lr,
        seed=seed,
    )
    reached = pull_back(part, found.images, normalization, np.zeros_like)[0]
    return FeatureInversion(found.images, _squares(reached - goal) / size, found.history)


def _squares(y: Array) -> Array:
    """Each example's sum of squares, (N,)."""
    total: Array = (y**2).reshape(len(y), -1).sum(1)
    return total


def plot_feature_inversion(
    images: Array, found: Mapping[str, FeatureInversion], *, names: Sequence[str] | None = None
) -> Figure:
    """Images, and beside each what layers know of it.

    Parameters
    ----------
    images : (N, C, H, W)
        What was given to `invert_features`.
    found : mapping
        Of layers' keys to what `invert_features` found, in the order in which they are shown.
    names : sequence of str, optional
        A name for each image.

    Returns
    -------
    Figure
        A row for each image.

    Raises
    ------
    ShapeError
        If there are not as many images or names everywhere.
    ValueError
        If there is nothing to show.
    """
    check_rank("plot_feature_inversion", "images", images, "N C H W")
    if not (len(images) and found):
        raise ValueError(f"plot_feature_inversion: nothing to show: {len(images)} images, {len(found)} layers")
    for key, inversion in found.items():
        check_shape("plot_feature_inversion", f"found[{key!r}].images", inversion.images, images.shape)
    if names is not None and len(names) != len(images):
        raise ShapeError(f"plot_feature_inversion: {len(names)} names for {len(images)} images")
    keys = ["image", *(key or "output" for key in found)]
    pictures = [shown(images), *(shown(inversion.images) for inversion in found.values())]
    errors = [None, *(inversion.errors for inversion in found.values())]
    rows = [
        [
            Panel(picture[n], key if n == 0 else "", "" if error is None else f"{error[n]:.2g}")
            for key, picture, error in zip(keys, pictures, errors, strict=True)
        ]
        for n in range(len(images))
    ]
    caption = (
        "Images found by gradient descent from faint noise whose activations are those of the image at the left. "
        "Below each: squared difference of the activations, as a share of their square."
    )
    return draw_panels("What each layer knows of an image", caption, rows, left=names or ())
