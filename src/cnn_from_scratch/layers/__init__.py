"""Layers: parameters and configuration around the pure operations, and containers to build networks from them."""

from .base import Layer
from .containers import Concat, Container, Residual, Sequential
from .context import Context
from .convolution import Conv2d

__all__ = ["Concat", "Container", "Context", "Conv2d", "Layer", "Residual", "Sequential"]
