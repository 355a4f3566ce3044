"""The two blocks that residual networks are made of. Keys are torchvision's: body and sum have no name of their own."""

from __future__ import annotations

from collections.abc import Callable

from ..layers import BatchNorm2d, Conv2d, ReLU, Residual, Sequential


def basic_block(channels: int, filters: int, stride: int = 1) -> Sequential:
    """relu(body(x) + shortcut(x)) with two 3x3 convolutions: (channels, H, W) -> (filters, H/stride, W/stride).

    Where the shape changes, the shortcut is a 1x1 convolution with batch norm, the paper's option B.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015), figure 5 left.
    https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> basic_block(16, 32, 2).output_shape((16, 8, 8))
    (32, 4, 4)
    """
    body = Sequential(
        {
            "conv1": conv3x3(channels, filters, stride),
            "bn1": BatchNorm2d(filters),
            "relu": ReLU(),
            "conv2": conv3x3(filters, filters),
            "bn2": BatchNorm2d(filters),
        }
    )
    around = _shortcut(channels, filters, stride)
    return Sequential({"": Residual(body, around, body_name="", shortcut_name="downsample"), "relu2": ReLU()})


def bottleneck(channels: int, filters: int, stride: int = 1) -> Sequential:
    """relu(body(x) + shortcut(x)) that narrows to `filters`, reads 3x3, and widens: (channels, ...) -> (4*filters, ...)

    The stride is that of the 3x3 convolution; in the paper the first 1x1 convolution has it, and reads only a quarter
    of the image.

    References
    ----------
    He, Zhang, Ren, Sun (2015), figure 5 right.
    Goyal et al.: Accurate, Large Minibatch SGD (2017), section 5.1. https://arxiv.org/abs/1706.02677

    Examples
    --------
    >>> bottleneck(64, 64).output_shape((64, 8, 8))
    (256, 8, 8)
    """
    wide = EXPANSION * filters
    body = Sequential(
        {
            "conv1": _conv1x1(channels, filters),
            "bn1": BatchNorm2d(filters),
            "relu": ReLU(),
            "conv2": conv3x3(filters, filters, stride),
            "bn2": BatchNorm2d(filters),
            "relu2": ReLU(),
            "conv3": _conv1x1(filters, wide),
            "bn3": BatchNorm2d(wide),
        }
    )
    around = _shortcut(channels, wide, stride)
    return Sequential({"": Residual(body, around, body_name="", shortcut_name="downsample"), "relu3": ReLU()})


EXPANSION = 4
"""How many times as wide as its middle a bottleneck ends."""


def stage(block: Callable[..., Sequential], channels: int, filters: int, count: int, stride: int) -> Sequential:
    """Blocks in a row; the first one brings the channels and the size to what the others have."""
    wide = filters * (EXPANSION if block is bottleneck else 1)
    return Sequential(block(channels, filters, stride), *(block(wide, filters) for _ in range(count - 1)))


def conv3x3(channels: int, filters: int, stride: int = 1) -> Conv2d:
    """Without bias, which batch norm would take away again."""
    return Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False, weight_init="he_normal")


def _conv1x1(channels: int, filters: int, stride: int = 1) -> Conv2d:
    return Conv2d(channels, filters, 1, stride=stride, bias=False, weight_init="he_normal")


def _shortcut(channels: int, filters: int, stride: int) -> Sequential | None:
    """Nothing, where the shape stays."""
    if stride == 1 and channels == filters:
        return None
    return Sequential(_conv1x1(channels, filters, stride), BatchNorm2d(filters))
