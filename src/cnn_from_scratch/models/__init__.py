"""Known networks. Each is only a composition of layers; look inside."""

from collections.abc import Callable

from ..layers import Sequential
from .lenet import lenet5
from .mnist import digits_cnn, mnist_cnn
from .mobilenet import mobilenet_v2
from .resnet import resnet20
from .resnet_imagenet import resnet18, resnet34, resnet50
from .squeezenet import squeezenet1_0, squeezenet1_1
from .vgg import vgg_small
from .vgg_imagenet import vgg11, vgg11_bn, vgg16, vgg16_bn

IMAGENET_MODELS: dict[str, Callable[..., Sequential]] = {
    "mobilenet_v2": mobilenet_v2,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "squeezenet1_0": squeezenet1_0,
    "squeezenet1_1": squeezenet1_1,
    "vgg11": vgg11,
    "vgg11_bn": vgg11_bn,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
}
"""Those for photographs of 224 x 224 and 1,000 classes, with the names and keys of torchvision."""

IMAGENET_PARAMETERS: dict[str, int] = {
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
}
"""How many parameters each of them has, as published."""

MODELS: dict[str, Callable[..., Sequential]] = {
    "digits_cnn": digits_cnn,
    "lenet5": lenet5,
    "mnist_cnn": mnist_cnn,
    "resnet20": resnet20,
    "vgg_small": vgg_small,
    **IMAGENET_MODELS,
}
"""Every network by its name. All take `in_channels`, `num_classes` and `seed`."""

__all__ = [
    "IMAGENET_MODELS",
    "IMAGENET_PARAMETERS",
    "MODELS",
    "digits_cnn",
    "lenet5",
    "mnist_cnn",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg16",
    "vgg16_bn",
    "vgg_small",
]
