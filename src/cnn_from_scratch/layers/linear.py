"""The fully connected layer: every output sees every input."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..ops import LinearCache, linear_backward, linear_forward
from ..randomness import as_generator
from ..typing import Array
from .base import Grads, Layer, Shape, require_counts, require_memory, require_switches, weight_and_bias
from .context import Context
from .initializers import Initializer, initialize


class Linear(Layer):
    """y[n, o] = bias[o] + sum_i x[n, i] * weight[o, i]

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    weight_init : str
        How the weight begins: see `Conv2d`.
    rng : int, Generator or None
        Where the first values come from; None for fresh entropy.

    Raises
    ------
    ShapeError
        If in_features or out_features is no int of at least 1.
    ValueError
        If weight_init is not among those named.

    Examples
    --------
    >>> layer = Linear(3, 2, rng=0)
    >>> layer, {key: value.shape for key, value in layer.params.items()}
    (Linear(3, 2), {'weight': (2, 3), 'bias': (2,)})
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: Initializer = "pytorch",
        rng: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias, self.weight_init = in_features, out_features, bias, weight_init
        require_counts(self, "in_features", "out_features")
        require_switches(self, "bias")
        require_memory(self, (out_features, in_features))
        self.params = {"weight": np.empty((out_features, in_features), np.float32)}
        if bias:
            self.params["bias"] = np.empty(out_features, np.float32)
        self.reset_parameters(as_generator(rng, "Linear"))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew, in place, as `weight_init` says."""
        initialize("Linear", self.weight_init, self.params["weight"], self.params.get("bias"), rng)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, LinearCache]:
        """See `cnn_from_scratch.ops.linear_forward`."""
        return linear_forward(x, self.params["weight"], self.params.get("bias"))

    def backward(self, dy: Array, cache: LinearCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.linear_backward`."""
        dx, dweight, dbias = linear_backward(dy, cache, need_dx=need_dx)
        return dx, weight_and_bias(dweight, dbias)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(..., in_features) -> (..., out_features)"""
        if not input_shape or input_shape[-1] != self.in_features:
            raise ShapeError(f"Linear: the last axis must have {self.in_features} features, got {input_shape}")
        return (*input_shape[:-1], self.out_features)

    def multiply_adds(self, input_shape: Shape) -> int:
        """in_features * out_features, for every row"""
        return math.prod(self.output_shape(input_shape)) * self.in_features
