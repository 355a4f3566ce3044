"""Normalization of each example by itself, as layers: it needs no batch and remembers nothing."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..ops import (
    GroupNormCache,
    LayerNormCache,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from ..typing import Array
from .base import (
    Grads,
    Layer,
    Shape,
    example_shape,
    require_counts,
    require_memory,
    require_numbers,
    require_switches,
    weight_and_bias,
)
from .context import Context


class LayerNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and variance over the last axes of each example

    Parameters
    ----------
    normalized_shape : int or tuple of int
        Lengths of the axes that are normalized together; for images (C, H, W).
    eps : float
        At least 0.
    elementwise_affine : bool
        Whether there are weight and bias.
    bias : bool
        Whether there is a bias besides the weight.

    Raises
    ------
    ShapeError
        If normalized_shape is nothing of the kind.
    TypeError, ValueError
        If eps is no number, or below 0.

    Examples
    --------
    >>> LayerNorm(2).predict(np.array([[1.0, 3.0]], np.float32)).round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.normalized_shape, self.eps = normalized_shape, eps
        self.elementwise_affine, self.bias = elementwise_affine, bias
        if not self._shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self._shape):
            raise ShapeError(
                f"LayerNorm: normalized_shape must be an int >= 1 or several of them, got {normalized_shape!r}"
            )
        require_numbers(self, "eps")
        require_switches(self, "elementwise_affine", "bias")
        require_memory(self, self._shape)
        if not eps >= 0:
            raise ValueError(f"LayerNorm: eps must be at least 0, got {eps!r}")
        if elementwise_affine:
            self.params = {"weight": np.ones(self._shape, np.float32)}
            if bias:
                self.params["bias"] = np.zeros(self._shape, np.float32)

    @property
    def _shape(self) -> Shape:
        shape = self.normalized_shape
        return tuple(shape) if isinstance(shape, tuple | list) else (shape,)

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Scale 1 and offset 0."""
        for key, array in self.params.items():
            array[...] = 1 if key == "weight" else 0

    def forward(self, x: Array, ctx: Context) -> tuple[Array, LayerNormCache]:
        """See `cnn_from_scratch.ops.layer_norm_forward`."""
        weight, bias = self.params.get("weight"), self.params.get("bias")
        return layer_norm_forward(x, weight, bias, normalized_shape=self._shape, eps=self.eps)

    def backward(self, dy: Array, cache: LayerNormCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.layer_norm_backward`."""
        dx, dweight, dbias = layer_norm_backward(dy, cache)
        return dx, weight_and_bias(dweight, dbias)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The same; it must end in `normalized_shape`."""
        if input_shape[-len(self._shape) :] != self._shape:
            raise ShapeError(f"LayerNorm: an example must end in {self._shape}, got {input_shape}")
        return input_shape


class GroupNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) * weight[c] + bias[c], mean and variance over a group of channels

    Parameters
    ----------
    num_groups : int
        Must divide num_channels; 1 takes all channels together, num_channels takes each by itself.
    num_channels : int
    eps : float
        At least 0.
    affine : bool
        Whether there are weight and bias.

    Raises
    ------
    ShapeError
        If num_groups or num_channels is no int of at least 1, or the one does not divide the other.
    TypeError, ValueError
        If eps is no number, or below 0.

    Examples
    --------
    >>> GroupNorm(1, 2).predict(np.array([[1.0, 3.0]], np.float32)).round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        require_counts(self, "num_groups", "num_channels")
        if num_channels % num_groups:
            raise ShapeError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        require_numbers(self, "eps")
        require_switches(self, "affine")
        require_memory(self, (num_channels,))
        if not eps >= 0:
            raise ValueError(f"GroupNorm: eps must be at least 0, got {eps!r}")
        if affine:
            self.params = {"weight": np.ones(num_channels, np.float32), "bias": np.zeros(num_channels, np.float32)}

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Scale 1 and offset 0."""
        for key, array in self.params.items():
            array[...] = 1 if key == "weight" else 0

    def forward(self, x: Array, ctx: Context) -> tuple[Array, GroupNormCache]:
        """See `cnn_from_scratch.ops.group_norm_forward`."""
        self.output_shape(example_shape(self, x))
        weight, bias = self.params.get("weight"), self.params.get("bias")
        return group_norm_forward(x, weight, bias, num_groups=self.num_groups, eps=self.eps)

    def backward(self, dy: Array, cache: GroupNormCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.group_norm_backward`."""
        dx, dweight, dbias = group_norm_backward(dy, cache)
        return dx, weight_and_bias(dweight, dbias)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The same; the first axis must be the channels."""
        if input_shape[:1] != (self.num_channels,):
            raise ShapeError(f"GroupNorm: expects {self.num_channels} channels, got {input_shape}")
        return input_shape
