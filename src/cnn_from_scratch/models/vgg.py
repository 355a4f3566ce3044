"""A network in the manner of VGG: 3x3 convolutions, nothing else, and a pool where the image has been read enough."""

from __future__ import annotations

from ..layers import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, MaxPool2d, ReLU, Sequential


def vgg_small(in_channels: int = 3, num_classes: int = 10, *, seed: int = 0) -> Sequential:
    """Five 3x3 convolutions with batch norm, of 64, 64, 128, 128 and 256 filters, for images of 32 x 32.

    Pools follow the second and the fourth; the mean over each of the 256 maps goes into the linear layer. No
    convolution has a bias: batch norm would take it away again. 558,538 parameters. Any size from 4 x 4 will do.

    Parameters
    ----------
    in_channels, num_classes : int
    seed : int
        Where the parameters come from: He's normal numbers before a ReLU, variance 1 / fan_in before the scores.

    References
    ----------
    Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition (2014).
    https://arxiv.org/abs/1409.1556

    Examples
    --------
    >>> vgg_small().output_shape((3, 32, 32))
    (10,)
    """
    layers: dict[str, Layer] = {}
    channels = in_channels
    for i, filters in enumerate((64, 64, 128, 128, 256), 1):
        layers[f"conv{i}"] = Conv2d(channels, filters, 3, padding=1, bias=False, weight_init="he_normal")
        layers[f"bn{i}"] = BatchNorm2d(filters)
        layers[f"relu{i}"] = ReLU()
        if i in (2, 4):
            layers[f"pool{i // 2}"] = MaxPool2d(2)
        channels = filters
    layers["avgpool"] = GlobalAvgPool2d()  # (256, 1, 1)
    layers["flatten"] = Flatten()
    layers["fc"] = Linear(256, num_classes, weight_init="lecun_normal")
    return Sequential(layers).initialize(seed)
