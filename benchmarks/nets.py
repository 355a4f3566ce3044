"""The networks of the benchmarks: ours with their weights, and the same ones spelt out for peers that have no layers.

A peer that has no layers of its own gives the verbs (`conv`, `norm`, `relu`, `pool`, `mean`, `flatten`, `linear`,
`add`): JAX computes in them, ONNX writes nodes. Weights go by our keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from cnn_from_scratch.layers import Sequential
from cnn_from_scratch.models import MODELS, resnet20
from cnn_from_scratch.models.residual_blocks import basic_block

Array = np.ndarray


def our_model(net: str, dtype: str = "float32") -> Sequential:
    """The network from seed 0, with running statistics as if it had been trained, so that folding them can go wrong."""
    model = _resnet56() if net == "resnet56" else MODELS[net]()
    rng = np.random.default_rng(0)
    for key, buffer in model.buffers.items():
        if key.endswith("running_mean"):
            buffer[...] = rng.normal(0, 0.1, buffer.shape)
        elif key.endswith("running_var"):
            buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
    return model if dtype == "float32" else model.astype(dtype)


def weights_of(net: str, dtype: str = "float32") -> dict[str, Array]:
    """Parameters and buffers under our keys, which are PyTorch's."""
    model = our_model(net, dtype)
    return {key: array.copy() for key, array in (model.params | model.buffers).items()}


def _resnet56() -> Sequential:
    """resnet20 with nine blocks in each stage instead of three."""
    layers = dict(resnet20().children)
    for stage, filters in (("layer1", 16), ("layer2", 32), ("layer3", 64)):
        layers[stage] = Sequential(*layers[stage].children.values(), *(basic_block(filters, filters) for _ in range(6)))
    return Sequential(layers).initialize(0)


class Verbs(Protocol):
    """What a peer must be able to do; `x` is whatever it likes."""

    def conv(self, x: Any, name: str, *, stride: int = 1, padding: int = 1) -> Any: ...
    def norm(self, x: Any, name: str) -> Any: ...
    def relu(self, x: Any) -> Any: ...
    def pool(self, x: Any) -> Any: ...
    def mean(self, x: Any) -> Any: ...
    def flatten(self, x: Any) -> Any: ...
    def linear(self, x: Any, name: str) -> Any: ...
    def add(self, x: Any, y: Any) -> Any: ...


def _mnist_cnn(do: Verbs, x: Any) -> Any:
    x = do.pool(do.relu(do.conv(x, "conv1")))
    x = do.pool(do.relu(do.conv(x, "conv2")))
    return do.linear(do.relu(do.linear(do.flatten(x), "fc1")), "fc2")


def _vgg_small(do: Verbs, x: Any) -> Any:
    for i in range(1, 6):
        x = do.relu(do.norm(do.conv(x, f"conv{i}"), f"bn{i}"))
        if i in (2, 4):
            x = do.pool(x)
    return do.linear(do.mean(x), "fc")


def _resnet(do: Verbs, x: Any, blocks: int) -> Any:
    x = do.relu(do.norm(do.conv(x, "conv1"), "bn1"))
    for stage in (1, 2, 3):
        for block in range(blocks):
            x = _residual(do, x, f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
    return do.linear(do.mean(x), "fc")


def _residual(do: Verbs, x: Any, at: str, stride: int) -> Any:
    y = do.relu(do.norm(do.conv(x, f"{at}.conv1", stride=stride), f"{at}.bn1"))
    y = do.norm(do.conv(y, f"{at}.conv2"), f"{at}.bn2")
    if stride > 1:
        x = do.norm(do.conv(x, f"{at}.downsample.0", stride=stride, padding=0), f"{at}.downsample.1")
    return do.relu(do.add(y, x))


NETS: dict[str, Callable[[Verbs, Any], Any]] = {
    "mnist_cnn": _mnist_cnn,
    "vgg_small": _vgg_small,
    "resnet20": lambda do, x: _resnet(do, x, 3),
    "resnet56": lambda do, x: _resnet(do, x, 9),
}
