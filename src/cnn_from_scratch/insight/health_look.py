"""One look at a network that is being trained: what the rules of health judge by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..layers import Context, Conv2d, ConvTranspose2d, Layer, Linear, ReLU, ReLU6, Sigmoid, Tanh
from ..layers.containers import named_layers
from ..randomness import Place
from ..typing import Array

CHANNELWISE = 1
"""The axis of channels, or of units."""


class Still(NamedTuple):
    """Channels of a layer's output that are the same number for every pixel of every example."""

    channels: Array  # their places
    size: int  # of how many
    maps: bool  # channels of images, rather than units of a vector
    zero: bool  # whether that number is 0 behind a ReLU


class Look(NamedTuple):
    """Sizes by parameter (weights only: two axes or more) and states by layer."""

    step: int  # from 0, over the whole training
    lr: float
    loss: float
    examples: int
    gradients: dict[str, float]  # root mean square; from the first layer to the last
    weights: dict[str, float]
    updates: dict[str, float]  # of what the step has added to the weights; empty where it was not measured
    not_finite: list[str]  # parameters and buffers
    still: dict[str, Still]
    saturated: dict[str, float]  # share of a sigmoid's or tanh's outputs that are near their bounds
    constant_inputs: Array | None  # channels of the images that hold one number; None where the input is no image


def rms(array: Array) -> float:
    """Root mean square.

    Examples
    --------
    >>> rms(np.array([3.0, -4.0, 0.0, 0.0]))
    2.5
    """
    flat = array.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.dot(flat, flat) / max(flat.size, 1)))


def weights_of(model: Layer) -> dict[str, Array]:
    """Parameters with two axes or more: filters and matrices, from the first layer to the last."""
    return {key: value for key, value in model.params.items() if value.ndim > 1}


def not_finite(model: Layer) -> list[str]:
    """Keys of parameters and buffers with a NaN or an infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return [key for key, value in (model.params | model.buffers).items() if not np.isfinite(value.sum())]


def layer_states(model: Layer, x: Array) -> tuple[dict[str, Still], dict[str, float]]:
    """Still channels and saturation, layer by layer, as the examples go through the model.

    The model runs as in training, on the statistics of these examples, but nothing of it is written.
    """
    layers, states = dict(named_layers(model)), dict[str, Still | float | None]()

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        states[key] = state_of(layers[key], values["input"], values["output"])

    with np.errstate(all="ignore"):
        model.forward(x, Context(train=True, rng=Place(0), tap=tap))
    return sorted_states(model, states)


def state_of(layer: Layer, x: Array, y: Array) -> Still | float | None:
    """Of a layer that was given x and gave y: its still channels, or its saturation; None where there is neither."""
    if isinstance(layer, Conv2d | ConvTranspose2d | Linear | ReLU | ReLU6) and y.ndim in (2, 4):
        return _still(layer, x, y)
    return _saturation(layer, y) if isinstance(layer, Sigmoid | Tanh) else None


def sorted_states(
    model: Layer, states: Mapping[str, Still | float | None]
) -> tuple[dict[str, Still], dict[str, float]]:
    """Still channels and saturation by themselves; a probability at the end may well be near 0 or 1."""
    *_, (last, _) = model.layers()
    still = {key: state for key, state in states.items() if isinstance(state, Still)}
    return still, {key: state for key, state in states.items() if isinstance(state, float) and key != last}


def still_channels(x: Array) -> Array:
    """Places of the channels that hold one number only.

    Examples
    --------
    >>> still_channels(np.array([[1.0, 5.0], [2.0, 5.0]]))
    array([1])
    """
    channels = np.arange(x.shape[CHANNELWISE])
    for part in (x[:2], x):  # few survive two examples, so the rest costs next to nothing
        if len(channels):
            part = part if len(channels) == x.shape[CHANNELWISE] else part[:, channels]
            axes = tuple(axis for axis in range(x.ndim) if axis != CHANNELWISE)
            channels = channels[part.max(axes, initial=-np.inf) <= part.min(axes, initial=np.inf)]
    return channels


def _still(layer: Layer, x: Array, y: Array) -> Still:
    """Of this layer's own doing: what comes in still is another's."""
    found = still_channels(y)
    rectifies = isinstance(layer, ReLU | ReLU6)
    if len(found) and rectifies:
        found = np.setdiff1d(found, still_channels(x))
    elif len(found) and len(still_channels(x)) == x.shape[CHANNELWISE]:
        found = found[:0]
    return Still(found, y.shape[CHANNELWISE], y.ndim == 4, rectifies and not y[:, found].any())


def _saturation(layer: Layer, y: Array) -> float:
    """The share of outputs within 2 % of the range from its ends."""
    low, high = (0.0, 1.0) if isinstance(layer, Sigmoid) else (-1.0, 1.0)
    margin = 0.02 * (high - low)
    return float(((y < low + margin) | (y > high - margin)).mean())
