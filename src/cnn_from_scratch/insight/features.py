"""What every layer makes of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers import Container, Context, Layer
from ..layers.predict import as_model_input
from ..typing import Array


def feature_maps(model: Layer, x: Array) -> dict[str, Array]:
    """The output of every layer, by the layer's key, in evaluation.

    Parameters
    ----------
    model : Layer
    x : (N, C, H, W) or (N, features)
        What the model takes; floating.

    Returns
    -------
    dict
        Key to array, C-contiguous, in the order in which they arise. A container with a key of its own (a residual
        block) comes after what it contains.

    Raises
    ------
    TypeError, ShapeError
        As `Layer.predict`.

    Examples
    --------
    >>> from cnn_from_scratch.layers import ReLU, Sequential
    >>> feature_maps(Sequential(ReLU()), np.array([[-1.0, 2.0]], np.float32))
    {'0': array([[0., 2.]], dtype=float32)}
    """
    x = as_model_input("feature_maps", model, x)
    found: dict[str, Array] = {}

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        found[key] = np.ascontiguousarray(values["output"])

    y, _ = model.forward(x, Context(tap=tap))
    return found if isinstance(model, Container) else {"": np.ascontiguousarray(y)}
