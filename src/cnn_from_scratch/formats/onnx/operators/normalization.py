"""InstanceNormalization, LayerNormalization, GroupNormalization and LRN: each example by itself.

Statistics are made in float32 where x is float16, as stash_type=1 asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....layers.context import Context
from ....layers.operation import Values
from ....ops import (
    GroupNormCache,
    LayerNormCache,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from ....typing import Array
from ..attributes import NodeOperation, given, integer, number, optional, require, unsupported
from ..pooling_nd import window_sums, window_sums_backward
from ..registry import Node, operator
from ..windows import Window
from .broadcasting import sum_to
from .pure import PureOperation, require_floats


@operator("InstanceNormalization")
class InstanceNormalization(PureOperation):
    """Every channel of every image to mean 0 and variance 1: group normalization with as many groups as channels."""

    arity = (3, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.epsilon = number(node, "epsilon", 1e-5)

    def compute(self, x: Array, scale: Array, bias: Array) -> tuple[Array, GroupNormCache]:
        """See `cnn_from_scratch.ops.group_norm_forward`."""
        return group_norm_forward(x, scale, bias, num_groups=x.shape[1] if x.ndim > 1 else 1, eps=self.epsilon)

    def gradients(self, dy: Array, cache: GroupNormCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """See `cnn_from_scratch.ops.group_norm_backward`."""
        return group_norm_backward(dy, cache)


@operator("GroupNormalization")
class GroupNormalization(PureOperation):
    """Every group of channels to mean 0 and variance 1; weights are one a group in version 18, a channel since 21."""

    arity = (3, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.epsilon = number(node, "epsilon", 1e-5)
        self.num_groups = require(node, "num_groups", integer(node, "num_groups"))
        self.by_group = node.opset < 21
        _require_single_stash(node)

    def compute(self, x: Array, scale: Array, bias: Array) -> tuple[Array, GroupNormCache]:
        """See `cnn_from_scratch.ops.group_norm_forward`."""
        if self.by_group:
            share = x.shape[1] // max(self.num_groups, 1)
            scale, bias = np.repeat(scale, share), np.repeat(bias, share)
        return group_norm_forward(x, scale, bias, num_groups=self.num_groups, eps=self.epsilon)

    def gradients(self, dy: Array, cache: GroupNormCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """A weight that several channels share receives their sum."""
        dx, dscale, dbias = group_norm_backward(dy, cache)
        assert dscale is not None
        assert dbias is not None
        if self.by_group:
            dscale, dbias = (d.reshape(self.num_groups, -1).sum(1) for d in (dscale, dbias))
        return dx, dscale, dbias


def _require_single_stash(node: Node) -> None:
    """Raise unless statistics are to be made in float32; 11 would be float64, which is done for float64 alone."""
    if integer(node, "stash_type", 1) != 1:
        raise unsupported(node, f"stash_type={node.attributes['stash_type']}")


class LayerNormalizationCache(NamedTuple):
    """What the gradient of LayerNormalization needs beyond that of the operation."""

    inner: LayerNormCache
    scale: tuple[int, ...]  # its shape, before it was spread
    bias: tuple[int, ...] | None


@operator("LayerNormalization")
class LayerNormalization(NodeOperation):
    """The axes from `axis` on to mean 0 and variance 1; mean and 1 / deviation are outputs, too."""

    arity = (2, 3)
    results = 3

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.axis, self.epsilon = integer(node, "axis", -1), number(node, "epsilon", 1e-5)
        _require_single_stash(node)

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array, ...], LayerNormalizationCache]:
        """See `cnn_from_scratch.ops.layer_norm_forward`."""
        x, scale = given(self, inputs, 2)
        require_floats(self, x)
        bias = optional(inputs, 2)
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError(f"LayerNormalization: axis {self.axis} is not among the {x.ndim} axes of x")
        shape = x.shape[self.axis % x.ndim :]
        weight, offset = _spread(scale, shape), None if bias is None else _spread(bias, shape)
        y, inner = layer_norm_forward(x, weight, offset, normalized_shape=shape, eps=self.epsilon)
        wide = x.astype(np.float32) if x.dtype == np.float16 else x
        mean = wide.mean(inner.axes, keepdims=True, dtype=np.float64)
        stashed = (mean.astype(np.float32), inner.inv_std[_first(inner)].astype(np.float32))
        return (y, *stashed), LayerNormalizationCache(inner, scale.shape, None if bias is None else bias.shape)

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """What arrives at mean and 1 / deviation goes on to x: by 1/n, and by -xhat / (n * variance)."""
        dy, dmean, dinv_std = (*doutputs, None, None)[:3]
        inner, scale, bias = cache
        dx, dscale, dbias = layer_norm_backward(np.zeros_like(inner.xhat) if dy is None else dy, inner)
        n = math.prod(inner.xhat.shape[axis] for axis in inner.axes)
        if dmean is not None:
            dx = dx + (dmean / n).astype(dx.dtype)
        if dinv_std is not None:
            inv_std = inner.inv_std[_first(inner)]
            dx = dx - (dinv_std * inv_std**2 / n).astype(dx.dtype) * inner.xhat.astype(dx.dtype)
        assert dscale is not None
        gradients = (dx, sum_to(dscale, scale), None if dbias is None or bias is None else sum_to(dbias, bias))
        return gradients[: len(wanted)]


def _first(cache: LayerNormCache) -> tuple[slice, ...]:
    """Index that leaves one of what `standardize` repeats along the first of the axes."""
    return tuple(slice(1) if axis in cache.axes else slice(None) for axis in range(cache.xhat.ndim))


def _spread(vector: Array, shape: tuple[int, ...]) -> Array:
    """A weight of fewer or shorter axes, as it meets x."""
    try:
        return np.ascontiguousarray(np.broadcast_to(vector, shape))
    except ValueError as error:
        raise ShapeError(
            f"LayerNormalization: a weight of shape {vector.shape} does not fit to axes of {shape}"
        ) from error


class LrnCache(NamedTuple):
    """What the gradient of LRN needs."""

    x: Array
    base: Array  # bias + alpha/size * sum of squares


@operator("LRN")
class LRN(PureOperation):
    """y[c] = x[c] / (bias + alpha/size * sum_k x[k]^2)^beta, k from c - floor((size-1)/2) to c + ceil((size-1)/2)

    Local response normalization: a channel is damped by what its neighbours see at the same pixel.

    References
    ----------
    Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks (2012), section 3.3.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.size = require(node, "size", integer(node, "size"))
        if self.size < 1:
            raise ShapeError(f"LRN: size must be at least 1, got {self.size}")
        self.alpha, self.beta = number(node, "alpha", 1e-4), number(node, "beta", 0.75)
        self.bias = number(node, "bias", 1.0)

    def compute(self, x: Array) -> tuple[Array, LrnCache]:
        """In the dtype of x, float16 in float32."""
        require_floats(self, x)
        if x.ndim < 2:
            raise ShapeError(f"LRN: x must be (N, C, ...), got {x.shape}")
        wide = x.astype(np.float32) if x.dtype == np.float16 else x
        base = self.bias + self.alpha / self.size * _over_channels(wide * wide, self.size)
        return (wide * base**-self.beta).astype(x.dtype, copy=False), LrnCache(wide, base)

    def gradients(self, dy: Array, cache: LrnCache, wanted: Sequence[bool]) -> tuple[Array]:
        """dx[k] = dy*base^-beta - 2*alpha*beta/size * x * (sum over c whose window holds k of dy*x*base^(-beta-1))"""
        x, base = cache
        across = _over_channels(dy * x * base ** (-self.beta - 1), self.size, back=True)
        dx = dy * base**-self.beta - 2 * self.alpha * self.beta / self.size * x * across
        return (dx.astype(dy.dtype, copy=False),)


def _over_channels(x: Array, size: int, *, back: bool = False) -> Array:
    """Sums over neighbouring channels, or the adjoint of that."""
    rows = x.reshape(len(x), 1, x.shape[1], math.prod(x.shape[2:]))  # channels as rows of an image
    before = (size - 1) // 2
    window = Window((size, 1), (1, 1), ((before, size - 1 - before), (0, 0)), (1, 1))
    sums = window_sums_backward(rows, rows.shape[2:], window) if back else window_sums(rows, window)
    return sums.reshape(x.shape)
