"""LeNet-5: the network that read the digits on cheques."""

from __future__ import annotations

from ..layers import AvgPool2d, Conv2d, Flatten, Linear, Sequential, Tanh
from ..layers.initializers import Initializer


def lenet5(in_channels: int = 1, num_classes: int = 10, *, seed: int = 0) -> Sequential:
    """LeNet-5 for images of 28 x 28, padded to the 32 x 32 of the paper; 61,706 parameters.

    As commonly drawn today: the subsampling layers are plain averages, every map of the second convolution sees all
    maps of the first, and the last layer gives scores instead of distances to pictures of the digits.

    Parameters
    ----------
    in_channels, num_classes : int
    seed : int
        Where the parameters come from.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998), section II.B.

    Examples
    --------
    >>> lenet5().output_shape((1, 28, 28))
    (10,)
    """
    init: Initializer = "lecun_normal"
    return Sequential(
        {
            "conv1": Conv2d(in_channels, 6, 5, padding=2, weight_init=init),  # (6, 28, 28)
            "tanh1": Tanh(),
            "pool1": AvgPool2d(2),  # (6, 14, 14)
            "conv2": Conv2d(6, 16, 5, weight_init=init),  # (16, 10, 10)
            "tanh2": Tanh(),
            "pool2": AvgPool2d(2),  # (16, 5, 5)
            "flatten": Flatten(),  # (400,)
            "fc1": Linear(400, 120, weight_init=init),
            "tanh3": Tanh(),
            "fc2": Linear(120, 84, weight_init=init),
            "tanh4": Tanh(),
            "fc3": Linear(84, num_classes, weight_init=init),
        }
    ).initialize(seed)
