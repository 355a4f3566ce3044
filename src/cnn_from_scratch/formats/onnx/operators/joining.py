"""Side by side, and apart again: Concat and Split. Each is the gradient of the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ....errors import ShapeError
from ....layers.context import Context
from ....layers.operation import Values
from ....typing import Array
from ..attributes import NodeOperation, given, integer, integers, optional, require
from ..registry import Node, operator
from .arithmetic import MANY
from .axes import axis_in, integers_of
from .layout import empty_as, zeros_as
from .pure import PureOperation, require_one_dtype


def parts(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    """x cut along an axis into views of these sizes.

    Examples
    --------
    >>> import numpy as np
    >>> parts(np.arange(5), [2, 3], 0)
    [array([0, 1]), array([2, 3, 4])]
    """
    before = (slice(None),) * axis
    return [x[(*before, slice(first, last))] for first, last in pairwise(accumulate(sizes, initial=0))]


# --- Concat ----------------------------------------------------------------------------------------------------------


class ConcatCache(NamedTuple):
    """How long the inputs are along the axis."""

    axis: int
    sizes: list[int]


@operator("Concat")
class Concat(PureOperation):
    """y = x0, x1 ... one after the other along `axis`, which before version 4 was 1 unless said otherwise."""

    arity = (1, MANY)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._axis = integer(node, "axis", 1) if node.opset < 4 else require(node, "axis", integer(node, "axis"))

    def compute(self, *inputs: Array) -> tuple[Array, ConcatCache]:
        """In the memory order of the first."""
        given(self, inputs, len(inputs))
        require_one_dtype(self, inputs)
        first = inputs[0]
        axis = axis_in("Concat", self._axis, first.ndim)
        others = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in inputs if x.ndim == first.ndim}
        if len(others) > 1 or any(x.ndim != first.ndim for x in inputs):
            shapes = ", ".join(str(x.shape) for x in inputs)
            raise ShapeError(f"Concat: shapes must agree in all axes but {axis}, got {shapes}")
        sizes = [x.shape[axis] for x in inputs]
        shape = (*first.shape[:axis], sum(sizes), *first.shape[axis + 1 :])
        y = empty_as(shape, first.dtype.newbyteorder("="), first)
        for x, part in zip(inputs, parts(y, sizes, axis), strict=True):
            part[...] = x
        return y, ConcatCache(axis, sizes)

    def gradients(self, dy: Array, cache: ConcatCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """Each input gets its own part of dy, as an array of its own."""
        cut = parts(dy, cache.sizes, cache.axis)
        return [_copy(part, dy) if asked else None for part, asked in zip(cut, wanted, strict=True)]


def _copy(part: Array, like: Array) -> Array:
    out = empty_as(part.shape, part.dtype, like)
    out[...] = part
    return out


# --- Split -----------------------------------------------------------------------------------------------------------


class SplitCache(NamedTuple):
    """What the gradient of Split needs."""

    x: Array  # for its shape and memory order
    axis: int
    sizes: tuple[int, ...]


@operator("Split")
class Split(NodeOperation):
    """y0, y1 ... = parts of x along `axis`, equal ones unless sizes are given.

    The sizes are an attribute before version 13 (in version 1 also an input) and an input from then on; since
    version 18 `num_outputs` may ask for parts of which the last is shorter.
    """

    arity = (1, 2)
    results = MANY

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._axis = integer(node, "axis", 0)
        self._sizes = integers(node, "split") if node.opset < 13 else None
        self._uneven = node.opset >= 18
        self._outputs = node.outputs

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array | None, ...], SplitCache]:
        """Views."""
        (x,) = given(self, inputs, 1)
        axis = axis_in("Split", self._axis, x.ndim)
        told = optional(inputs, 1)
        sizes = self._sizes if told is None else integers_of("Split", "split", told)
        if sizes is None:
            sizes = self._equal(x.shape[axis])
        if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0 or len(sizes) != self._outputs:
            raise ShapeError(
                f"Split: axis {axis} of an array {x.shape} cannot be cut into {sizes} for {self._outputs} outputs"
            )
        return tuple(parts(x, sizes, axis)), SplitCache(x, axis, sizes)

    def _equal(self, whole: int) -> tuple[int, ...]:
        """Parts of one size; since version 18 the last may be shorter."""
        count = self._outputs
        size = -(-whole // count)
        if whole % count and not self._uneven:
            raise ShapeError(f"Split: {whole} cannot be cut into {count} equal parts")
        last = whole - size * (count - 1)
        if last < 0:
            raise ShapeError(f"Split: {whole} cannot be cut into {count} parts of {size}, the last one shorter")
        return (*(size,) * (count - 1), last)

    def backward(self, doutputs: Values, cache: SplitCache, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """The gradients side by side; zeros for a part that nobody uses."""
        found = [dy for dy in doutputs if dy is not None]
        if not wanted[0] or not found:
            return (None,) * len(wanted)
        dx: Array = zeros_as(cache.x, found[0].dtype)
        for part, dy in zip(parts(dx, cache.sizes, cache.axis), doutputs, strict=False):
            if dy is not None:
                part[...] = dy
        unwanted: list[Any] = [None] * (len(wanted) - 1)
        return (dx, *unwanted)
