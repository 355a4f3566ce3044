"""What excites a neuron most: an image made for one logit, one channel or one unit of any layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..data import Normalization
from ..errors import ShapeError
from ..layers import Layer
from ..ops.utils import check_shape
from ..typing import Array
from .image_optimizer import Bounds, Regularizers, ascend, background_of, check_bounds, noise, pull_back
from .picture_grid import Panel, draw_panels, in_rows, shown
from .until import model_until

LEGIBLE = Regularizers(total_variation=0.4, decay=0.2, alpha=2.0, blur=0.05, jitter=0.08)
"""What small images need so that one sees strokes and not noise."""

WARMUP = 0.25
"""Share of the steps over which the penalties come in: pressed at once, weak units end as an empty image."""

START = 1.0
"""The noise that an ascent starts from fills the bounds: where all is grey, many units are dead."""

Position = tuple[int, int] | Literal["center"] | None


class ActivationMaximum(NamedTuple):
    """Images that excite units, and how much."""

    images: Array  # (n, C, H, W)
    activations: Array  # (n,): what each unit gives for its image
    history: Array  # (steps, n): what it gave before each step, for the image as moved by jitter
    units: tuple[int, ...]
    key: str  # of the layer; "" for the model's own output


def maximize_activation(
    model: Layer,
    units: int | Sequence[int],
    image_shape: tuple[int, int, int],
    *,
    key: str | None = None,
    position: Position = None,
    normalization: Normalization | None = None,
    regularizers: Regularizers = LEGIBLE,
    bounds: Bounds = (0.0, 1.0),
    start: Array | None = None,
    steps: int = 500,
    lr: float = 0.05,
    seed: int = 0,
) -> ActivationMaximum:
    """argmax_x  a(x) - penalty(x - background), for the activation a of each unit, from noise by gradient ascent

    ::

        a(x) = y[unit], or y[unit, oh, ow], or the mean of y[unit] over all positions,  for y = the layer's output
        direction = da/dx / (root mean square of da/dx where it is not 0)

    Divided by its size, the gradient of any unit of any network is as strong as the penalties, whose weights therefore
    mean the same everywhere: with a weight of 1, an edge pulls at a pixel as hard as the unit does on average.

    Parameters
    ----------
    model : Layer
    units : int or sequence of int
        Channels of the layer's output, or features if it gives (N, features); an image for each.
    image_shape : (C, H, W)
    key : str, optional
        Which layer, as ``"conv2"``; the model's own output if not given, so that units are classes. Logits say more
        than probabilities: a softmax also grows by what speaks against the other classes.
    position : (oh, ow), "center" or None
        Of maps, one unit at this place, or all of the channel.
    normalization : Normalization, optional
        What is done to images before the model sees them. Without it the model takes the images as they are.
    regularizers : Regularizers
    bounds : (low, high) or None
        What pixels may be.
    start : (n, C, H, W), optional
        Images to begin with; noise around the background if not given.
    steps : int
    lr : float
        How far a pixel may go in the first step.
    seed : int
        Where noise and jitter come from.

    Returns
    -------
    ActivationMaximum
        In the dtype of the model. After Ctrl-C, what has been reached.

    Raises
    ------
    ValueError
        If there is no such layer or unit, or a number is out of range.
    ShapeError
        If images do not fit into the model, or there is no such position.

    References
    ----------
    Erhan, Bengio, Courville, Vincent: Visualizing Higher-Layer Features of a Deep Network (2009). Simonyan, Vedaldi,
    Zisserman: Deep Inside Convolutional Networks (2013), section 2. https://arxiv.org/abs/1312.6034 -- what makes the
    images legible: see `Regularizers`.

    Examples
    --------
    A linear unit is excited most by its own weight, if length costs:

    >>> from cnn_from_scratch.layers import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(2, 1, bias=False)).astype(np.float64)
    >>> model.params["1.weight"] = np.array([[4.0, -3.0]])
    >>> found = maximize_activation(model, 0, (1, 1, 2), regularizers=Regularizers(decay=0.5), bounds=None)
    >>> (found.images * 12.5**0.5).round(2)  # 12.5 is the mean square of the weight
    array([[[[ 4., -3.]]]])
    """
    function = "maximize_activation"
    part, wanted = model_until(model, key), (int(units),) if isinstance(units, int | np.integer) else tuple(units)
    place = _index(function, part.output_shape(image_shape), wanted, position)
    check_bounds(function, bounds)
    background = background_of(function, image_shape[0], normalization, bounds)
    shape = (len(wanted), *image_shape)
    if start is None:
        start = noise(shape, background, START, bounds, seed)
    check_shape(function, "start", start, shape)

    def objective(images: Array) -> tuple[Array, Array]:
        y, dx = pull_back(part, images, normalization, lambda y: _one_hot(y, place))
        return _activations(y, place), dx

    found = ascend(
        objective,
        start.astype(model.dtype),
        regularizers=regularizers,
        background=background.astype(model.dtype),
        bounds=bounds,
        rescale=True,
        warmup=WARMUP,
        steps=steps,
        lr=lr,
        seed=seed,
    )
    reached = _activations(pull_back(part, found.images, normalization, np.zeros_like)[0], place)
    return ActivationMaximum(found.images, reached, found.history, wanted, key or "")


class _Place(NamedTuple):
    """Where the units are in the output: which channel for each image, and which rows and columns, if it has any."""

    channels: Array  # (n,)
    rows: slice
    columns: slice


def _index(function: str, shape: tuple[int, ...], units: tuple[int, ...], position: Position) -> _Place:
    """Check that the units exist, and say where they are."""
    if not units:
        raise ValueError(f"{function}: units is empty")
    for unit in units:
        if isinstance(unit, bool) or not isinstance(unit, int | np.integer) or not 0 <= unit < shape[0]:
            raise ValueError(f"{function}: units must be ints in 0..{shape[0] - 1}, got {unit!r}")
    rows = columns = slice(None)
    if position is not None:
        if len(shape) != 3:
            raise ShapeError(f"{function}: position is for layers that give maps, this one gives {shape}")
        oh, ow = (shape[1] // 2, shape[2] // 2) if position == "center" else position
        if not (0 <= oh < shape[1] and 0 <= ow < shape[2]):
            raise ShapeError(f"{function}: position {position} is not within maps of {shape[1]} x {shape[2]}")
        rows, columns = slice(oh, oh + 1), slice(ow, ow + 1)
    return _Place(np.array(units), rows, columns)


def _activations(y: Array, place: _Place) -> Array:
    """What each image's own unit gives, (n,)."""
    own = y[np.arange(len(y)), place.channels]  # (n,) or (n, OH, OW)
    return own if own.ndim == 1 else own[:, place.rows, place.columns].mean((1, 2))


