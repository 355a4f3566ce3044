"""SqueezeNet: as few parameters as possible, in torchvision's form, so that its published weights load."""

from __future__ import annotations

from ..layers import (
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    MaxPool2d,
    ReLU,
    Sequential,
)

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Channels that each module squeezes to, and that each of its two convolutions expands them to."""


def squeezenet1_0(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """SqueezeNet 1.0 for images of 224 x 224, eight fire modules; 1,248,424 parameters.

    A fire module squeezes its input into few channels by 1x1 convolutions, and expands these by 1x1 and by 3x3
    convolutions side by side. There is no linear layer: 1x1 convolutions give a map of scores for each class, and what
    counts is its mean. Keys and shapes are those of torchvision's ``squeezenet1_0``: ``features.3.squeeze.weight`` ...
    `load_state_dict` takes its weights. Images are prepared by `prepare_imagenet`. Any size from 21 x 21 will do.

    Parameters
    ----------
    in_channels, num_classes : int
    dropout : float
        Probability to drop what goes into the last convolution, in training.
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet (2016), table 1. https://arxiv.org/abs/1602.07360
    torchvision/models/squeezenet.py

    Examples
    --------
    >>> squeezenet1_0().output_shape((3, 224, 224))
    (1000,)
    """
    return _squeezenet(
        Conv2d(in_channels, 96, 7, stride=2, weight_init="he_normal"), (3, 7), num_classes, dropout, seed
    )


def squeezenet1_1(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """SqueezeNet 1.1 for images of 224 x 224, which pools earlier and computes 2.4 times less; 1,235,496 parameters.

    Parameters
    ----------
    in_channels, num_classes, dropout, seed
        See `squeezenet1_0`; keys are those of torchvision's ``squeezenet1_1``. Any size from 17 x 17 will do.

    References
    ----------
    https://github.com/forresti/SqueezeNet/tree/master/SqueezeNet_v1.1

    Examples
    --------
    >>> squeezenet1_1().output_shape((3, 224, 224))
    (1000,)
    """
    return _squeezenet(
        Conv2d(in_channels, 64, 3, stride=2, weight_init="he_normal"), (2, 4), num_classes, dropout, seed
    )


def _squeezenet(first: Conv2d, pool_behind: tuple[int, int], num_classes: int, dropout: float, seed: int) -> Sequential:
    """A convolution, the fire modules, with pools behind two of them, and a map of scores for each class."""
    layers: list[Layer] = [first, ReLU(), _pool()]
    channels = first.out_channels
    for i, (squeezed, expanded) in enumerate(FIRES, 1):
        layers.append(_fire(channels, squeezed, expanded))
        layers += [_pool()] if i in pool_behind else []
        channels = 2 * expanded
    scores = Conv2d(channels, num_classes, 1, weight_init="he_normal")
    return Sequential(
        {
            "features": Sequential(*layers),
            "classifier": Sequential(Dropout(dropout), scores, ReLU(), GlobalAvgPool2d()),
            "flatten": Flatten(),
        }
    ).initialize(seed)


def _pool() -> MaxPool2d:
    return MaxPool2d(3, stride=2, ceil_mode=True)


def _fire(channels: int, squeezed: int, expanded: int) -> Sequential:
    """(channels, H, W) -> (2 * expanded, H, W); one ReLU behind both convolutions is one behind each."""
    both = Concat(
        {
            "expand1x1": Conv2d(squeezed, expanded, 1, weight_init="he_normal"),
            "expand3x3": Conv2d(squeezed, expanded, 3, padding=1, weight_init="he_normal"),
        }
    )
    squeeze = Conv2d(channels, squeezed, 1, weight_init="he_normal")
    return Sequential({"squeeze": squeeze, "squeeze_activation": ReLU(), "": both, "expand_activation": ReLU()})
