"""Activations as layers: each number becomes another one, whatever its neighbours are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..errors import ShapeError
from ..ops import (
    EluCache,
    GeluCache,
    LeakyReluCache,
    PreluCache,
    SoftplusCache,
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from ..ops.gelu import Approximate
from ..typing import Array
from .base import Grads, Layer, Shape, require_counts
from .context import Context


class Activation(Layer):
    """Base of the layers that wrap a pair of operations on single numbers and learn nothing.

    A subclass names the pair in `op`, and overrides `forward` where the operation has options.
    """

    op: ClassVar[tuple[Callable[..., tuple[Array, Any]], Callable[[Array, Any], Array]]]
    """(NAME_forward, NAME_backward)"""

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """The first of `op`."""
        forward, _ = self.op
        return forward(x)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The second of `op`."""
        _, backward = self.op
        return (backward(dy, cache) if need_dx else None), {}


# --- straight above zero --------------------------------------------------------------------------------------------


class ReLU(Activation):
    """y = max(x, 0)

    Examples
    --------
    >>> ReLU().predict(np.array([[-1.0, 2.0]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    op = (relu_forward, relu_backward)


class LeakyReLU(Activation):
    """y = x where x > 0, else negative_slope * x

    Parameters
    ----------
    negative_slope : float

    Examples
    --------
    >>> LeakyReLU(0.5).predict(np.array([[-1.0, 2.0]], np.float32))
    array([[-0.5,  2. ]], dtype=float32)
    """

    op = (leaky_relu_forward, leaky_relu_backward)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Array, ctx: Context) -> tuple[Array, LeakyReluCache]:
        """See `cnn_from_scratch.ops.leaky_relu_forward`."""
        return leaky_relu_forward(x, negative_slope=self.negative_slope)


class PReLU(Layer):
    """y[n, c] = x[n, c] where x > 0, else weight[c] * x[n, c]: a leaky ReLU that learns its slope

    Parameters
    ----------
    num_parameters : int
        1 for one slope, C for a slope of each channel.
    init : float
        The slope to start from.

    Examples
    --------
    >>> PReLU(2, init=0.5).params
    {'weight': array([0.5, 0.5], dtype=float32)}
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        require_counts(self, "num_parameters")
        self.params = {"weight": np.full(num_parameters, init, np.float32)}

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Every slope is `init` again."""
        self.params["weight"].fill(self.init)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, PreluCache]:
        """See `cnn_from_scratch.ops.prelu_forward`."""
        return prelu_forward(x, self.params["weight"])

    def backward(self, dy: Array, cache: PreluCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.prelu_backward`."""
        dx, dweight = prelu_backward(dy, cache)
        return dx, {"weight": dweight}

    def output_shape(self, input_shape: Shape) -> Shape:
        """The same; with several slopes, one for each channel."""
        if self.num_parameters > 1 and input_shape[:1] != (self.num_parameters,):
            raise ShapeError(f"PReLU: expects {self.num_parameters} channels, got {input_shape}")
        return input_shape


class ELU(Activation):
    """y = x where x > 0, else alpha * (exp(x) - 1)

    Parameters
    ----------
    alpha : float

    Examples
    --------
    >>> ELU().predict(np.array([[-20.0, 2.0]], np.float32))
    array([[-1.,  2.]], dtype=float32)
    """

    op = (elu_forward, elu_backward)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Array, ctx: Context) -> tuple[Array, EluCache]:
        """See `cnn_from_scratch.ops.elu_forward`."""
        return elu_forward(x, alpha=self.alpha)


# --- smooth everywhere ----------------------------------------------------------------------------------------------


class GELU(Activation):
    """y = x * Phi(x), where Phi(x) is the probability that a standard normal number is below x

    Parameters
    ----------
    approximate : "none" or "tanh"
        Exact, or by way of a hyperbolic tangent, which is faster.

    Examples
    --------
    >>> GELU().predict(np.array([[-20.0, 0.0, 20.0]], np.float32))
    array([[-0.,  0., 20.]], dtype=float32)
    """

    op = (gelu_forward, gelu_backward)

    def __init__(self, approximate: Approximate = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Array, ctx: Context) -> tuple[Array, GeluCache]:
        """See `cnn_from_scratch.ops.gelu_forward`."""
        return gelu_forward(x, approximate=self.approximate)


class SiLU(Activation):
    """y = x * sigmoid(x), also known as swish

    Examples
    --------
    >>> SiLU().predict(np.array([[0.0, 20.0]], np.float32))
    array([[ 0., 20.]], dtype=float32)
    """

    op = (silu_forward, silu_backward)


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))

    Examples
    --------
    >>> Sigmoid().predict(np.array([[0.0, 20.0]], np.float32))
    array([[0.5, 1. ]], dtype=float32)
    """

    op = (sigmoid_forward, sigmoid_backward)


class Tanh(Activation):
    """y = tanh(x)

    Examples
    --------
    >>> Tanh().predict(np.array([[0.0, 20.0]], np.float32))
    array([[0., 1.]], dtype=float32)
    """

    op = (tanh_forward, tanh_backward)


class Softplus(Activation):
    """y = log(1 + exp(beta * x)) / beta: a smooth ReLU

    Parameters
    ----------
    beta : float
        How sharp the bend is; above 0.
    threshold : float
        Where beta * x is above it, y = x.

    Examples
    --------
    >>> Softplus().predict(np.array([[0.0, 21.0]], np.float32))
    array([[ 0.6931472, 21.       ]], dtype=float32)
    """

    op = (softplus_forward, softplus_backward)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        if not beta > 0:
            raise ValueError(f"Softplus: beta must be above 0, got {beta!r}")
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Array, ctx: Context) -> tuple[Array, SoftplusCache]:
        """See `cnn_from_scratch.ops.softplus_forward`."""
        return softplus_forward(x, beta=self.beta, threshold=self.threshold)
