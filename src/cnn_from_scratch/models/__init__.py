"""Known networks. Each is only a composition of layers; look inside."""

from collections.abc import Callable

from ..layers import Sequential
from .lenet import lenet5
from .mnist import digits_cnn, mnist_cnn
from .resnet import resnet20
from .vgg import vgg_small

MODELS: dict[str, Callable[..., Sequential]] = {
    "digits_cnn": digits_cnn,
    "lenet5": lenet5,
    "mnist_cnn": mnist_cnn,
    "resnet20": resnet20,
    "vgg_small": vgg_small,
}
"""Every network by its name. All take `in_channels`, `num_classes` and `seed`."""

__all__ = ["MODELS", "digits_cnn", "lenet5", "mnist_cnn", "resnet20", "vgg_small"]
