"""BatchNormalization, of all versions.

================  ==================================================================================================
version           whether the statistics are those of the batch
================  ==================================================================================================
1, 6              where is_test is 0 (its default); spatial=0 has a mean for each pixel of each channel, too
7, 9              where outputs beyond y are listed; 7 still has spatial
14, 15            where training_mode is 1; 15 lets x, weights and statistics have different types
================  ==================================================================================================

Besides, they are those of the batch in a step of training: fine-tuning goes on as it would with `BatchNorm2d`. ONNX's
`momentum` is the share of the old value, and its running variance divides by n, not by n - 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....layers.context import Context
from ....layers.operation import Values
from ....ops import BatchNormCache, batch_norm_backward, batch_norm_forward
from ....typing import Array
from ..attributes import NodeOperation, given, integer, number
from ..registry import Node, operator
from .pure import require_floats


class Cache(NamedTuple):
    """What the backward pass and `updates` need."""

    inner: BatchNormCache
    shape: tuple[int, ...]  # of x, which may have been flattened
    features: tuple[int, ...]  # shape of scale and the others, likewise
    updates: dict[int, Array]


@operator("BatchNormalization")
class BatchNormalization(NodeOperation):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias, by channel"""

    arity = (5, 5)
    results = 5
    remembered = (3, 4)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.epsilon, self.momentum = number(node, "epsilon", 1e-5), number(node, "momentum", 0.9)
        self.spatial = bool(integer(node, "spatial", 1)) or node.opset >= 9
        self.outputs, self.always = node.outputs, _by_batch(node)

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array, ...], Cache]:
        """With the statistics of the batch, or with those that are given."""
        x, scale, bias, mean, var = given(self, inputs, 5)
        require_floats(self, x)
        train = self.always or ctx.train
        images = x if self.spatial else x.reshape(len(x), math.prod(x.shape[1:]))
        vectors = [vector.reshape(-1).astype(x.dtype, copy=False) for vector in (scale, bias)]
        running = [vector.reshape(-1) for vector in (mean, var)]
        y, inner = batch_norm_forward(
            images, *vectors, *running, train=train, momentum=1 - self.momentum, eps=self.epsilon, group=ctx.group
        )
        updates = {}
        if ctx.train and inner.running_mean is not None and inner.running_var is not None:
            updates = {3: inner.running_mean.reshape(mean.shape), 4: inner.running_var.reshape(var.shape)}
        return (y.reshape(x.shape), *self._statistics(inner, mean, var)), Cache(inner, x.shape, scale.shape, updates)

    def _statistics(self, cache: BatchNormCache, mean: Array, var: Array) -> tuple[Array, ...]:
        """The outputs beyond y: new running statistics, and up to version 9 those of the batch."""
        if self.outputs < 2 or not cache.n:
            return (mean, var, mean, var)[: self.outputs - 1]
        batch = cache.mean, 1 / cache.inv_std**2 - self.epsilon
        share = 1 - self.momentum
        running = [self.momentum * old.astype(np.float64) + share * new.reshape(old.shape)
                   for old, new in zip((mean, var), batch, strict=True)]  # fmt: skip
        found = [new.reshape(mean.shape).astype(mean.dtype) for new in (*running, *batch)]
        return tuple(found[: self.outputs - 1])

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """Gradients of y; statistics have none where they are those of the batch, and none is passed on from them."""
        dy, inner = doutputs[0], cache.inner
        if dy is None:
            return (None,) * len(wanted)
        if dy.shape != cache.shape:
            raise ShapeError(f"BatchNormalization: dy must have shape {cache.shape}, got {dy.shape}")
        dy = dy.reshape(inner.x.shape)
        dx, dscale, dbias = batch_norm_backward(dy, inner)
        dmean, dvar = (None, None) if inner.n else _by_statistics(inner, dscale, dbias)
        vectors = (None if d is None else d.reshape(cache.features) for d in (dscale, dbias, dmean, dvar))
        return dx.reshape(cache.shape), *vectors

    def updates(self, cache: Cache) -> Mapping[int, Array]:
        """The running statistics after a step of training; the variance divides by n - 1, as in `BatchNorm2d`."""
        return cache.updates


def _by_batch(node: Node) -> bool:
    """Whether the node asks for the statistics of the batch, training or not."""
    if node.opset >= 14:
        return bool(integer(node, "training_mode", 0))
    return node.outputs > 1 if node.opset >= 7 else not integer(node, "is_test", 0)


def _by_statistics(cache: BatchNormCache, dscale: Array | None, dbias: Array | None) -> tuple[Array, Array]:
    """dmean = -sum(dy) * scale/deviation,   dvariance = -sum(dy * xhat) * scale/deviation^2 / 2"""
    assert dscale is not None
    assert dbias is not None
    dmean, dvar = -dbias * cache.scale, -dscale * cache.scale * cache.inv_std / 2
    return dmean.astype(dbias.dtype), dvar.astype(dscale.dtype)
