"""Dropout, of all versions.

Version 12 made the ratio and training_mode inputs; before, the ratio is an attribute, and 1 and 6 drop unless is_test
is 1. The mask, which was a float up to version 7, is a boolean since version 10. Besides, a step of training drops: a
network that was exported for prediction is fine-tuned as it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import FormatError
from ....layers.context import Context
from ....layers.operation import Values
from ....typing import Array
from ..attributes import NodeOperation, given, integer, number, optional
from ..registry import Node, operator
from .pure import require_floats


class DropoutCache(NamedTuple):
    """What the gradient of Dropout needs."""

    keep: Array | None  # None where nothing was dropped
    ratio: float


@operator("Dropout")
class Dropout(NodeOperation):
    """y = x * keep / (1 - ratio) with keep ~ Bernoulli(1 - ratio) in training; y = x otherwise"""

    arity = (1, 3)
    results = 2

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.ratio, self.seed = number(node, "ratio", 0.5), integer(node, "seed")
        self.always = node.opset < 7 and not integer(node, "is_test", 0)
        self.outputs, self.mask_is_bool = node.outputs, node.opset >= 10

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array, ...], DropoutCache]:
        """Drop where the node or the step of training says so."""
        (x,) = given(self, inputs, 1)
        require_floats(self, x)
        ratio = self.ratio if optional(inputs, 1) is None else _scalar(optional(inputs, 1))
        if not 0 <= ratio < 1:
            raise FormatError(f"Dropout: the ratio must be in [0, 1), got {ratio}")
        train = ctx.train or self.always or bool(_scalar(optional(inputs, 2)))
        keep = self._draw(x, ratio, ctx) if train and ratio > 0 else None
        cache = DropoutCache(keep, ratio)
        y = x if keep is None else _apply(x, cache)
        return ((y,) if self.outputs < 2 else (y, self._mask(x, keep))), cache

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """dx = dy * keep / (1 - ratio)"""
        dy: Array | None = doutputs[0]
        dx = dy if dy is None or cache.keep is None else _apply(dy, cache)
        return dx, *[None] * (len(wanted) - 1)

    def _draw(self, x: Array, ratio: float, ctx: Context) -> Array:
        """By the place in a training run; outside of one by `seed`, with the generator of ONNX's own evaluator."""
        if ctx.rng is not None:
            return ctx.generator("dropout").random(x.shape, np.float32) >= ratio
        old = np.random.RandomState((self.seed or 0) % (1 << 32))
        return old.uniform(0, 1, x.shape) >= ratio

    def _mask(self, x: Array, keep: Array | None) -> Array:
        mask = np.ones(x.shape, bool) if keep is None else keep
        return mask if self.mask_is_bool else mask.astype(x.dtype)


def _apply(x: Array, cache: DropoutCache) -> Array:
    scaled: Array = x * cache.keep / (1 - cache.ratio)
    return scaled.astype(x.dtype, copy=False)


def _scalar(value: Array | None) -> float:
    """The number in an input; 0 where it is not there."""
    if value is None:
        return 0.0
    if value.size != 1:
        raise FormatError(f"Dropout: ratio and training_mode must be single numbers, got shape {value.shape}")
    return float(value.reshape(())[()])
