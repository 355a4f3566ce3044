"""Pad: numbers around an array, or fewer of them; a constant, or those inside once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....ops import PadCache, pad_backward, pad_forward
from ....ops.padding import PadMode
from ....typing import Array
from ..attributes import choice, integers, number, require
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .layout import empty_as, require_room, zeros_as
from .pure import PureOperation, require_one_dtype
from .slicing import add_at

Pads = list[tuple[int, int]]

OURS: dict[str, PadMode] = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
"""What `pad_forward` calls these modes."""


class OnnxPadCache(NamedTuple):
    """What the gradient of Pad needs."""

    x: Array  # for its shape and memory order
    kept: tuple[slice, ...]  # what negative pads leave of x
    pads: Pads  # what is then added: at least 0
    value: Array | None  # the constant, where it is an input
    images: PadCache | None  # where `pad_forward` could do it


@operator("Pad")
class Pad(PureOperation):
    """y = x with so many numbers more, or fewer, at both ends of its axes.

    What is cut off is cut first. Attributes before version 11 (`paddings` in version 1), inputs from then on; since
    version 18 `axes` may say to which axes they belong, and since version 19 there is the mode "wrap". Rows and columns
    of images are `pad_forward`'s. The constant has a gradient, too: the sum of dy over all that was filled with it.
    """

    arity = (1, 4)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._mode = choice(node, "mode", "constant", ("constant", "reflect", "edge", "wrap"))
        self._pads: tuple[int, ...] | None = None
        if node.opset < 11:
            name = "paddings" if node.opset < 2 else "pads"
            self._pads = require(node, name, integers(node, name))
        self._value = number(node, "value", 0.0)

    def compute(
        self, x: Array, pads: Array | None = None, value: Array | None = None, axes: Array | None = None
    ) -> tuple[Array, OnnxPadCache]:
        """Cut, then add."""
        require_one_dtype(self, [x, value])
        kept, added = self._sides(x, pads, axes)
        inside = x[kept]
        require_room("Pad", [size + sum(ends) for size, ends in zip(inside.shape, added, strict=True)], x.dtype)
        fill = self._fill(x, value)
        if _of_images(x, added) and self._mode in OURS and _reaches(inside, added, self._mode):
            sides = (added[2], added[3])
            y, images = pad_forward(inside, sides, mode=OURS[self._mode], value=float(fill))
            return y, OnnxPadCache(x, kept, added, value, images)
        y = _constant(inside, added, fill) if self._mode == "constant" else _copies(inside, added, self._mode)
        return y, OnnxPadCache(x, kept, added, value, None)

    def _sides(self, x: Array, pads: Array | None, axes: Array | None) -> tuple[tuple[slice, ...], Pads]:
        """What is left of x, and what is added at the ends of each axis."""
        if self._pads is None and pads is None:
            raise ShapeError("Pad: pads are missing")
        amounts = integers_of("Pad", "pads", pads) if self._pads is None and pads is not None else self._pads or ()
        named = range(x.ndim) if axes is None else axes_in("Pad", integers_of("Pad", "axes", axes), x.ndim)
        if len(amounts) != 2 * len(named):
            raise ShapeError(f"Pad: pads must be {2 * len(named)} numbers for {len(named)} axes, got {amounts}")
        ends = [(0, 0)] * x.ndim
        for axis, before, after in zip(named, amounts[: len(named)], amounts[len(named) :], strict=True):
            if x.shape[axis] + min(before, 0) + min(after, 0) < 0:
                raise ShapeError(f"Pad: pads {(before, after)} take more than axis {axis} of an array {x.shape} has")
            ends[axis] = before, after
        kept = [slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape, ends, strict=True)]
        return tuple(kept), [(max(0, a), max(0, b)) for a, b in ends]

    def _fill(self, x: Array, value: Array | None) -> Any:
        """The constant, as one number in the dtype of x."""
        if value is None:
            return "" if x.dtype.kind in "OU" else x.dtype.type(self._value)
        if value.size != 1:
            raise ShapeError(f"Pad: constant_value must be a single number, got shape {value.shape}")
        return value.reshape(())[()]

    def gradients(self, dy: Array, cache: OnnxPadCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """Every copy adds up in its original; what was cut off gets zeros."""
        x, kept, added, value, images = cache
        if images is not None:
            inside = pad_backward(dy, images)
        elif self._mode == "constant":
            inside = dy[_middle(dy, added)]
        else:
            inside = _collect(dy, added, self._mode)
        if inside.shape == x.shape:
            dx = inside
        else:
            dx = zeros_as(x, dy.dtype)
            dx[kept] = inside
        if value is None or not wanted[2] or self._mode != "constant":
            return (dx, None, None, None)[: len(wanted)]
        return (dx, None, _around(dy, added).reshape(value.shape), None)[: len(wanted)]


def _of_images(x: Array, added: Pads) -> bool:
    return x.ndim == 4 and x.dtype.kind == "f" and added[:2] == [(0, 0), (0, 0)]


def _reaches(inside: Array, added: Pads, mode: str) -> bool:
    """Whether the array is as large as `pad_forward` wants it."""
    if mode == "constant":
        return True
    axes = zip(inside.shape[2:], added[2:], strict=True)
    return all(n > 0 and (mode == "edge" or max(ends) < n) for n, ends in axes)


def _middle(y: Array, added: Pads) -> tuple[slice, ...]:
    return tuple(slice(a, n - b) for n, (a, b) in zip(y.shape, added, strict=True))


def _constant(inside: Array, added: Pads, fill: Any) -> Array:
    shape = [n + a + b for n, (a, b) in zip(inside.shape, added, strict=True)]
    y = empty_as(shape, inside.dtype.newbyteorder("="), inside)
    y[...] = fill
    y[_middle(y, added)] = inside
    return y


def _around(dy: Array, added: Pads) -> Array:
    """The sum of all but the middle."""
    frame = dy.copy()
    frame[_middle(dy, added)] = 0
    total: Array = np.asarray(frame.sum(), dy.dtype)
    return total


def _copies(inside: Array, added: Pads, mode: str) -> Array:
    """One axis after the other, each number from where `source` says."""
    for axis, ends in enumerate(added):
        if any(ends):
            inside = np.take(inside, source(inside.shape[axis], ends, mode), axis)
    return inside


def _collect(dy: Array, added: Pads, mode: str) -> Array:
    """Its transpose: the last axis first, each number to where `source` says."""
    for axis, ends in reversed(list(enumerate(added))):
        if any(ends):
            size = dy.shape[axis] - sum(ends)
            dx = np.zeros((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
            add_at(dx, source(size, ends, mode), dy, axis)
            dy = dx
    return dy


def source(size: int, ends: tuple[int, int], mode: str) -> Array:
    """For each place of a padded axis, the place in the axis itself from where its number comes.

    Examples
    --------
    >>> for mode in ("edge", "wrap", "reflect"):
    ...     print(source(3, (2, 4), mode))
    [0 0 0 1 2 2 2 2 2]
    [1 2 0 1 2 0 1 2 0]
    [2 1 0 1 2 1 0 1 2]
    """
    if size == 0:
        raise ShapeError(f"Pad: an axis without numbers cannot be padded by mode {mode!r}")
    places = np.arange(-ends[0], size + ends[1])
    if mode == "edge":
        return places.clip(0, size - 1)
    if mode == "wrap":
        return places % size
    period = max(1, 2 * (size - 1))  # there and back, the outermost numbers only once
    there = places % period
    return np.minimum(there, period - there) if size > 1 else np.zeros_like(places)
