"""Layers in every form that is written to ONNX in its own way, with the shape of an example."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
    Layer,
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

IMAGE = (4, 7, 5)


class Case(NamedTuple):
    layer: Layer
    shape: tuple[int, ...] = IMAGE


LAYERS = [
    Case(Conv2d(4, 6, 3)),
    Case(Conv2d(4, 6, (3, 1), 2, (1, 0), 1, 2, False)),
    Case(Conv2d(4, 2, (2, 4), padding="same")),
    Case(Conv2d(4, 2, 4, 3, padding="same", dilation=(1, 2))),
    Case(Conv2d(4, 4, 3, padding=((0, 2), (1, 0)), groups=4)),
    Case(Conv2d(4, 4, 3, padding="valid", algorithm="loops")),
    Case(ConvTranspose2d(4, 6, 3, 2, 1, 1, 2)),
    Case(ConvTranspose2d(4, 6, (1, 2), bias=False, dilation=2, padding=((0, 0), (0, 1)))),
    Case(ConvTranspose2d(4, 2, (3, 2), stride=(1, 3), padding=((0, 2), (1, 0)), output_padding=(0, 2))),
    Case(Linear(5, 3), (5,)),
    Case(Linear(5, 3, bias=False), (5,)),
    Case(Linear(5, 3), IMAGE),
    Case(Linear(5, 3, bias=False), (2, 5)),
    Case(MaxPool2d(2)),
    Case(MaxPool2d(2, ceil_mode=True)),
    Case(MaxPool2d(3, 2, 1, ceil_mode=True)),
    Case(MaxPool2d(2, 1, 1, 2)),
    Case(MaxPool2d((3, 2), (3, 1), padding="same", dilation=(2, 1))),
    Case(MaxPool2d((2, 3), 3, ((0, 1), (1, 0)), ceil_mode=True)),
    Case(MaxPool2d(3, 2, dilation=2, ceil_mode=True)),
    Case(AvgPool2d(2)),
    Case(AvgPool2d((2, 1), padding=(1, 0))),
    Case(AvgPool2d(3, 2, 1, False, False)),
    Case(AvgPool2d(2, ceil_mode=True)),
    Case(AvgPool2d(2, ceil_mode=True, count_include_pad=False)),
    Case(AvgPool2d((3, 2), (2, 3), (1, 1), ceil_mode=True)),
    Case(AvgPool2d((3, 2), (2, 3), (1, 1), ceil_mode=True, count_include_pad=False)),
    Case(AvgPool2d(3, 2, padding="same")),
    Case(AvgPool2d((2, 3), 1, ((0, 1), (1, 0)))),
    Case(AdaptiveAvgPool2d(1)),
    Case(AdaptiveAvgPool2d((None, 1))),
    Case(AdaptiveAvgPool2d((2, None))),
    Case(AdaptiveAvgPool2d((9, 3))),
    Case(AdaptiveAvgPool2d((2, 3)), (4, 6, 6)),
    Case(AdaptiveMaxPool2d(1)),
    Case(AdaptiveMaxPool2d((None, 5))),
    Case(AdaptiveMaxPool2d((3, 2))),
    Case(AdaptiveMaxPool2d((9, 1))),
    Case(GlobalAvgPool2d()),
    Case(GlobalMaxPool2d()),
    Case(Flatten()),
    Case(Flatten(), (5,)),
    Case(Flatten(2)),
    Case(Flatten(1, -2)),
    Case(Identity()),
    Case(ReLU()),
    Case(ReLU6()),
    Case(LeakyReLU(0.2)),
    Case(LeakyReLU(2)),
    Case(PReLU()),
    Case(PReLU(4, init=0.5)),
    Case(PReLU(5), (5,)),
    Case(PReLU(5, init=-1), (5, 3)),
    Case(ELU(0.5)),
    Case(GELU()),
    Case(GELU("tanh")),
    Case(SiLU()),
    Case(Sigmoid()),
    Case(Tanh()),
    Case(Softplus()),
    Case(Softplus(2.0)),
    Case(Softplus(0.5, threshold=1)),
    Case(Softplus(threshold=-1)),
    Case(Softmax(), (7,)),
    Case(Softmax(1)),
    Case(LogSoftmax(-3)),
    Case(BatchNorm1d(7), (7,)),
    Case(BatchNorm1d(3, affine=False), (3, 5)),
    Case(BatchNorm1d(3, track_running_stats=False), (3, 5)),
    Case(BatchNorm2d(4, 1e-3)),
    Case(BatchNorm2d(4, momentum=None, track_running_stats=False)),
    Case(BatchNorm2d(4, affine=False, track_running_stats=False)),
    Case(LayerNorm(IMAGE)),
    Case(LayerNorm(7, bias=False), (7,)),
    Case(LayerNorm([7, 5], 1e-2, elementwise_affine=False)),
    Case(GroupNorm(2, 4)),
    Case(GroupNorm(1, 6), (6,)),
    Case(GroupNorm(4, 4, 1e-2, affine=False)),
    Case(Dropout(0.9)),
    Case(ZeroPad2d((1, 0, 2, 3))),
    Case(ReflectionPad2d(((1, 0), (2, 3)))),
    Case(ReplicationPad2d(((1, 0), (2, 3)))),
    Case(Upsample(scale_factor=(2, 3))),
]

CONTAINERS = [
    Case(Sequential()),
    Case(Sequential(Dropout(), Identity())),
    Case(Residual(Dropout())),
    Case(Residual(Sequential(Conv2d(4, 4, 3, padding=1), BatchNorm2d(4), ReLU()))),
    Case(Residual(Conv2d(4, 6, 1), Conv2d(4, 6, 1, bias=False), body_name="", shortcut_name="downsample")),
    Case(Concat(Conv2d(4, 2, 1), Identity(), Sequential(ReLU(), MaxPool2d(3, 1, 1)))),
    Case(Concat(Dropout())),
    Case(
        Sequential(
            {
                "input": PReLU(4),  # the key input.weight is no match for the input
                "": Residual(
                    Concat({"a": Conv2d(4, 3, 1), "b": Residual(Conv2d(4, 4, 3, padding=1))}), Conv2d(4, 7, 1)
                ),
                "output": Sequential(Flatten(), Linear(7 * 7 * 5, 3), Softmax()),
            }
        )
    ),
]


def filled(case: Case) -> Case:
    """The same, with parameters and statistics unlike those that layers begin with."""
    rng = np.random.default_rng(7)
    case.layer.initialize(3)
    for array in (case.layer.params | case.layer.buffers).values():
        if array.dtype.kind == "f":
            array += rng.uniform(0.1, 0.9, array.shape)
    return case


def name(case: Case) -> str:
    return f"{''.join(str(case.layer).split())}-{'x'.join(map(str, case.shape))}"
