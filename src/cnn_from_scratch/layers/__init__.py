"""Layers: parameters and configuration around the pure operations, and containers to build networks from them."""

from .activations import ELU, LeakyReLU, PReLU, ReLU, ReLU6
from .adaptive import AdaptiveAvgPool2d, AdaptiveMaxPool2d, GlobalAvgPool2d, GlobalMaxPool2d
from .base import Layer
from .batch_norm import BatchNorm1d, BatchNorm2d
from .branches import Concat, Residual
from .containers import Container, Sequential
from .context import Context
from .conv_transpose import ConvTranspose2d
from .convolution import Conv2d
from .dropout import Dropout
from .graph import Graph, GraphNode, ValueInfo
from .linear import Linear
from .normalization import GroupNorm, LayerNorm
from .operation import Operation
from .padding import ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from .plan import Plan
from .pooling import AvgPool2d, MaxPool2d
from .shape import Flatten, Identity
from .smooth import GELU, Sigmoid, SiLU, Softplus, Tanh
from .softmax import LogSoftmax, Softmax
from .summary import Summary, summarize
from .upsample import Upsample

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Context",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "GraphNode",
    "GroupNorm",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Operation",
    "PReLU",
    "Plan",
    "ReLU",
    "ReLU6",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Summary",
    "Tanh",
    "Upsample",
    "ValueInfo",
    "ZeroPad2d",
    "summarize",
]
