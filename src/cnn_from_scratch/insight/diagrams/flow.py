"""What passes between the layers of a network, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...layers import Context, Sequential
from ...ops import cross_entropy_backward, cross_entropy_forward
from ...randomness import Place
from ...typing import Array
from .shapes import Shape, layer_name


class Passage(NamedTuple):
    """What one layer gave in both directions."""

    name: str
    output: Shape
    dx: Shape
    grads: dict[str, Shape]


class Flow(NamedTuple):
    """One run forward and backward, layer by layer."""

    names: list[str]
    values: list[Array]  # the input, and what each layer gave
    gradients: list[Array]  # of the loss, by each of the values
    grads: list[dict[str, Array]]  # of each layer's parameters
    loss: float


def flow(model: Sequential, x: Array, targets: Array) -> Flow:
    """Run a model forward and backward with cross-entropy, and keep what passes between its layers; nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear, ReLU
    >>> found = flow(Sequential(Linear(3, 2, rng=0), ReLU()), np.ones((5, 3), np.float32), np.zeros(5, int))
    >>> [value.shape for value in found.values], list(found.grads[0])
    ([(5, 3), (5, 2), (5, 2)], ['weight', 'bias'])
    """
    forward: dict[str, Array] = {}
    backward: dict[str, Mapping[str, Any]] = {}

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        if phase == "forward":
            forward[key] = values["output"].copy()
        else:
            backward[key] = {
                "dx": values["dx"].copy(),
                "grads": {name: grad.copy() for name, grad in values["grads"].items()},
            }

    logits, caches = model.forward(x, Context(train=True, rng=Place(0), tap=tap))
    loss, cache = cross_entropy_forward(logits, targets)
    dlogits = cross_entropy_backward(cache)
    model.backward(dlogits, caches)
    keys = list(model.children)
    return Flow(
        [layer_name(key, layer) for key, layer in model.children.items()],
        [x, *(forward[key] for key in keys)],
        [*(backward[key]["dx"] for key in keys), dlogits],
        [backward[key]["grads"] for key in keys],
        float(loss),
    )


def passages(model: Sequential, x: Array, targets: Array) -> list[Passage]:
    """The shapes of a run forward and backward, layer by layer; nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear
    >>> passages(Sequential(Linear(3, 2, rng=0)), np.ones((5, 3), np.float32), np.zeros(5, int))[0].grads
    {'weight': (2, 3), 'bias': (2,)}
    """
    found = flow(model, x, targets)
    shapes = [{name: grad.shape for name, grad in grads.items()} for grads in found.grads]
    each = zip(found.names, found.values[1:], found.gradients[:-1], shapes, strict=True)
    return [Passage(name, value.shape, gradient.shape, grads) for name, value, gradient, grads in each]