def _one_hot(y: Array, place: _Place) -> Array:
    """d _activations / d y"""
    dy, images = np.zeros_like(y), np.arange(len(y))
    if y.ndim == 2:
        dy[images, place.channels] = 1
        return dy
    share = 1 / y[0, 0, place.rows, place.columns].size
    for image, channel in zip(images, place.channels, strict=True):
        dy[image, channel, place.rows, place.columns] = share
    return dy


def plot_activation_maxima(found: ActivationMaximum, *, names: Sequence[str] | None = None) -> Figure:
    """The images of `maximize_activation`, each with the name of its unit and what the unit gives for it.

    Parameters
    ----------
    found : ActivationMaximum
    names : sequence of str, optional
        A name for each image, as the classes; the number of the unit if not given.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If there are not as many names as images.
    """
    names = [str(unit) for unit in found.units] if names is None else list(names)
    if len(names) != len(found.images):
        raise ShapeError(f"plot_activation_maxima: {len(names)} names for {len(found.images)} images")
    panels = [
        Panel(image, name, f"{activation:.3g}")
        for image, name, activation in zip(shown(found.images), names, found.activations, strict=True)
    ]
    title = f"What excites each unit of layer {found.key} most" if found.key else "What excites each output most"
    caption = "Found by gradient ascent from noise. Below each: what its unit gives."
    return draw_panels(title, caption, in_rows(panels, 5 if len(panels) <= 10 else 8))
