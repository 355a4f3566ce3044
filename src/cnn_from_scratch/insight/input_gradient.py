"""How a score changes with the pixels: the gradient of an output by the input, and by the output of any layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import ShapeError
from ..layers import Container, Context, Layer
from ..layers.predict import as_model_input, in_fast_order
from ..typing import Array
from .features import named_layers

Target: TypeAlias = int | Sequence[int] | Array | None
"""Whose score: one class for all examples, a class for each, or None for the class with the largest score."""

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
        If an example does not fit into the model, the model does not give (N, K), or target has another length than x.
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
    classes = _checked(function, model, x, target)
    if classes is not None and dlogits is not None:
        raise ValueError(f"{function}: give target or dlogits, not both")
    if key is not None:
        require_key(function, model, key)
    parts = []
    for rows in batches(function, len(x), batch_size):
        own = None if classes is None else classes[rows]
        parts.append(_one_batch(model, x[rows], dlogits or partial(_one_hot, classes=own), key))
    return InputGradient(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _one_batch(model: Layer, x: Array, dlogits: Callable[[Array], Array], key: str | None) -> InputGradient:
    """One forward and one backward pass; a tap picks out the layer."""
    seen: dict[str, Array] = {}

    def tap(name: str, phase: str, values: Mapping[str, Any]) -> None:
        if name == key:
            seen[phase] = values["output" if phase == "forward" else "dy"]

    logits, cache = model.forward(in_fast_order(x), Context(tap=tap))
    dy = dlogits(logits)
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


# --- what is asked for ----------------------------------------------------------------------------------------------


def target_classes(function: str, model: Layer, x: Array, target: Target) -> Array:
    """The class whose score is meant, for each example: (N,), the predicted one where nothing is said.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Identity
    >>> x = np.array([[1.0, 2.0], [5.0, 3.0]], np.float32)
    >>> target_classes("example", Identity(), x, None), target_classes("example", Identity(), x, 1)
    (array([1, 0]), array([1, 1]))
    """
    classes = _checked(function, model, x, target)
    if classes is not None:
        return classes
    return model.predict(x).argmax(1) if len(x) else np.zeros(0, np.intp)


def as_classifier_input(function: str, model: Layer, x: Array) -> Array:
    """`x` in the dtype of a model that gives a score for each class."""
    x = as_model_input(function, model, x)
    shape = model.output_shape(x.shape[1:])
    if len(shape) != 1:
        raise ShapeError(
            f"{function}: the model must give one score for each class, (N, K), "
            f"but gives (N, {', '.join(map(str, shape))})"
        )
    return x


def _checked(function: str, model: Layer, x: Array, target: Target) -> Array | None:
    """The classes as (N,), or None where they are those that the model predicts."""
    if target is None:
        return None
    classes = np.asarray(target)
    if classes.dtype.kind not in "ui":
        raise TypeError(f"{function}: target must be an int, (N,) ints or None, got {target!r}")
    if classes.shape not in ((), (len(x),)):
        raise ShapeError(f"{function}: target must be one class or one for each of N={len(x)} examples, "
                         f"got shape {classes.shape}")  # fmt: skip
    (K,) = model.output_shape(x.shape[1:])
    outside = classes[(classes < 0) | (classes >= K)]
    if outside.size:
        raise ValueError(f"{function}: target must be in 0..{K - 1}, got {outside.flat[0]}")
    return np.broadcast_to(classes, (len(x),)).astype(np.intp)


def require_key(function: str, model: Layer, key: str) -> None:
    """Raise unless a layer of the model has this key."""
    keys = [name for name, _ in named_layers(model) if name or not isinstance(model, Container)]
    if key not in keys:
        raise ValueError(f"{function}: no layer has the key {key!r}; those of this model: {', '.join(keys)}")


def batches(function: str, count: int, batch_size: int) -> list[slice]:
    """Rows that run together; of no example, one empty batch.

    Examples
    --------
    >>> batches("example", 5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"{function}: batch_size must be an int >= 1, got {batch_size!r}")
    return [slice(first, min(first + batch_size, count)) for first in range(0, max(count, 1), batch_size)]
