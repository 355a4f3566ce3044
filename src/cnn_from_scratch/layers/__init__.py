"""Layers: parameters and configuration around the pure operations, and containers to build networks from them."""

from .activations import ELU, LeakyReLU, PReLU, ReLU
from .base import Layer
from .batch_norm import BatchNorm1d, BatchNorm2d
from .containers import Concat, Container, Residual, Sequential
from .context import Context
from .convolution import Conv2d
from .dropout import Dropout
from .linear import Linear
from .normalization import GroupNorm, LayerNorm
from .pooling import MaxPool2d
from .shape import Flatten, Identity
from .smooth import GELU, Sigmoid, SiLU, Softplus, Tanh
from .softmax import LogSoftmax, Softmax

__all__ = [
    "ELU",
    "GELU",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Context",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GroupNorm",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "PReLU",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
