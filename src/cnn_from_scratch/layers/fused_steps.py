"""The steps that do the work of several layers. Which layers, fusion.py decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ..ops import (
    AddReluCache,
    BatchNormReluCache,
    BiasReluCache,
    ConvCache,
    MaxPoolCache,
    ReluCache,
    add_relu_backward,
    add_relu_forward,
    batch_norm_relu_backward,
    batch_norm_relu_forward,
    bias_relu_backward,
    bias_relu_forward,
    conv_backward,
    conv_batch_norm_backward,
    conv_batch_norm_forward,
    conv_batch_norm_relu_backward,
    conv_batch_norm_relu_forward,
    conv_batch_norm_relu_pool_backward,
    conv_batch_norm_relu_pool_forward,
    max_pool_backward,
    relu_backward,
    relu_forward,
)
from ..ops.memory import empty_like
from ..typing import Array
from .base import Grads, Layer, weight_and_bias
from .batch_norm import BatchNorm2d, RunningStatistics
from .context import Context, join
from .convolution import Conv2d
from .pooling import MaxPool2d
from .program import Commit, Named, Program, Step


class _ConvReLUCache(NamedTuple):
    conv: ConvCache
    pool: MaxPoolCache | None
    relu: BiasReluCache | ReluCache


class ConvReLUStep(Step):
    """y = relu(pool(conv(x)) + bias), with or without the pool

    Written in the model is relu, then pool. Both are monotone, and so is adding one number to a whole channel: the
    maximum comes out the same, but bias and ReLU have a quarter of the numbers to look at. The gradient can differ
    where rounding makes a tie: two numbers of a window that are equal only once the bias has been added.
    """

    def __init__(self, row: Sequence[Named]) -> None:
        super().__init__(row)
        conv, _, *pool = self.layers
        self.conv = cast(Conv2d, conv)
        self.pool = cast(MaxPool2d, pool[0]) if pool else None

    def forward(self, x: Array, ctx: Context) -> tuple[Array, _ConvReLUCache]:
        """Convolution, pool, and last bias and ReLU."""
        y, conv = self.conv.convolve(x, bias=None)
        pool = None
        if self.pool is not None:
            y, pool = self.pool.forward(y, ctx)
        relu: BiasReluCache | ReluCache
        if self.conv.bias:
            y, relu = bias_relu_forward(y, self.conv.params["bias"])
        else:
            y, relu = relu_forward(y)
        return y, _ConvReLUCache(conv, pool, relu)

    def backward(self, dy: Array, cache: _ConvReLUCache, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """The same way back."""
        dbias = None
        if isinstance(cache.relu, BiasReluCache):
            dy, dbias = bias_relu_backward(dy, cache.relu)
        else:
            dy = relu_backward(dy, cache.relu)
        if cache.pool is not None:
            dy = max_pool_backward(dy, cache.pool)
        dx, dweight, _ = conv_backward(dy, cache.conv, need_dx=need_dx)
        return dx, named(self.keys[0], self.conv, dweight, dbias)


def named(key: str, layer: Layer, dweight: Array | None, dbias: Array | None) -> Grads:
    """Gradients of weight and bias under their full keys, none for what is frozen."""
    learning = layer.trainable
    return {join(key, name): grad for name, grad in weight_and_bias(dweight, dbias).items() if name in learning}


_CONV_BATCH_NORM: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {
    2: (conv_batch_norm_forward, conv_batch_norm_backward),
    3: (conv_batch_norm_relu_forward, conv_batch_norm_relu_backward),
    4: (conv_batch_norm_relu_pool_forward, conv_batch_norm_relu_pool_backward),
}
"""The operations for so many layers in a row."""


class ConvBatchNormStep(Step):
    """y = batch_norm(conv(x)), or its ReLU, or 2x2 max pool of that: see conv_batch_norm*.py among the operations."""

    def __init__(self, row: Sequence[Named]) -> None:
        super().__init__(row)
        self.conv, self.norm = cast(Conv2d, self.layers[0]), cast(BatchNorm2d, self.layers[1])
        self._forward, self._backward = _CONV_BATCH_NORM[len(row)]

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """Both layers' parameters and settings go into one operation."""
        conv, norm = self.conv, self.norm
        y, cache = self._forward(
            x,
            conv.params["weight"],
            conv.params.get("bias"),
            *norm.vectors(),
            train=norm.trains(ctx),
            momentum=norm.share_of_next_batch(),
            eps=norm.eps,
            group=ctx.group,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
            algorithm=conv.algorithm,
        )
        return y, cache

    def backward(self, dy: Array, cache: Any, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """The gradients of both layers."""
        dx, dweight, dbias, dscale, doffset = self._backward(dy, cache, need_dx=need_dx)
        grads = named(self.keys[0], self.conv, dweight, dbias)
        return dx, grads | named(self.keys[1], self.norm, dscale, doffset)

    def commits(self, cache: Any) -> Iterator[Commit]:
        """The new running statistics."""
        yield self.norm, RunningStatistics(cache.norm.running_mean, cache.norm.running_var)


class BatchNormReLUStep(Step):
    """y = relu(batch_norm(x)): see batch_norm_relu.py among the operations."""

    def __init__(self, row: Sequence[Named]) -> None:
        super().__init__(row)
        self.norm = cast(BatchNorm2d, self.layers[0])

    def forward(self, x: Array, ctx: Context) -> tuple[Array, BatchNormReluCache]:
        """Scale, offset and ReLU in one pass."""
        norm = self.norm
        train, momentum = norm.trains(ctx), norm.share_of_next_batch()
        return batch_norm_relu_forward(
            x, *norm.vectors(), train=train, momentum=momentum, eps=norm.eps, group=ctx.group
        )

    def backward(self, dy: Array, cache: BatchNormReluCache, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """The gradients of the batch norm."""
        dx, dweight, dbias = batch_norm_relu_backward(dy, cache)
        return dx, named(self.keys[0], self.norm, dweight, dbias)

    def commits(self, cache: BatchNormReluCache) -> Iterator[Commit]:
        """The new running statistics."""
        yield self.norm, RunningStatistics(cache.norm.running_mean, cache.norm.running_var)


class _ResidualCache(NamedTuple):
    body: list[Any]
    shortcut: list[Any]
    relu: AddReluCache | None


class ResidualStep(Step):
    """y = body(x) + shortcut(x), or its ReLU"""

    def __init__(self, row: Sequence[Named], body: Program, shortcut: Program | None) -> None:
        super().__init__(row)
        self.body, self.shortcut, self.relu = body, shortcut, len(row) > 1

    def forward(self, x: Array, ctx: Context) -> tuple[Array, _ResidualCache]:
        """The two branches, added."""
        branch, body = self.body.forward(x, ctx)
        around, shortcut = (x, []) if self.shortcut is None else self.shortcut.forward(x, ctx)
        if self.relu:
            y, relu = add_relu_forward(branch, around)
            return y, _ResidualCache(body, shortcut, relu)
        return np.add(branch, around, out=empty_like(branch)), _ResidualCache(body, shortcut, None)

    def backward(self, dy: Array, cache: _ResidualCache, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """dy goes into both branches; what comes back is added."""
        if cache.relu is not None:
            dy = add_relu_backward(dy, cache.relu)
        dx, grads = self.body.backward(dy, cache.body, need_dx=need_dx)
        around: Array | None = dy
        if self.shortcut is not None:
            around, found = self.shortcut.backward(dy, cache.shortcut, need_dx=need_dx)
            grads |= found
        if not need_dx or dx is None or around is None:
            return None, grads
        return np.add(dx, around, out=empty_like(dx)), grads

    def commits(self, cache: _ResidualCache) -> Iterator[Commit]:
        """Those of both branches."""
        yield from self.body.commits(cache.body)
        if self.shortcut is not None:
            yield from self.shortcut.commits(cache.shortcut)
