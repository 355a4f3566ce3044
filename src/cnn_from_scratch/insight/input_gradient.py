"""How a score changes with the pixels: the gradient of an output by the input, and by the output of any layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..layers import Context, Layer
from ..layers.predict import in_fast_order
from ..ops.utils import check_shape
from ..typing import Array
from .targets import Target, as_classifier_input, batches, given_classes, require_key

BATCH = 64
"""So many examples run at a time, unless told otherwise."""


class InputGradient(NamedTuple):
    """What one forward and one backward pass say about a score. All arrays are C-contiguous.

    Without a key, `output` and `doutput` are those of the model itself: the scores and the score's gradient by them.
    """

    logits: Array  # (N, K)
    dx: Array  # (N, ...): the score's gradient by the input
    output: Array  # of the layer `key`
    doutput: Array  # the score's gradient by it


def input_gradient(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    key: str | None = None,
    dlogits: Callable[[Array], Array] | None = None,
    batch_size: int = BATCH,
) -> InputGradient:
    """dx[n] = d score[n] / d x[n], where score[n] = logits[n, target[n]], in evaluation

    The layers run one by one, as they are written; nothing of the model is changed, and the gradients of its
    parameters are let go.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class. The scores before the softmax say more: a probability near 1 hardly
        changes with anything.
    x : (N, ...)
        What the model takes; floating, cast to the dtype of the model.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts.
    key : str, optional
        Of a layer, as ``"features.0"``, whose output and its gradient are wanted, too.
    dlogits : function, optional
        For another score than one of the logits: takes logits (n, K), gives the score's gradient by them, (n, K).
        Called for at most `batch_size` examples at a time.
    batch_size : int
        How many examples run at a time; at least 1.

    Returns
    -------
    InputGradient

    Raises
    ------
    TypeError
        If x is not floating, or target holds no integers.
    ShapeError
        If an example does not fit into the model, the model does not give (N, K), target has another length than x, or
        dlogits gives another shape than (n, K).
    ValueError
        If a target is no class, no layer has the key, both target and dlogits are given, or batch_size is below 1.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(2, 2, bias=False), ReLU())
    >>> model.params["0.weight"] = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)
    >>> found = input_gradient(model, np.array([[1.0, 1.0]], np.float32), key="0")  # scores 3 and 0
    >>> found.dx, found.output, found.doutput
    (array([[1., 2.]], dtype=float32), array([[ 3., -1.]], dtype=float32), array([[1., 0.]], dtype=float32))
    """
    return score_gradient("input_gradient", model, x, target, key=key, dlogits=dlogits, batch_size=batch_size)


def score_gradient(
    function: str,
    model: Layer,
    x: Array,
    target: Target,
    *,
    key: str | None = None,
    dlogits: Callable[[Array], Array] | None = None,
    batch_size: int = BATCH,
) -> InputGradient:
    """`input_gradient`, on behalf of the function that errors shall name."""
    x = as_classifier_input(function, model, x)
    classes = given_classes(function, model, x, target)
    if classes is not None and dlogits is not None:
        raise ValueError(f"{function}: give target or dlogits, not both")
    if key is not None:
        require_key(function, model, key)
    parts = []
    for rows in batches(function, len(x), batch_size):
        own = None if classes is None else classes[rows]
        parts.append(_one_batch(function, model, x[rows], dlogits or partial(_one_hot, classes=own), key))
    return InputGradient(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _one_batch(
    function: str, model: Layer, x: Array, dlogits: Callable[[Array], Array], key: str | None
) -> InputGradient:
    """One forward and one backward pass; a tap picks out the layer."""
    seen: dict[str, Array] = {}

    def tap(name: str, phase: str, values: Mapping[str, Any]) -> None:
        if name == key:
            seen[phase] = values["output" if phase == "forward" else "dy"]

    logits, cache = model.forward(in_fast_order(x), Context(tap=tap))
    dy = dlogits(logits)
    check_shape(function, "dlogits(logits)", dy, logits.shape)
    dx, _ = model.backward(dy, cache)
    assert dx is not None
    found = logits, dx, seen.get("forward", logits), seen.get("backward", dy)
    return InputGradient(*map(np.ascontiguousarray, found))


def _one_hot(logits: Array, classes: Array | None) -> Array:
    """d logits[n, classes[n]] / d logits; without classes, of the largest."""
    dlogits = np.zeros_like(logits)
    if len(logits):
        dlogits[np.arange(len(logits)), logits.argmax(1) if classes is None else classes] = 1
    return dlogits
