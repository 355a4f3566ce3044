"""Rectifiers, straight above zero: Relu, LeakyRelu, PRelu, Elu, Selu, Celu, ThresholdedRelu."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....ops import (
    PreluCache,
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu_backward,
    relu_forward,
)
from ....ops.dtypes import float_op
from ....ops.memory import empty_like
from ....typing import Array
from ..attributes import number
from ..registry import Node, operator
from .broadcasting import sum_to
from .pure import OneInput, PureOperation, require_one_dtype


def rectify(x: Array) -> tuple[Array, Any]:
    """max(x, 0), of integers too."""
    if x.dtype.kind == "f":
        return relu_forward(x)
    return np.maximum(x, x.dtype.type(0)), None


@operator("Relu")
def relu(node: Node) -> OneInput:
    """y = max(x, 0); integers since version 14."""
    return OneInput(node, rectify, relu_backward)


@operator("LeakyRelu")
def leaky_relu(node: Node) -> OneInput:
    """y = x where x > 0, else alpha * x."""
    forward = partial(leaky_relu_forward, negative_slope=number(node, "alpha", 0.01))
    return OneInput(node, forward, leaky_relu_backward)


@operator("Elu")
def elu(node: Node) -> OneInput:
    """y = x where x > 0, else alpha * (exp(x) - 1)."""
    return OneInput(node, partial(elu_forward, alpha=number(node, "alpha", 1.0)), elu_backward)


# --- Selu and Celu: scaled exponential units -------------------------------------------------------------------------


class ExponentialCache(NamedTuple):
    """What `exponential_unit_backward` needs."""

    x: Array  # borrowed, never written
    gamma: float
    alpha: float
    width: float


@float_op("x")
def exponential_unit_forward(x: Array, *, gamma: float, alpha: float, width: float) -> tuple[Array, ExponentialCache]:
    """y = gamma * (max(x, 0) + alpha * (exp(min(x, 0) / width) - 1))"""
    y = np.minimum(x, 0, out=empty_like(x))
    y /= width
    np.expm1(y, out=y)
    y *= alpha
    y += np.maximum(x, 0, out=empty_like(x))
    y *= gamma
    return y, ExponentialCache(x, gamma, alpha, width)


@float_op("dy")
def exponential_unit_backward(dy: Array, cache: ExponentialCache) -> Array:
    """dx = dy * gamma where x > 0, else dy * gamma * alpha / width * exp(x / width)"""
    x, gamma, alpha, width = cache
    slope = np.minimum(x, 0, out=empty_like(x))
    slope /= width
    np.exp(slope, out=slope)
    slope *= alpha / width
    np.copyto(slope, 1, where=x > 0)
    slope *= gamma
    slope *= dy
    return slope


@operator("Selu")
def selu(node: Node) -> OneInput:
    """y = gamma * elu(x, alpha); before version 6 the default constants had fewer digits."""
    alpha, gamma = (1.6732, 1.0507) if node.opset < 6 else (1.67326319217681884765625, 1.05070102214813232421875)
    alpha, gamma = number(node, "alpha", alpha), number(node, "gamma", gamma)
    forward = partial(exponential_unit_forward, gamma=gamma, alpha=alpha, width=1.0)
    return OneInput(node, forward, exponential_unit_backward)


@operator("Celu")
def celu(node: Node) -> OneInput:
    """y = max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0), whose slope is 1 on both sides of zero."""
    alpha = number(node, "alpha", 1.0)
    forward = partial(exponential_unit_forward, gamma=1.0, alpha=alpha, width=alpha)
    return OneInput(node, forward, exponential_unit_backward)


# --- ThresholdedRelu -------------------------------------------------------------------------------------------------


def _thresholded_forward(x: Array, *, alpha: float) -> tuple[Array, Array]:
    passed = x > alpha
    return np.where(passed, x, x.dtype.type(0)), passed


def _thresholded_backward(dy: Array, passed: Array) -> Array:
    return np.where(passed, dy, dy.dtype.type(0))


@operator("ThresholdedRelu")
def thresholded_relu(node: Node) -> OneInput:
    """y = x where x > alpha, else 0."""
    forward = partial(_thresholded_forward, alpha=number(node, "alpha", 1.0))
    return OneInput(node, forward, _thresholded_backward)


# --- PRelu -----------------------------------------------------------------------------------------------------------


class SlopeCache(NamedTuple):
    """What the gradient of PRelu needs."""

    x: Array  # borrowed, never written
    slope: Array  # borrowed, never written
    by_channel: PreluCache | None  # where `prelu_forward` could do it


@operator("PRelu")
class PRelu(PureOperation):
    """y = x where x >= 0, else slope * x; before version 7 a slope belongs to a channel, later it is broadcast over x.

    One slope, or one for each channel, is `prelu_forward`; its gradient at the kink x = 0 is that of the side below.
    """

    arity = (2, 2)

    def compute(self, x: Array, slope: Array) -> tuple[Array, SlopeCache]:
        """By `prelu_forward` where it can, else by broadcasting."""
        require_one_dtype(self, [x, slope])
        row = self._by_channel(x, slope)
        if row is not None and x.dtype.kind == "f":
            y, cache = prelu_forward(x, row)
            return y, SlopeCache(x, slope, cache)
        if np.broadcast_shapes(x.shape, slope.shape) != x.shape:
            raise ShapeError(f"PRelu: slope {slope.shape} cannot be broadcast over x {x.shape}")
        return np.where(x < 0, x * slope, x), SlopeCache(x, slope, None)

    def _by_channel(self, x: Array, slope: Array) -> Array | None:
        """The slopes as (1,) or (C,); None where they are neither."""
        if slope.size == 1:
            return slope.reshape(1)
        C = x.shape[1] if x.ndim > 1 else 0
        channels = (C,) if self.opset < 7 and slope.ndim == 1 else (C, *(1,) * (x.ndim - 2))
        return slope.reshape(C) if slope.shape in (channels, (1, *channels)) and slope.size == C else None

    def gradients(self, dy: Array, cache: SlopeCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dx = dy or slope * dy; dslope sums dy * min(x, 0) over all numbers that share a slope."""
        x, slope, by_channel = cache
        if by_channel is not None:
            dx, dslope = prelu_backward(dy, by_channel)
            return dx, dslope.reshape(slope.shape)
        return np.where(x < 0, dy * slope, dy), sum_to(dy * np.minimum(x, 0), slope.shape)
