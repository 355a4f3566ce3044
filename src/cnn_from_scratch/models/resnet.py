"""The residual network of 20 layers for images of 32 x 32."""

from __future__ import annotations

from ..layers import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Residual, Sequential


def resnet20(in_channels: int = 3, num_classes: int = 10, *, seed: int = 0) -> Sequential:
    """ResNet-20: a 3x3 convolution, three stages of three residual blocks with 16, 32 and 64 filters, a linear layer.

    272,474 parameters. Where a block changes the shape, its shortcut is a 1x1 convolution (the paper's option B, named
    `downsample` as in torchvision); with the zeros of option A there would be 269,722. Keys are torchvision's:
    ``conv1.weight``, ``layer1.0.bn1.bias``, ``layer2.0.downsample.0.weight`` ...

    Parameters
    ----------
    in_channels, num_classes : int
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015), section 4.2.
    https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> resnet20().output_shape((3, 32, 32))
    (10,)
    """
    return Sequential(
        {
            "conv1": _conv3x3(in_channels, 16),
            "bn1": BatchNorm2d(16),
            "relu": ReLU(),
            "layer1": _stage(16, 16, stride=1),  # (16, 32, 32)
            "layer2": _stage(16, 32, stride=2),  # (32, 16, 16)
            "layer3": _stage(32, 64, stride=2),  # (64, 8, 8)
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "fc": Linear(64, num_classes, weight_init="lecun_normal"),
        }
    ).initialize(seed)


def _stage(channels: int, filters: int, *, stride: int) -> Sequential:
    """Three blocks; the first one brings the channels and the size to what the others have."""
    return Sequential(_block(channels, filters, stride), _block(filters, filters, 1), _block(filters, filters, 1))


def _block(channels: int, filters: int, stride: int) -> Sequential:
    """relu(body(x) + shortcut(x)); body and sum have no name of their own, so that keys stay torchvision's."""
    body = Sequential(
        {
            "conv1": _conv3x3(channels, filters, stride),
            "bn1": BatchNorm2d(filters),
            "relu": ReLU(),
            "conv2": _conv3x3(filters, filters),
            "bn2": BatchNorm2d(filters),
        }
    )
    downsample = None
    if stride != 1 or channels != filters:
        narrow = Conv2d(channels, filters, 1, stride=stride, bias=False, weight_init="he_normal")
        downsample = Sequential(narrow, BatchNorm2d(filters))
    return Sequential(
        {"": Residual(body, downsample, body_name="", shortcut_name="downsample"), "relu2": ReLU()},
    )


def _conv3x3(channels: int, filters: int, stride: int = 1) -> Conv2d:
    return Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False, weight_init="he_normal")
