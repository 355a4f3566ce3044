"""Guided backpropagation: gradients that only ever say "more of this", and so show strokes and edges."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..layers import ELU, GELU, Container, Context, LeakyReLU, PReLU, ReLU, ReLU6, SiLU, Softplus
from ..layers.base import Grads, Layer, Shape
from ..layers.predict import require_layer
from ..ops.memory import empty_like
from ..typing import Array
from .attribution_picture import draw_one, subject
from .input_gradient import BATCH, score_gradient
from .targets import Target

RECTIFIERS = (ReLU, ReLU6, LeakyReLU, PReLU, ELU, GELU, SiLU, Softplus)
"""What the rule holds for: layers that let pass what is positive."""


class GuidedRectifier(Layer):
    """dx = backward(max(dy, 0)): a rectifier through which no negative gradient comes down; its forward is the same.

    For a ReLU that is the paper's dx = dy * (x > 0) * (dy > 0). Its relatives have their own slope instead of x > 0.

    Parameters
    ----------
    rectifier : Layer
        It is only called, never changed.

    Examples
    --------
    >>> layer = GuidedRectifier(ReLU())
    >>> y, cache = layer.forward(np.array([[-1.0, 1.0, 2.0]], np.float32), Context())
    >>> layer.backward(np.array([[5.0, 6.0, -7.0]], np.float32), cache)[0]
    array([[0., 6., 0.]], dtype=float32)
    """

    def __init__(self, rectifier: Layer) -> None:
        super().__init__()
        self.rectifier = rectifier
        self.params, self.buffers = rectifier.params, rectifier.buffers

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """The rectifier's own."""
        return self.rectifier.forward(x, ctx)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The rectifier's own, of the positive part of dy."""
        return self.rectifier.backward(np.maximum(dy, 0, out=empty_like(dy)), cache, need_dx=need_dx)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The rectifier's own."""
        return self.rectifier.output_shape(input_shape)


def guided_backpropagation(model: Layer, x: Array, target: Target = None, *, batch_size: int = BATCH) -> Array:
    """The gradient of a score by the pixels, where every rectifier passes on positive gradients only

    At each ReLU, y = max(x, 0), the way back is dx = dy * (x > 0) * (dy > 0). The model is not touched: the pass runs
    through containers made anew around the same layers, in which each rectifier is wrapped.

    The pictures are sharp, but they hardly depend on what the upper layers have learned (Adebayo et al., see
    `model_randomization`; Nie et al.): they show which strokes the network sees, not why it decides as it does.

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
    guided : (N, C, H, W)
        With its sign: the layers below the first rectifier turn it around as they like.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `input_gradient`; ValueError also if no layer of the model is a rectifier.

    References
    ----------
    Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity: The All Convolutional Net (2014), section
    3.4. https://arxiv.org/abs/1412.6806
    Nie, Zhang, Patel: A Theoretical Explanation for Perplexing Behaviors of Backpropagation-based Visualizations
    (2018). https://arxiv.org/abs/1805.07039

    Examples
    --------
    score = relu(x0 - x1) - relu(x1 - x0): both ReLUs see a gradient, but that of the second is negative.

    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> model = Sequential(Linear(2, 2, bias=False), ReLU(), Linear(2, 1, bias=False))
    >>> model.params["0.weight"] = np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)
    >>> model.params["2.weight"] = np.array([[1.0, -1.0]], np.float32)
    >>> guided_backpropagation(model, np.array([[3.0, 1.0], [1.0, 3.0]], np.float32))
    array([[ 1., -1.],
           [ 0.,  0.]], dtype=float32)
    """
    require_layer("guided_backpropagation", model)
    if not has_rectifier(model):
        names = ", ".join(kind.__name__ for kind in RECTIFIERS)
        raise ValueError(f"guided_backpropagation: the model has no rectifier to guide; one of {names} is needed")
    guided = rebuild(model, lambda layer: GuidedRectifier(layer) if isinstance(layer, RECTIFIERS) else layer)
    return score_gradient("guided_backpropagation", guided, x, target, batch_size=batch_size).dx


def has_rectifier(model: Layer) -> bool:
    """Whether guided backpropagation differs from the gradient in anything."""
    return any(isinstance(layer, RECTIFIERS) for _, layer in model.layers())


def rebuild(layer: Layer, replace: Callable[[Layer], Layer]) -> Layer:
    """The same network in containers of its own, with ``replace(layer)`` for every layer that is no container.

    Parameters are those of the model, not copies; its containers, and the keys, stay as they are.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Identity, Residual, Sequential
    >>> model = Sequential(Residual(ReLU()))
    >>> rebuild(model, lambda layer: Identity())
    Sequential(
      (0): Residual(
        (body): Identity()
      )
    )
    >>> model[0].body
    ReLU()
    """
    if not isinstance(layer, Container):
        return replace(layer)
    twin = copy.copy(layer)  # a container of one's own keeps its attributes
    Container.__init__(twin, {name: rebuild(child, replace) for name, child in layer.children.items()})
    return twin


def plot_guided_backpropagation(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    image: Array | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image and its guided gradients, summed over the channels.

    Parameters
    ----------
    model, x, target, image, classes
        As in `plot_saliency`.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of one image.
    ValueError
        If no layer of the model is a rectifier.
    """
    of = subject("plot_guided_backpropagation", model, x, target, image, classes)
    shown = guided_backpropagation(model, x, of.target)[0].sum(0)
    return draw_one(of, shown, f"Guided backpropagation from the score of {of.name}", CAPTION)


CAPTION = (
    "Blue where a brighter pixel, orange where a darker one, feeds what the layers respond to. "
    "It shows the strokes that are seen, hardly for which class."
)
