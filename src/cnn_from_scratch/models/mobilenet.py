"""MobileNetV2: few multiplications, in torchvision's form, so that its published weights load."""

from __future__ import annotations

from ..layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    ReLU6,
    Residual,
    Sequential,
)

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""The paper's table 2: how many times wider inside, channels, blocks, stride of the first of them."""


def mobilenet_v2(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.2, seed: int = 0) -> Sequential:
    """MobileNetV2 for images of 224 x 224, seventeen inverted residual blocks; 3,504,872 parameters.

    A block widens its input six times, reads each of the many maps alone (a depthwise convolution), and narrows them
    again without a rectifier, which would destroy what is left in few channels. Keys and shapes are those of
    torchvision's ``mobilenet_v2``: ``features.0.0.weight``, ``features.2.conv.1.0.weight`` ... `load_state_dict` takes
    its weights. Images are prepared by `prepare_imagenet`. Any size will do.

    Parameters
    ----------
    in_channels, num_classes : int
    dropout : float
        Probability to drop what goes into the linear layer, in training.
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018).
    https://arxiv.org/abs/1801.04381
    torchvision/models/mobilenetv2.py

    Examples
    --------
    >>> mobilenet_v2().output_shape((3, 224, 224))
    (1000,)
    """
    blocks: list[Layer] = [_conv_norm(in_channels, 32, 3, stride=2)]  # (32, 112, 112)
    channels = 32
    for factor, filters, count, stride in STAGES:
        for i in range(count):
            blocks.append(_block(channels, filters, stride if i == 0 else 1, factor))
            channels = filters
    blocks.append(_conv_norm(channels, 1280, 1))  # (1280, 7, 7)
    return Sequential(
        {
            "features": Sequential(*blocks),
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "classifier": Sequential(Dropout(dropout), Linear(1280, num_classes, weight_init="lecun_normal")),
        }
    ).initialize(seed)


def _block(channels: int, filters: int, stride: int, factor: int) -> Layer:
    """Widen, read, narrow; with a shortcut where the shape stays."""
    wide = channels * factor
    layers: list[Layer] = [] if factor == 1 else [_conv_norm(channels, wide, 1)]
    layers += [
        _conv_norm(wide, wide, 3, stride=stride, groups=wide),
        Conv2d(wide, filters, 1, bias=False, weight_init="lecun_normal"),
        BatchNorm2d(filters),
    ]
    body = Sequential(*layers)
    return Residual(body, body_name="conv") if stride == 1 and channels == filters else Sequential({"conv": body})


def _conv_norm(channels: int, filters: int, kernel: int, *, stride: int = 1, groups: int = 1) -> Sequential:
    """Convolution, batch norm, ReLU6."""
    padding = (kernel - 1) // 2
    conv = Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=False, weight_init="he_normal")
    return Sequential(conv, BatchNorm2d(filters), ReLU6())
