"""The residual network of 20 layers for images of 32 x 32."""

from __future__ import annotations

from ..layers import BatchNorm2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from .residual_blocks import basic_block, conv3x3, stage


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
            "conv1": conv3x3(in_channels, 16),
            "bn1": BatchNorm2d(16),
            "relu": ReLU(),
            "layer1": stage(basic_block, 16, 16, count=3, stride=1),  # (16, 32, 32)
            "layer2": stage(basic_block, 16, 32, count=3, stride=2),  # (32, 16, 16)
            "layer3": stage(basic_block, 32, 64, count=3, stride=2),  # (64, 8, 8)
            "avgpool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "fc": Linear(64, num_classes, weight_init="lecun_normal"),
        }
    ).initialize(seed)
