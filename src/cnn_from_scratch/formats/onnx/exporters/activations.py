"""Activations. What ONNX learned late, or never, is written as the formula that it is."""

from __future__ import annotations

import math

import numpy as np

from ....layers import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from ....layers.base import Layer, Shape
from ..export_graph import Place
from .table import exports

SAME_NAME: dict[type[Layer], str] = {ReLU: "Relu", Sigmoid: "Sigmoid", Tanh: "Tanh"}
"""Layers without options that ONNX has, too."""


@exports(*SAME_NAME, since=6)
def plain(place: Place, layer: Layer, x: str, shape: Shape) -> str:
    """The operator of the same name."""
    return place.node(SAME_NAME[type(layer)], x)


@exports(ReLU6)
def relu6(place: Place, layer: ReLU6, x: str, shape: Shape) -> str:
    """Clip to 0 .. 6."""
    return place.node("Clip", x, place.constant(0), place.constant(6))


@exports(LeakyReLU, since=6)
def leaky_relu(place: Place, layer: LeakyReLU, x: str, shape: Shape) -> str:
    """LeakyRelu."""
    return place.node("LeakyRelu", x, alpha=float(layer.negative_slope))


@exports(ELU, since=6)
def elu(place: Place, layer: ELU, x: str, shape: Shape) -> str:
    """Elu."""
    return place.node("Elu", x, alpha=float(layer.alpha))


@exports(PReLU, since=7)
def prelu(place: Place, layer: PReLU, x: str, shape: Shape) -> str:
    """PRelu, whose slopes are broadcast from the last axis: those of channels are brought to (C, 1, 1)."""
    (slope,) = place.arrays("weight")
    if layer.num_parameters > 1 and len(shape) > 1:
        slope = place.node("Reshape", slope, place.integers(-1, *(1 for _ in shape[1:])))
    return place.node("PRelu", x, slope)


@exports(SiLU)
def silu(place: Place, layer: SiLU, x: str, shape: Shape) -> str:
    """x * Sigmoid(x)"""
    return place.node("Mul", x, place.node("Sigmoid", x))


@exports(GELU)
def gelu(place: Place, layer: GELU, x: str, shape: Shape) -> str:
    """Gelu, which opset 20 brought; before, x * (1 + erf(x / sqrt(2))) / 2, or the tangent that approximates it."""
    if place.graph.opset >= 20:
        return place.node("Gelu", x, approximate=layer.approximate)
    bend = _tangent(place, x) if layer.approximate == "tanh" else _error_function(place, x)
    half = place.node("Mul", x, place.constant(0.5))
    return place.node("Mul", half, place.node("Add", bend, place.constant(1)))


def _error_function(place: Place, x: str) -> str:
    """erf(x / sqrt(2))"""
    return place.node("Erf", place.node("Mul", x, place.constant(math.sqrt(0.5))))


def _tangent(place: Place, x: str) -> str:
    """tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))"""
    cube = place.node("Mul", x, place.node("Mul", x, x))
    inner = place.node("Add", x, place.node("Mul", cube, place.constant(0.044715)))
    return place.node("Tanh", place.node("Mul", inner, place.constant(math.sqrt(2 / math.pi))))


@exports(Softplus)
def softplus(place: Place, layer: Softplus, x: str, shape: Shape) -> str:
    """Softplus(beta * x) / beta, and x itself above the threshold where the difference could be seen."""
    steep = x if layer.beta == 1 else place.node("Mul", x, place.constant(layer.beta))
    y = place.node("Softplus", steep)
    y = y if layer.beta == 1 else place.node("Div", y, place.constant(layer.beta))
    if math.exp(-layer.threshold) < np.finfo(place.graph.dtype).eps * layer.threshold:
        return y
    above = place.node("Greater", steep, place.constant(layer.threshold))
    return place.node("Where", above, x, y)


@exports(Softmax, LogSoftmax)
def softmax(place: Place, layer: Softmax, x: str, shape: Shape) -> str:
    """Softmax or LogSoftmax along one axis, which it means since opset 13."""
    return place.node(type(layer).__name__, x, axis=layer.dim)
