"""Interpolation along one axis after the other: what Resize and Upsample share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....ops import UpsampleCache, upsample_backward, upsample_forward
from ....typing import Array
from ..registry import Node
from .layout import require_room
from .pure import PureOperation
from .resize_axis import AxisSize, Interpolation, matrix, multiply_along, nearest, outside
from .slicing import add_at


class ResizeCache(NamedTuple):
    """What the gradient of Resize needs."""

    x: Array  # for its shape and memory order
    steps: list[tuple[int, Array]]  # axis by axis: the weights (new, old), or the nearest pixels (new,)
    images: UpsampleCache | None  # where `upsample_forward` could do it


class Resampler(PureOperation):
    """y = x, interpolated along one axis after the other; a subclass says which sizes the inputs ask for."""

    arity = (1, 4)

    def __init__(self, node: Node, how: Interpolation) -> None:
        super().__init__(node)
        self._how = how

    def sizes(self, x: Array, inputs: Sequence[Array | None]) -> list[AxisSize]:
        """The axes that change."""
        raise NotImplementedError

    def compute(self, x: Array, *inputs: Array | None) -> tuple[Array, ResizeCache]:
        """Whole copies of pixels by `upsample_forward`, all else by a product, or by indices, for each axis."""
        changed = [size for size in self.sizes(x, inputs) if not size.unchanged]
        shape = list(x.shape)
        for size in changed:
            shape[size.axis] = size.new
        if min(shape, default=0) < 0 or any(size.old == 0 < size.new for size in changed):
            raise ShapeError(f"{self.op_type}: an array of shape {x.shape} cannot get shape {tuple(shape)}")
        require_room(self.op_type, [max(1, n) for n in shape], x.dtype)  # indices of an axis count without images, too
        if self._how.mode == "nearest":
            return self._by_nearest(x, changed)
        return self._by_weights(x, changed)

    def _by_nearest(self, x: Array, changed: list[AxisSize]) -> tuple[Array, ResizeCache]:
        steps = [(size.axis, nearest(size, self._how)) for size in changed]
        blocks = _blocks(x, steps)
        if blocks is not None and self._how.coordinates != "tf_crop_and_resize":
            y, images = upsample_forward(x, blocks)
            return y, ResizeCache(x, [], images)
        y = x
        for axis, indices in steps:
            y = np.take(y, indices, axis)
        beyond = self._extrapolate(y, changed)
        if beyond is not None:  # their gradient is zero, which indices cannot say
            steps = [(axis, np.eye(x.shape[axis])[indices]) for axis, indices in steps]
            for (_, weights), size in zip(steps, changed, strict=True):
                mask = outside(size, self._how)
                weights[mask] = 0
            y = beyond
        return y, ResizeCache(x, steps, None)

    def _by_weights(self, x: Array, changed: list[AxisSize]) -> tuple[Array, ResizeCache]:
        exact = np.float32 if x.dtype in (np.float16, np.float32) else np.float64
        wide = x.astype(exact, copy=False)
        steps = [(size.axis, matrix(size, self._how).astype(wide.dtype, copy=False)) for size in changed]
        y = wide
        for axis, weights in steps:
            y = multiply_along(weights, y, axis)
        beyond = self._extrapolate(y, changed)
        y = y if beyond is None else beyond
        return y.astype(x.dtype, copy=False), ResizeCache(x, steps, None)

    def _extrapolate(self, y: Array, changed: list[AxisSize]) -> Array | None:
        """A copy of y with the extrapolation value beyond the picture, None where all lies within."""
        found = [(size.axis, outside(size, self._how)) for size in changed]
        masks = [(axis, mask) for axis, mask in found if mask is not None and mask.any()]
        if not masks:
            return None
        y = y.copy()
        for axis, mask in masks:
            np.moveaxis(y, axis, 0)[mask] = self._how.extrapolation
        return y

    def gradients(self, dy: Array, cache: ResizeCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The transposed product for each axis, the last first."""
        others: list[Any] = [None] * (len(wanted) - 1)
        if cache.images is not None:
            return [upsample_backward(dy, cache.images), *others]
        dx = dy.astype(np.float32) if dy.dtype == np.float16 else dy
        for axis, step in reversed(cache.steps):
            if step.ndim == 2:
                dx = multiply_along(step.T.astype(dx.dtype, copy=False), dx, axis)
            else:
                dx = _collect(dx, step, axis, cache.x.shape[axis])
        return [dx.astype(dy.dtype, copy=False), *others]


def _collect(dy: Array, indices: Array, axis: int, size: int) -> Array:
    """Each gradient goes to the pixel that was copied."""
    dx = np.zeros((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
    add_at(dx, indices, dy, axis)
    return dx


def _blocks(x: Array, steps: Sequence[tuple[int, Array]]) -> tuple[int, int] | None:
    """(SH, SW) where every pixel of images becomes a block of so many, None where it is not so."""
    if x.ndim != 4 or x.dtype.kind != "f" or x.size == 0 or not {axis for axis, _ in steps} <= {2, 3}:
        return None
    times = {2: 1, 3: 1}
    for axis, indices in steps:
        old = x.shape[axis]
        times[axis], rest = divmod(len(indices), old)
        if rest or times[axis] < 1 or not np.array_equal(indices, np.arange(old).repeat(times[axis])):
            return None
    return times[2], times[3]


def scaled(op_type: str, x: Array, scales: Array, axes: Sequence[int], roi: Array | None = None) -> list[AxisSize]:
    """Axes that grow by given factors: floor(size * scale), in the float32 of the file."""
    if scales.shape != (len(axes),) or not (np.isfinite(scales) & (scales > 0)).all():
        raise ShapeError(f"{op_type}: scales must be {len(axes)} numbers above 0, got {scales.tolist()}")
    found = []
    for i, (axis, scale) in enumerate(zip(axes, scales.astype(np.float32), strict=True)):
        start, end = (0.0, 1.0) if roi is None else (float(roi[i]), float(roi[i + len(axes)]))
        new = int(np.floor(np.float32(x.shape[axis] * (end - start)) * scale))
        found.append(AxisSize(axis, x.shape[axis], new, scale, start, end))
    return found
