"""The residual networks for photographs, in torchvision's form: its published weights load."""

from __future__ import annotations

from collections.abc import Callable

from ..layers import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential
from .residual_blocks import EXPANSION, basic_block, bottleneck, stage


def resnet18(in_channels: int = 3, num_classes: int = 1000, *, seed: int = 0) -> Sequential:
    """ResNet-18 for images of 224 x 224, four stages of two basic blocks; 11,689,512 parameters.

    Keys and shapes are those of torchvision's ``resnet18``: ``conv1.weight``, ``layer2.0.downsample.0.weight`` ...
    `load_state_dict` takes its weights. Images are prepared by `prepare_imagenet`. Any size will do.

    Parameters
    ----------
    in_channels, num_classes : int
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015), table 1. https://arxiv.org/abs/1512.03385
    torchvision/models/resnet.py

    Examples
    --------
    >>> resnet18().output_shape((3, 224, 224))
    (1000,)
    """
    return _resnet(basic_block, (2, 2, 2, 2), in_channels, num_classes, seed)


def resnet34(in_channels: int = 3, num_classes: int = 1000, *, seed: int = 0) -> Sequential:
    """ResNet-34 for images of 224 x 224, four stages of 3, 4, 6 and 3 basic blocks; 21,797,672 parameters.

    Parameters
    ----------
    in_channels, num_classes, seed
        See `resnet18`, for keys and references too.

    Examples
    --------
    >>> resnet34(num_classes=10).output_shape((3, 64, 64))
    (10,)
    """
    return _resnet(basic_block, (3, 4, 6, 3), in_channels, num_classes, seed)


def resnet50(in_channels: int = 3, num_classes: int = 1000, *, seed: int = 0) -> Sequential:
    """ResNet-50 for images of 224 x 224, four stages of 3, 4, 6 and 3 bottlenecks; 25,557,032 parameters.

    Parameters
    ----------
    in_channels, num_classes, seed
        See `resnet18`, for keys and references too.

    Examples
    --------
    >>> resnet50(num_classes=10).output_shape((3, 64, 64))
    (10,)
    """
    return _resnet(bottleneck, (3, 4, 6, 3), in_channels, num_classes, seed)


def _resnet(
    block: Callable[..., Sequential], counts: tuple[int, int, int, int], in_channels: int, num_classes: int, seed: int
) -> Sequential:
    """A stem that quarters the image, four stages, each of half the size of the one before, and the scores."""
    width = EXPANSION if block is bottleneck else 1
    first, second, third, fourth = counts
    return Sequential(
        {
            "conv1": Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False, weight_init="he_normal"),
            "bn1": BatchNorm2d(64),
            "relu": ReLU(),
            "maxpool": MaxPool2d(3, stride=2, padding=1),  # (64, 56, 56)
            "layer1": stage(block, 64, 64, first, stride=1),  # (64 * width, 56, 56)
            "layer2": stage(block, 64 * width, 128, second, stride=2),  # (128 * width, 28, 28)
            "layer3": stage(block, 128 * width, 256, third, stride=2),  # (256 * width, 14, 14)
            "layer4": stage(block, 256 * width, 512, fourth, stride=2),  # (512 * width, 7, 7)
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "fc": Linear(512 * width, num_classes, weight_init="lecun_normal"),
        }
    ).initialize(seed)
