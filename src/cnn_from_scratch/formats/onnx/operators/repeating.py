"""Numbers repeated: Expand stretches axes of size 1, Tile lays copies side by side. The gradient adds the copies up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....errors import ShapeError
from ....typing import Array
from ..attributes import unsupported
from ..registry import Node, operator
from .axes import integers_of
from .broadcasting import sum_to
from .layout import require_room
from .pure import PureOperation

Shape = tuple[int, ...]


class Repeated(PureOperation):
    """A copy of x, repeated; the second input says how, and the gradient sums over the copies."""

    arity = (2, 2)

    def compute(self, x: Array, sizes: Array) -> tuple[Array, Shape]:
        """As Expand or Tile say."""
        return self.repeat(x, integers_of(self.op_type, "shape", sizes)), x.shape

    def repeat(self, x: Array, sizes: Shape) -> Array:
        """The copies side by side."""
        raise NotImplementedError


@operator("Expand")
class Expand(Repeated):
    """y = x broadcast together with a shape: where one of them has size 1, the other decides."""

    def repeat(self, x: Array, sizes: Shape) -> Array:
        """A copy, for a broadcast view has no memory order."""
        shape = np.broadcast_shapes(x.shape, sizes)
        require_room("Expand", shape, x.dtype)
        return np.broadcast_to(x, shape).copy()

    def gradients(self, dy: Array, cache: Shape, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The sum over what was stretched."""
        return sum_to(dy, cache), None


@operator("Tile")
class Tile(Repeated):
    """y[i, j ...] = x[i mod I, j mod J ...]: x side by side, so many times along each axis; since version 6."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        if node.opset < 6:
            raise unsupported(node, "tiles and axis as inputs")

    def repeat(self, x: Array, sizes: Shape) -> Array:
        """By `np.tile`."""
        if len(sizes) != x.ndim or min(sizes, default=0) < 0:
            raise ShapeError(f"Tile: repeats must be {x.ndim} numbers of at least 0, got {sizes}")
        require_room("Tile", [size * times for size, times in zip(x.shape, sizes, strict=True)], x.dtype)
        return np.tile(x, sizes)

    def gradients(self, dy: Array, cache: Shape, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The sum over all tiles: (T0, I, T1, J ...) over its even axes."""
        split = [n for size, whole in zip(cache, dy.shape, strict=True) for n in (whole // max(1, size), size)]
        return dy.reshape(split).sum(tuple(range(0, len(split), 2))), None
