"""Grad-CAM: where the feature maps lie that a class's score grows with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..layers import Layer
from ..ops.utils import check_rank
from ..typing import Array
from .attribution_picture import draw_one, subject
from .guided_backpropagation import guided_backpropagation
from .input_gradient import BATCH, score_gradient
from .resize import resize_bilinear
from .spatial_layers import last_spatial_layer
from .targets import Target, as_classifier_input, target_classes

Alpha: TypeAlias = Literal["mean", "each"]


def gradcam(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    key: str | None = None,
    alpha: Alpha = "mean",
    size: tuple[int, int] | Literal["layer"] | None = None,
    batch_size: int = BATCH,
) -> Array:
    """cam = max(sum over k of alpha_k * A_k, 0), with alpha_k = mean over h, w of d score / d A_k[h, w]

    A_k are the maps of one layer; alpha_k says how much the score grows with map k, wherever that map is active. For
    a network that ends in the mean of the maps and a linear layer, alpha is that layer's weight, but for a factor. A
    network that flattens its maps reads the same map differently at each place, and the mean over the places may say
    nothing, or the wrong thing: there, ``alpha="each"`` is the better one.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class.
    x : (N, C, H, W)
        What the model takes; floating.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts.
    key : str, optional
        Of the layer whose maps are looked at: the one that `last_spatial_layer` names if not given.
    alpha : "mean" or "each"
        "mean" is Grad-CAM. "each" weights every place by its own gradient, max(sum over k of dscore/dA_k * A_k, 0),
        which is HiResCAM: where the layers after `key` are linear, the sum before the max is the score, but for its
        bias.
    size : (height, width), "layer" or None
        Of the result: as large as x if not given, bilinearly interpolated; "layer" for the layer's own numbers.
    batch_size : int
        How many examples run at a time; at least 1.

    Returns
    -------
    cam : (N, H, W)
        Nowhere below 0; all 0 where nothing on the layer speaks for the class.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `input_gradient`; ShapeError also if the layer gives no maps (N, C, h, w), ValueError if none does, or if
        there is no such alpha.

    References
    ----------
    Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization (2016). https://arxiv.org/abs/1610.02391
    Draelos, Carin: Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks (2020).
    https://arxiv.org/abs/2011.08891

    Examples
    --------
    Two maps of 1x2, of which the score takes 2 * mean of the first - mean of the second: alpha = (2/2, -1/2).

    >>> from cnn_from_scratch.layers import Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
    >>> model = Sequential(ReLU(), GlobalAvgPool2d(), Flatten(), Linear(2, 1, bias=False))
    >>> model.params["3.weight"] = np.array([[2.0, -1.0]], np.float32)
    >>> x = np.array([[[[1.0, 5.0]], [[4.0, 4.0]]]], np.float32)
    >>> gradcam(model, x)  # 1 * (1, 5) - 1/2 * (4, 4), and nothing below 0
    array([[[0., 3.]]], dtype=float32)
    """
    check_rank("gradcam", "x", x, "N C H W")
    x = as_classifier_input("gradcam", model, x)
    key = last_spatial_layer(model, x.shape[1:]) if key is None else key
    found = score_gradient("gradcam", model, x, target, key=key, batch_size=batch_size)
    if found.output.ndim != 4:
        raise ShapeError(f"gradcam: layer {key!r} gives no maps (N, C, h, w) but {found.output.shape}")
    if alpha not in ("mean", "each"):
        raise ValueError(f"gradcam: alpha must be 'mean' or 'each', got {alpha!r}")
    weights = found.doutput.mean((2, 3), keepdims=True) if alpha == "mean" else found.doutput
    cam = np.maximum((weights * found.output).sum(1), 0)
    return cam if size == "layer" else resize_bilinear(cam, x.shape[2:] if size is None else size)


def guided_gradcam(
    model: Layer, x: Array, target: Target = None, *, key: str | None = None, batch_size: int = BATCH
) -> Array:
    """guided[n, c, h, w] * cam[n, h, w]: the strokes of guided backpropagation, in the places of Grad-CAM

    Parameters
    ----------
    model, x, target, key, batch_size
        As in `gradcam`.

    Returns
    -------
    guided : (N, C, H, W)
        With its sign.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `gradcam` and `guided_backpropagation`.

    References
    ----------
    As `gradcam`, section 3.2.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
    >>> model = Sequential(ReLU(), GlobalAvgPool2d(), Flatten(), Linear(1, 1, bias=False))
    >>> model.params["3.weight"] = np.array([[2.0]], np.float32)
    >>> guided_gradcam(model, np.array([[[[-1.0, 5.0]]]], np.float32))  # gradients (0, 1), cam (0, 5)
    array([[[[0., 5.]]]], dtype=float32)
    """
    check_rank("guided_gradcam", "x", x, "N C H W")
    x = as_classifier_input("guided_gradcam", model, x)
    classes = target_classes("guided_gradcam", model, x, target)
    cam = gradcam(model, x, classes, key=key, batch_size=batch_size)
    return guided_backpropagation(model, x, classes, batch_size=batch_size) * cam[:, None]


def plot_gradcam(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    key: str | None = None,
    alpha: Alpha = "mean",
    image: Array | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image and where in it the maps of a layer speak for a class.

    Parameters
    ----------
    model, x, target, image, classes
        As in `plot_saliency`.
    key : str, optional
        Of the layer: the one that `last_spatial_layer` names if not given. The caption says which.
    alpha : "mean" or "each"
        As in `gradcam`.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of one image, or the layer gives no maps.
    """
    of = subject("plot_gradcam", model, x, target, image, classes)
    key = last_spatial_layer(model, x.shape[1:]) if key is None else key
    cam = gradcam(model, x, of.target, key=key, alpha=alpha, size="layer")[0]
    name = "Grad-CAM" if alpha == "mean" else "HiResCAM"
    numbers = f"{cam.shape[0]} × {cam.shape[1]} numbers, interpolated"
    caption = f"Dark speaks for the class. The maps are those of {key}: {numbers}."
    shown = resize_bilinear(cam, (x.shape[2], x.shape[3]))
    return draw_one(of, shown, f"{name}: where the maps speak for {of.name}", caption, signed=False)
