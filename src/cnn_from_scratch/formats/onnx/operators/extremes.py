"""The smaller and the larger of numbers: Min, Max, Clip.

Where several inputs of Min or Max share the extreme they share its gradient in equal parts, as PyTorch does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ....errors import ShapeError
from ....ops.memory import empty_like
from ....typing import Array
from ..attributes import given, number
from ..registry import Node, operator
from .arithmetic import MANY
from .broadcasting import result_for, sum_to
from .pure import PureOperation, require_one_dtype


class ExtremeCache(NamedTuple):
    """What the gradient of Min and Max needs."""

    inputs: tuple[Array, ...]  # borrowed, never written
    y: Array


@operator("Min", "Max")
class Extreme(PureOperation):
    """y = the smallest, or the largest, of x0, x1 ..., broadcast to one shape; NaN wins."""

    arity = (1, MANY)

    def compute(self, *inputs: Array) -> tuple[Array, ExtremeCache]:
        """Two at a time."""
        given(self, inputs, len(inputs))
        require_one_dtype(self, inputs)
        choose = np.maximum if self.op_type == "Max" else np.minimum
        y = result_for(self.op_type, inputs, inputs[0].dtype.newbyteorder("="))
        np.copyto(y, inputs[0])
        for x in inputs[1:]:
            choose(y, x, out=y)
        return y, ExtremeCache(inputs, y)

    def gradients(self, dy: Array, cache: ExtremeCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """To whom the extreme is, divided by how many they are."""
        chosen = [x == cache.y for x in cache.inputs]
        share = dy / np.maximum(sum(mask.astype(dy.dtype) for mask in chosen), 1)
        return [
            sum_to(share * mask, x.shape) if asked else None
            for mask, x, asked in zip(chosen, cache.inputs, wanted, strict=True)
        ]


class ClipCache(NamedTuple):
    """What the gradient of Clip needs."""

    x: Array  # borrowed, never written
    low: Array | None
    high: Array | None


@operator("Clip")
class Clip(PureOperation):
    """y = min(max(x, low), high); the bounds are attributes before version 11, inputs from then on.

    x has its gradient where it is not cut, the bounds included; what is cut off goes to the bound that cut it.
    """

    arity = (1, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._bounds = (number(node, "min", -np.inf), number(node, "max", np.inf)) if node.opset < 11 else None

    def compute(self, x: Array, low: Array | None = None, high: Array | None = None) -> tuple[Array, ClipCache]:
        """`np.clip`, which also lets `high` win where it is the smaller of the two."""
        if self._bounds is not None:
            low, high = (np.asarray(bound, x.dtype) for bound in self._bounds)
        require_one_dtype(self, [x, low, high])
        for name, bound in (("min", low), ("max", high)):
            if bound is not None and bound.size != 1:
                raise ShapeError(f"Clip: {name} must be a single number, got shape {bound.shape}")
        if low is None and high is None:
            return x, ClipCache(x, low, high)
        low_number, high_number = (None if bound is None else bound.reshape(()) for bound in (low, high))
        return np.clip(x, low_number, high_number, out=empty_like(x)), ClipCache(x, low, high)

    def gradients(self, dy: Array, cache: ClipCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dx where low <= x <= high; dlow and dhigh sum the rest."""
        x, low, high = cache
        below = np.zeros_like(x, bool) if low is None else x < low
        raised = x if low is None else np.maximum(x, low)
        above = np.zeros_like(x, bool) if high is None else raised > high
        dx = np.where(below | above, dy.dtype.type(0), dy)
        if self._bounds is not None:
            return [dx, None, None][: len(wanted)]
        dlow = None if low is None else (dy * (below & ~above)).sum().reshape(low.shape)
        dhigh = None if high is None else (dy * above).sum().reshape(high.shape)
        return [dx, dlow, dhigh][: len(wanted)]
