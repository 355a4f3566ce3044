"""Networks put together by chance, of every kind of layer, for what must be true of all of them."""

from __future__ import annotations

import numpy as np

from cnn_from_scratch import layers as room
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)

CLASSES = 5
IMAGE = (2, 7, 6)

KINDS = {
    "conv": lambda C, H, W, pick: Conv2d(
        C, 2 * pick(1, 2), (pick(1, 3), pick(1, 3)), stride=pick(1, 2), padding=((1, 0), (2, 1)), dilation=pick(1, 2)
    ),
    "grouped": lambda C, H, W, pick: Conv2d(C, 4, 3, padding="same", groups=2, bias=False),
    "depthwise": lambda C, H, W, pick: Conv2d(C, C, 3, padding=1, groups=C),
    "pointwise": lambda C, H, W, pick: Conv2d(C, 4, 1),
    "transposed": lambda C, H, W, pick: ConvTranspose2d(C, 2, (2, 3), stride=(2, 1), padding=1, groups=pick(1, 2)),
    "max": lambda C, H, W, pick: MaxPool2d(2, stride=pick(1, 2), padding=pick(0, 1)),
    "mean": lambda C, H, W, pick: AvgPool2d((2, 1), padding=(1, 0), count_include_pad=bool(pick(0, 1))),
    "cells": lambda C, H, W, pick: AdaptiveAvgPool2d((pick(1, H), None)),
    "maximal cells": lambda C, H, W, pick: AdaptiveMaxPool2d(pick(1, W)),
    "global mean": lambda C, H, W, pick: GlobalAvgPool2d(),
    "global max": lambda C, H, W, pick: GlobalMaxPool2d(),
    "batch norm": lambda C, H, W, pick: BatchNorm2d(C, affine=bool(pick(0, 1)), track_running_stats=bool(pick(0, 3))),
    "group norm": lambda C, H, W, pick: GroupNorm(2, C),
    "layer norm": lambda C, H, W, pick: LayerNorm((H, W), bias=bool(pick(0, 1))),
    "relu": lambda C, H, W, pick: ReLU(),
    "relu6": lambda C, H, W, pick: ReLU6(),
    "leaky": lambda C, H, W, pick: LeakyReLU(0.2),
    "prelu": lambda C, H, W, pick: PReLU(pick(0, 1) * (C - 1) + 1),
    "elu": lambda C, H, W, pick: ELU(),
    "gelu": lambda C, H, W, pick: GELU(("none", "tanh")[pick(0, 1)]),
    "silu": lambda C, H, W, pick: SiLU(),
    "sigmoid": lambda C, H, W, pick: Sigmoid(),
    "tanh": lambda C, H, W, pick: Tanh(),
    "softplus": lambda C, H, W, pick: Softplus(),
    "softmax": lambda C, H, W, pick: Softmax(1),
    "log softmax": lambda C, H, W, pick: LogSoftmax(1),
    "dropout": lambda C, H, W, pick: Dropout(0.3),
    "identity": lambda C, H, W, pick: Identity(),
    "zeros": lambda C, H, W, pick: ZeroPad2d((1, 0, 0, 2)),
    "mirror": lambda C, H, W, pick: ReflectionPad2d(1) if min(H, W) > 1 else Identity(),
    "edge": lambda C, H, W, pick: ReplicationPad2d(1),
    "larger": lambda C, H, W, pick: Upsample(scale_factor=(1, 2)) if W < 10 else Identity(),
    "residual": lambda C, H, W, pick: Residual(Sequential(Conv2d(C, C, 3, padding=1), BatchNorm2d(C), ReLU())),
    "projected": lambda C, H, W, pick: Residual(
        Sequential(Conv2d(C, 4, 3, stride=2, padding=1), Dropout(0.2)),
        Conv2d(C, 4, 1, stride=2),
        body_name="",
        shortcut_name="down",
    ),
    "concat": lambda C, H, W, pick: Concat({"a": Conv2d(C, 2, 1), "b": Sequential(ReLU(), MaxPool2d(3, 1, 1))}),
    "nested": lambda C, H, W, pick: Sequential({"inner": Sequential(ReLU(), Conv2d(C, 2, 3, padding=1))}),
}
"""Layers for C images of H x W; `pick(low, high)` draws a whole number."""


def random_model(seed, dtype=np.float64, *, kinds=tuple(KINDS), depth=5):
    """A network for images `IMAGE` that ends in `CLASSES` scores, its running statistics no longer at their start."""
    rng = np.random.default_rng(seed)

    def pick(low, high):
        return int(rng.integers(low, high + 1))

    found, shape = [], IMAGE
    while len(found) < depth:
        layer = KINDS[kinds[pick(0, len(kinds) - 1)]](*shape, pick)
        try:
            shape = layer.output_shape(shape)
        except ShapeError:  # a window that is larger than its image
            continue
        found.append(layer)
    head = [Flatten(), Linear(int(np.prod(shape)), 6), BatchNorm1d(6), Linear(6, CLASSES)]
    model = Sequential(*found, *head).initialize(seed).astype(dtype)
    for key, buffer in model.buffers.items():
        if key.endswith(("running_mean", "running_var")):
            buffer[...] = rng.uniform(0.5, 1.5, buffer.shape)
    return model


def random_batch(seed, count=4, dtype=np.float64):
    """Images and classes, read-only."""
    rng = np.random.default_rng([seed, 1])
    x, y = rng.standard_normal((count, *IMAGE)).astype(dtype), rng.integers(0, CLASSES, count)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


def kinds_met(count=200):
    """The classes of layers in so many random models."""
    return {type(layer) for seed in range(count) for _, layer in random_model(seed).layers()}


def kinds_offered():
    """Every class of layer that computes."""
    values = [getattr(room, name) for name in room.__all__]
    layers = {value for value in values if isinstance(value, type) and issubclass(value, room.Layer)}
    return {layer for layer in layers if layer is not room.Layer and not issubclass(layer, room.Container)}
