"""Grad-CAM: where the feature maps lie that a class's score grows with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Context,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    MaxPool2d,
)
from ..ops.utils import check_rank
from ..typing import Array
from .attribution_picture import draw_one, subject
from .features import named_layers
from .guided_backpropagation import guided_backpropagation
from .input_gradient import BATCH, Target, as_classifier_input, score_gradient, target_classes
from .resize import resize_bilinear

POOLS = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d)
"""What makes maps coarser and adds nothing to them."""

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

    >>> from cnn_from_scratch.layers import Flatten, Linear, ReLU, Sequential
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
    >>> from cnn_from_scratch.layers import Flatten, Linear, ReLU, Sequential
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


def last_spatial_layer(model: Layer, input_shape: tuple[int, ...]) -> str:
    """The key of the last layer that still gives maps of more than one pixel, other than a pooling layer.

    Maps before a pool are finer than those after it, and hold the same: of VGG, the paper takes what goes into the
    last pool, too. Of a container and the layer it ends with, it is the layer.

    Parameters
    ----------
    model : Layer
    input_shape : (C, H, W)
        Shape of one example.

    Returns
    -------
    key : str

    Raises
    ------
    ValueError
        If no layer gives maps.

    Examples
    --------
    >>> from cnn_from_scratch.models import mnist_cnn, resnet20
    >>> last_spatial_layer(mnist_cnn(), (1, 28, 28)), last_spatial_layer(resnet20(), (3, 32, 32))
    ('relu2', 'layer3.2.relu2')
    """
    spatial = _spatial_layers(model, input_shape)
    if not spatial:
        raise ValueError("last_spatial_layer: no layer but pools gives maps of more than one pixel")
    return spatial[-1]


def has_maps(model: Layer, input_shape: tuple[int, ...]) -> bool:
    """Whether there is a layer for Grad-CAM to look at."""
    return bool(_spatial_layers(model, input_shape))


def _spatial_layers(model: Layer, input_shape: tuple[int, ...]) -> list[str]:
    """The keys of the layers, without pools, that give maps of more than one pixel, in order."""
    layers = dict(named_layers(model))
    spatial: list[str] = []
    previous: Array | None = None

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        nonlocal previous
        y = values["output"]
        same = y is previous  # a container gives what its last layer gave
        if not same and y.ndim == 4 and y.shape[2] * y.shape[3] > 1 and not isinstance(layers.get(key), POOLS):
            spatial.append(key)
        previous = y

    model.forward(np.zeros((1, *input_shape), model.dtype), Context(tap=tap))
    return spatial


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
    caption = (
        f"Dark where the maps of {key} speak for the class: {cam.shape[0]} × {cam.shape[1]} numbers, interpolated."
    )
    shown = resize_bilinear(cam, (x.shape[2], x.shape[3]))
    return draw_one(of, shown, f"Grad-CAM: where the network sees {of.name}", caption, signed=False)
