"""Activations as layers, and the rectifiers among them: straight above zero, bent below.

The activations without a kink are in smooth.py and softmax.py.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..ops import (
    EluCache,
    LeakyReluCache,
    PreluCache,
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu6_backward,
    relu6_forward,
    relu_backward,
    relu_forward,
)
from ..typing import Array
from .base import Grads, Layer, Shape, require_counts, require_memory, require_numbers
from .context import Context
from .plain import PlainLayer


class ReLU(PlainLayer):
    """y = max(x, 0)

    Examples
    --------
    >>> ReLU().predict(np.array([[-1.0, 2.0]], np.float32))
    array([[0., 2.]], dtype=float32)
    """

    op = (relu_forward, relu_backward)


class ReLU6(PlainLayer):
    """y = min(max(x, 0), 6)

    Examples
    --------
    >>> ReLU6().predict(np.array([[-1.0, 2.0, 9.0]], np.float32))
    array([[0., 2., 6.]], dtype=float32)
    """

    op = (relu6_forward, relu6_backward)


class LeakyReLU(PlainLayer):
    """y = x where x > 0, else negative_slope * x

    Parameters
    ----------
    negative_slope : float

    Raises
    ------
    TypeError
        If negative_slope is no number.

    Examples
    --------
    >>> LeakyReLU(0.5).predict(np.array([[-1.0, 2.0]], np.float32))
    array([[-0.5,  2. ]], dtype=float32)
    """

    op = (leaky_relu_forward, leaky_relu_backward)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        require_numbers(self, "negative_slope")

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

    Raises
    ------
    ShapeError
        If num_parameters is no int of at least 1.
    TypeError
        If init is no number.

    Examples
    --------
    >>> PReLU(2, init=0.5).params
    {'weight': array([0.5, 0.5], dtype=float32)}
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        require_counts(self, "num_parameters")
        require_numbers(self, "init")
        require_memory(self, (num_parameters,))
        self.params = {"weight": np.full(num_parameters, self.init, np.float32)}

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


class ELU(PlainLayer):
    """y = x where x > 0, else alpha * (exp(x) - 1)

    Parameters
    ----------
    alpha : float

    Raises
    ------
    TypeError
        If alpha is no number.

    Examples
    --------
    >>> ELU().predict(np.array([[-20.0, 2.0]], np.float32))
    array([[-1.,  2.]], dtype=float32)
    """

    op = (elu_forward, elu_backward)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        require_numbers(self, "alpha")

    def forward(self, x: Array, ctx: Context) -> tuple[Array, EluCache]:
        """See `cnn_from_scratch.ops.elu_forward`."""
        return elu_forward(x, alpha=self.alpha)
