"""Layers: parameters and configuration around the pure operations, and containers to build networks from them."""

from .base import Layer
from .containers import Concat, Container, Residual, Sequential
from .context import Context
from .convolution import Conv2d
from .pooling import MaxPool2d
from .shape import Flatten, Identity

__all__ = [
    "Concat",
    "Container",
    "Context",
    "Conv2d",
    "Flatten",
    "Identity",
    "Layer",
    "MaxPool2d",
    "Residual",
    "Sequential",
]
