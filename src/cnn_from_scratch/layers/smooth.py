"""Activations without a kink, as layers."""

from __future__ import annotations

from ..ops import (
    GeluCache,
    SoftplusCache,
    gelu_backward,
    gelu_forward,
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
from .base import require_numbers
from .context import Context
from .plain import PlainLayer


class GELU(PlainLayer):
    """y = x * Phi(x), where Phi(x) is the probability that a standard normal number is below x

    Parameters
    ----------
    approximate : "none" or "tanh"
        Exact, or by way of a hyperbolic tangent, which is faster.

    Raises
    ------
    ValueError
        If approximate is neither of the two.

    Examples
    --------
    >>> import numpy as np
    >>> GELU().predict(np.array([[-20.0, 0.0, 20.0]], np.float32))
    array([[-0.,  0., 20.]], dtype=float32)
    """

    op = (gelu_forward, gelu_backward)

    def __init__(self, approximate: Approximate = "none") -> None:
        super().__init__()
        if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Array, ctx: Context) -> tuple[Array, GeluCache]:
        """See `cnn_from_scratch.ops.gelu_forward`."""
        return gelu_forward(x, approximate=self.approximate)


class SiLU(PlainLayer):
    """y = x * sigmoid(x), also known as swish

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().predict(np.array([[0.0, 20.0]], np.float32))
    array([[ 0., 20.]], dtype=float32)
    """

    op = (silu_forward, silu_backward)


class Sigmoid(PlainLayer):
    """y = 1 / (1 + exp(-x))

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().predict(np.array([[0.0, 20.0]], np.float32))
    array([[0.5, 1. ]], dtype=float32)
    """

    op = (sigmoid_forward, sigmoid_backward)


class Tanh(PlainLayer):
    """y = tanh(x)

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().predict(np.array([[0.0, 20.0]], np.float32))
    array([[0., 1.]], dtype=float32)
    """

    op = (tanh_forward, tanh_backward)


class Softplus(PlainLayer):
    """y = log(1 + exp(beta * x)) / beta: a smooth ReLU

    Parameters
    ----------
    beta : float
        How sharp the bend is; above 0.
    threshold : float
        Where beta * x is above it, y = x.

    Raises
    ------
    TypeError
        If beta or threshold is no number.
    ValueError
        If beta is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().predict(np.array([[0.0, 21.0]], np.float32))
    array([[ 0.6931472, 21.       ]], dtype=float32)
    """

    op = (softplus_forward, softplus_backward)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold
        require_numbers(self, "beta")
        require_numbers(self, "threshold", finite=False)
        if not beta > 0:
            raise ValueError(f"Softplus: beta must be above 0, got {beta!r}")

    def forward(self, x: Array, ctx: Context) -> tuple[Array, SoftplusCache]:
        """See `cnn_from_scratch.ops.softplus_forward`."""
        return softplus_forward(x, beta=self.beta, threshold=self.threshold)
