"""The same images, explained by every method side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..layers import Layer
from ..ops import softmax_forward
from ..ops.utils import check_rank, check_shape
from ..typing import Array
from . import style
from .attribution_picture import as_map, draw_map, stretched
from .gradcam import gradcam
from .guided_backpropagation import guided_backpropagation, has_rectifier
from .integrated_gradients import integrated_gradients
from .occlusion import occlusion
from .saliency import saliency
from .smoothgrad import smoothgrad
from .spatial_layers import has_maps
from .targets import Target, as_classifier_input, target_classes

MOST_IMAGES = 8
INCHES, STEP, WORDS, HEAD = 1.15, 1.23, 0.22, 0.34
"""Width of a picture, from one to the next, height of the words above a row, and of the headings."""


class Method(NamedTuple):
    """One way to explain a score."""

    heading: str
    maps: Callable[[Layer, Array, Array, int], Array]  # (model, x, classes, seed) -> (N, H, W)
    signed: bool


METHODS = {
    "saliency": Method(
        "Saliency", lambda model, x, classes, seed: as_map(saliency(model, x, classes), signed=False), False
    ),
    "smoothgrad": Method(
        "SmoothGrad",
        lambda model, x, classes, seed: as_map(smoothgrad(model, x, classes, seed=seed), signed=True),
        True,
    ),
    "integrated_gradients": Method(
        "Integrated\ngradients",
        lambda model, x, classes, seed: as_map(integrated_gradients(model, x, classes).attribution, signed=True),
        True,
    ),
    "guided_backpropagation": Method(
        "Guided\nbackpropagation",
        lambda model, x, classes, seed: as_map(guided_backpropagation(model, x, classes), signed=True),
        True,
    ),
    "occlusion": Method("Occlusion", lambda model, x, classes, seed: occlusion(model, x, classes), True),
    "gradcam": Method("Grad-CAM", lambda model, x, classes, seed: gradcam(model, x, classes), False),
}
"""Every method by the name of its function."""


def plot_attributions(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    methods: Sequence[str] | None = None,
    images: Array | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
) -> Figure:
    """Images in rows, methods in columns: what each of them says about the same score.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class.
    x : (N, C, H, W)
        What the model takes; the first 8 are shown.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts.
    methods : sequence of str, optional
        Names out of ``METHODS``: saliency, smoothgrad, integrated_gradients, guided_backpropagation, occlusion,
        gradcam. All that the model allows if not given: no guided backpropagation without a rectifier, no Grad-CAM
        without maps.
    images : (N, C, H, W), optional
        The same images in [0, 1], to be shown; x itself, each stretched to [0, 1], if not given.
    classes : sequence of str, optional
        Names of the model's outputs.
    seed : int
        For SmoothGrad's noise.

    Returns
    -------
    Figure
        Every map has a scale of its own.

    Raises
    ------
    ShapeError
        If x is no batch of images or an empty one, or images has another shape.
    ValueError
        If there is no such method, or the model does not allow it.

    References
    ----------
    Those of the methods.
    """
    check_rank("plot_attributions", "x", x, "N C H W")
    if not len(x):
        raise ShapeError("plot_attributions: x holds no image")
    if images is not None:
        check_shape("plot_attributions", "images", images, x.shape)
    x = as_classifier_input("plot_attributions", model, x)
    numbers = target_classes("plot_attributions", model, x, target)[:MOST_IMAGES]
    x = x[:MOST_IMAGES]
    chosen = [METHODS[name] for name in chosen_methods("plot_attributions", model, x, methods)]
    maps = [method.maps(model, x, numbers, seed) for method in chosen]
    shown = x if images is None else images[: len(x)]
    return _draw(shown, _labels(model, x, numbers, classes), chosen, maps)


def chosen_methods(function: str, model: Layer, x: Array, methods: Sequence[str] | None) -> list[str]:
    """The names of the methods asked for, or of all that the model allows.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Flatten
    >>> chosen_methods("example", Flatten(), np.zeros((1, 1, 2, 2)), None)
    ['saliency', 'smoothgrad', 'integrated_gradients', 'occlusion']
    """
    if methods is None:
        missing = {"guided_backpropagation": not has_rectifier(model), "gradcam": not has_maps(model, x.shape[1:])}
        return [name for name in METHODS if not missing.get(name)]
    for name in methods:
        if name not in METHODS:
            raise ValueError(f"{function}: methods must be among {', '.join(METHODS)}, got {name!r}")
    return list(methods)


def _draw(images: Array, labels: Sequence[str], methods: Sequence[Method], maps: Sequence[Array]) -> Figure:
    """One axes, measured in inches from the top left."""
    height = INCHES * float(np.clip(images.shape[2] / images.shape[3], 0.3, 2.0))
    size = (1 + len(methods)) * STEP - (STEP - INCHES), HEAD + len(images) * (height + WORDS)
    figure, (ax,) = style.stack("Why this class? The methods side by side", _caption(methods), [size[1]], width=size[0])
    for column, heading in enumerate(("Image", *(method.heading for method in methods))):
        _write(ax, column * STEP + INCHES / 2, HEAD - 0.04, heading, style.INK)
    for row, image in enumerate(map(stretched, images)):
        bottom = HEAD + (row + 1) * (height + WORDS)
        places = [(left, left + INCHES, bottom, bottom - height) for left in STEP * np.arange(1 + len(methods))]
        _write(ax, INCHES / 2, bottom - height - 0.04, labels[row], style.BLUE)
        style.draw_image(ax, image, places[0])
        for place, method, shown in zip(places[1:], methods, maps, strict=True):
            draw_map(ax, image, shown[row], signed=method.signed, extent=place)
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    ax.set_aspect("auto")
    return figure


def _labels(model: Layer, x: Array, numbers: Array, classes: Sequence[str] | None) -> list[str]:
    """The class that is asked about, and its probability."""
    shares = softmax_forward(model.predict(x))[0][np.arange(len(x)), numbers]
    names = [str(k) if classes is None else classes[k] for k in numbers]
    return [
        f"{style.short(name, 9)} · {style.percent(float(share), 1)}" for name, share in zip(names, shares, strict=True)
    ]


def _write(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.text(x, y, text, ha="center", va="bottom", fontsize=8.5, color=colour, parse_math=False)


def _caption(methods: Sequence[Method]) -> str:
    plain = [method.heading for method in methods if not method.signed]
    parts = ["Above each image the class that is asked about, and its probability."]
    if len(plain) < len(methods):
        parts.append("Blue speaks for the class, orange against it.")
    if plain:
        parts.append(f"{' and '.join(plain)} {'have' if len(plain) > 1 else 'has'} no sign: dark is much.")
    return " ".join([*parts, "Every map has its own scale."])
