"""The networks of VGG for photographs, in torchvision's form: its published weights load."""

from __future__ import annotations

from ..layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

POOL = 0
"""In a list of filters: a 2x2 max pool."""

A = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
D = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL)
"""The columns of the paper's table 1."""


def vgg11(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """VGG-11 for images of 224 x 224, eight 3x3 convolutions and three linear layers; 132,863,336 parameters.

    Keys and shapes are those of torchvision's ``vgg11``: ``features.0.weight``, ``classifier.6.bias`` ...
    `load_state_dict` takes its weights. Images are prepared by `prepare_imagenet`. Any size from 32 x 32 will do.

    Parameters
    ----------
    in_channels, num_classes : int
    dropout : float
        Probability to drop what goes into the second and the third linear layer, in training.
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition (2014), table 1, column A.
    https://arxiv.org/abs/1409.1556
    torchvision/models/vgg.py
    """
    return _vgg(A, in_channels, num_classes, dropout, seed, norm=False)


def vgg11_bn(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """VGG-11 with batch norm behind every convolution, for images of 224 x 224; 132,868,840 parameters.

    Parameters
    ----------
    in_channels, num_classes, dropout, seed
        See `vgg11`; keys are those of torchvision's ``vgg11_bn``.
    """
    return _vgg(A, in_channels, num_classes, dropout, seed, norm=True)


def vgg16(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """VGG-16 for images of 224 x 224, thirteen 3x3 convolutions and three linear layers; 138,357,544 parameters.

    Parameters
    ----------
    in_channels, num_classes, dropout, seed
        See `vgg11`; keys are those of torchvision's ``vgg16``, the layers those of the paper's column D.
    """
    return _vgg(D, in_channels, num_classes, dropout, seed, norm=False)


def vgg16_bn(in_channels: int = 3, num_classes: int = 1000, *, dropout: float = 0.5, seed: int = 0) -> Sequential:
    """VGG-16 with batch norm behind every convolution, for images of 224 x 224; 138,365,992 parameters.

    Parameters
    ----------
    in_channels, num_classes, dropout, seed
        See `vgg11`; keys are those of torchvision's ``vgg16_bn``, the layers those of the paper's column D.
    """
    return _vgg(D, in_channels, num_classes, dropout, seed, norm=True)


def _vgg(
    filters: tuple[int, ...], in_channels: int, num_classes: int, dropout: float, seed: int, *, norm: bool
) -> Sequential:
    classifier = Sequential(
        Linear(512 * 7 * 7, 4096, weight_init="he_normal"),
        ReLU(),
        Dropout(dropout),
        Linear(4096, 4096, weight_init="he_normal"),
        ReLU(),
        Dropout(dropout),
        Linear(4096, num_classes, weight_init="lecun_normal"),
    )
    return Sequential(
        {
            "features": _features(filters, in_channels, norm),  # (512, 7, 7)
            "avgpool": AdaptiveAvgPool2d((7, 7)),
            "flatten": Flatten(),
            "classifier": classifier,
        }
    ).initialize(seed)


def _features(filters: tuple[int, ...], channels: int, norm: bool) -> Sequential:
    """Convolutions, each with its ReLU (and batch norm before it), and pools."""
    layers: list[Layer] = []
    for count in filters:
        if count == POOL:
            layers.append(MaxPool2d(2))
            continue
        layers.append(Conv2d(channels, count, 3, padding=1, weight_init="he_normal"))
        layers += [BatchNorm2d(count), ReLU()] if norm else [ReLU()]
        channels = count
    return Sequential(*layers)
