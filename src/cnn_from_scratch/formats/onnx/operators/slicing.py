"""Some of the numbers of an array: Slice takes every so-manieth, Gather those that a list of indices names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....typing import Array
from ..attributes import integer, integers, require
from ..registry import Node, operator
from .axes import axes_in, axis_in, integers_of
from .layout import zeros_as
from .pure import PureOperation


class SliceCache(NamedTuple):
    """What the gradient of Slice needs."""

    x: Array  # for its shape and memory order
    where: tuple[slice, ...]


@operator("Slice")
class Slice(PureOperation):
    """y = x[start:end:step] along some axes; attributes before version 10, inputs from then on."""

    arity = (1, 5)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._given: tuple[tuple[int, ...], ...] = ()
        if node.opset < 10:
            starts = require(node, "starts", integers(node, "starts"))
            ends = require(node, "ends", integers(node, "ends"))
            self._given = starts, ends, integers(node, "axes", tuple(range(len(starts))))

    def compute(self, x: Array, *inputs: Array | None) -> tuple[Array, SliceCache]:
        """A view."""
        where = slices(x.shape, *(self._given or self._read(inputs)))
        return x[where], SliceCache(x, where)

    def _read(self, inputs: Sequence[Array | None]) -> list[tuple[int, ...]]:
        names = ("starts", "ends", "axes", "steps")
        found = {name: integers_of("Slice", name, x) for name, x in zip(names, inputs, strict=False) if x is not None}
        if "starts" not in found or "ends" not in found:
            raise ShapeError("Slice: starts and ends must be there")
        count = len(found["starts"])
        defaults = {"axes": tuple(range(count)), "steps": (1,) * count}
        return [(defaults | found)[name] for name in names]

    def gradients(self, dy: Array, cache: SliceCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dy where it was taken from, zeros elsewhere."""
        dx = zeros_as(cache.x, dy.dtype)
        dx[cache.where] = dy
        others: list[Any] = [None] * (len(wanted) - 1)
        return [dx, *others]


def slices(
    shape: tuple[int, ...],
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int] | None = None,
) -> tuple[slice, ...]:
    """Python's slices for those of ONNX, in which a last index of -1 is the last number, and far out is the end.

    Examples
    --------
    >>> slices((4, 5), [1, -1], [1000, -1000], [0, 1], [2, -1])
    (slice(1, 4, 2), slice(4, None, -1))
    """
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ShapeError(f"Slice: starts {starts}, ends {ends}, axes {axes} and steps {steps} must be equally many")
    where = [slice(None)] * len(shape)
    for axis, start, end, step in zip(axes_in("Slice", axes, len(shape)), starts, ends, steps, strict=True):
        if step == 0:
            raise ShapeError("Slice: a step must not be 0")
        where[axis] = _slice(shape[axis], start, end, step)
    return tuple(where)


def _slice(size: int, start: int, end: int, step: int) -> slice:
    """Negative numbers count from the end, then both are cut to what is there."""
    start, end = (place + size if place < 0 else place for place in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    first, last = min(max(start, 0), size - 1), min(max(end, -1), size - 1)
    return slice(first, None if last == -1 else last, step) if size else slice(0, 0, step)


# --- Gather ----------------------------------------------------------------------------------------------------------


class GatherCache(NamedTuple):
    """What the gradient of Gather needs."""

    x: Array  # for its shape and memory order
    indices: Array
    axis: int


@operator("Gather")
class Gather(PureOperation):
    """y[i, j, k] = x[i, indices[j], k]: slices along `axis`, by index; negative ones count from the end."""

    arity = (2, 2)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._axis = integer(node, "axis", 0)

    def compute(self, x: Array, indices: Array) -> tuple[Array, GatherCache]:
        """By `np.take`."""
        axis = axis_in("Gather", self._axis, x.ndim)
        size = x.shape[axis]
        if indices.dtype.kind not in "iu":
            raise TypeError(f"Gather: indices must be integers, got {indices.dtype}")
        if indices.size and not -size <= int(indices.min()) <= int(indices.max()) < size:
            raise ShapeError(
                f"Gather: indices must be in [{-size}, {size - 1}] for axis {axis} of an array {x.shape}, "
                f"got {indices.min()} to {indices.max()}"
            )
        return np.take(x, indices, axis), GatherCache(x, indices, axis)

    def gradients(self, dy: Array, cache: GatherCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """A number that was taken several times gets the sum."""
        x, indices, axis = cache
        dx = zeros_as(x, dy.dtype)
        add_at(dx, indices, dy, axis)
        return dx, None


def add_at(dx: Array, indices: Array, dy: Array, axis: int) -> None:
    """dx[..., indices[j], ...] += dy[..., j, ...] along an axis, however often an index occurs.

    Examples
    --------
    >>> dx = np.zeros(3)
    >>> add_at(dx, np.array([0, 2, 0]), np.array([1.0, 2.0, 4.0]), 0)
    >>> dx
    array([5., 0., 2.])
    """
    where: Any = (*(slice(None),) * axis, indices)
    np.add.at(dx, where, dy)
