"""Which score is explained: one class for all examples, one for each, or the predicted one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..errors import ShapeError
from ..layers import Container, Layer
from ..layers.containers import named_layers
from ..layers.predict import as_model_input
from ..typing import Array

Target: TypeAlias = int | Sequence[int] | Array | None
"""Whose score: one class for all examples, a class for each, or None for the class with the largest score."""


def target_classes(function: str, model: Layer, x: Array, target: Target) -> Array:
    """The class whose score is meant, for each example: (N,), the predicted one where nothing is said.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Identity
    >>> x = np.array([[1.0, 2.0], [5.0, 3.0]], np.float32)
    >>> target_classes("example", Identity(), x, None), target_classes("example", Identity(), x, 1)
    (array([1, 0]), array([1, 1]))
    """
    classes = given_classes(function, model, x, target)
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


def given_classes(function: str, model: Layer, x: Array, target: Target) -> Array | None:
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
