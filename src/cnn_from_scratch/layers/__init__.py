"""Layers: parameters and configuration around the pure operations, and containers to build networks from them."""

from .activations import ELU, GELU, LeakyReLU, PReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .base import Layer
from .containers import Concat, Container, Residual, Sequential
from .context import Context
from .convolution import Conv2d
from .linear import Linear
from .pooling import MaxPool2d
from .shape import Flatten, Identity

__all__ = [
    "ELU",
    "GELU",
    "Concat",
    "Container",
    "Context",
    "Conv2d",
    "Flatten",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "PReLU",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
]
