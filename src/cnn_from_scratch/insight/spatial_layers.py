"""Which layers still give maps, and which of them is the last: the place where Grad-CAM looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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
from ..layers.containers import named_layers
from ..typing import Array

POOLS = (MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d)
"""What makes maps coarser and adds nothing to them."""


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
