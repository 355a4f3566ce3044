"""Resize and Upsample: images, or any arrays, with more numbers or fewer along their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import FormatError, ShapeError
from ....ops import UpsampleCache, upsample_backward, upsample_forward
from ....typing import Array
from ..attributes import choice, integer, integers, label, number, optional
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .layout import require_room
from .pure import PureOperation
from .resize_axis import COORDINATES, NEAREST, AxisSize, Interpolation, matrix, multiply_along, nearest, outside
from .slicing import add_at

POLICIES = ("stretch", "not_larger", "not_smaller")


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
        require_room(self.op_type, shape, x.dtype)
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


def _scaled(op_type: str, x: Array, scales: Array, axes: Sequence[int], roi: Array | None = None) -> list[AxisSize]:
    """Axes that grow by given factors: floor(size * scale), in the float32 of the file."""
    if scales.shape != (len(axes),) or not (np.isfinite(scales) & (scales > 0)).all():
        raise ShapeError(f"{op_type}: scales must be {len(axes)} numbers above 0, got {scales.tolist()}")
    found = []
    for i, (axis, scale) in enumerate(zip(axes, scales.astype(np.float32), strict=True)):
        start, end = (0.0, 1.0) if roi is None else (float(roi[i]), float(roi[i + len(axes)]))
        new = int(np.floor(np.float32(x.shape[axis] * (end - start)) * scale))
        found.append(AxisSize(axis, x.shape[axis], new, scale, start, end))
    return found


# --- Resize ----------------------------------------------------------------------------------------------------------


class Resize(Resampler):
    """Since version 11: scales or sizes, for all axes or those named, and for crops the region of interest."""

    def __init__(self, node: Node, how: Interpolation) -> None:
        super().__init__(node, how)
        self._axes = integers(node, "axes")
        self._policy = choice(node, "keep_aspect_ratio_policy", "stretch", POLICIES)

    def sizes(self, x: Array, inputs: Sequence[Array | None]) -> list[AxisSize]:
        """From `scales` or from `sizes`, whichever is there and not empty."""
        axes = range(x.ndim) if self._axes is None else axes_in("Resize", self._axes, x.ndim)
        roi, scales, sizes = (_present(optional(inputs, i)) for i in range(3))
        crop = roi if self._how.coordinates == "tf_crop_and_resize" else None
        if crop is not None and crop.shape != (2 * len(axes),):
            raise ShapeError(f"Resize: roi must be {2 * len(axes)} numbers, got shape {crop.shape}")
        if (scales is None) == (sizes is None):
            raise ShapeError("Resize: either scales or sizes must be there, and not both")
        if scales is not None:
            return _scaled("Resize", x, scales, axes, crop)
        assert sizes is not None
        return self._sized(x, integers_of("Resize", "sizes", sizes), axes, crop)

    def _sized(self, x: Array, sizes: Sequence[int], axes: Sequence[int], roi: Array | None) -> list[AxisSize]:
        if len(sizes) != len(axes):
            raise ShapeError(f"Resize: sizes must be {len(axes)} numbers, got {tuple(sizes)}")
        found = []
        scales = [new / max(1, x.shape[axis]) for axis, new in zip(axes, sizes, strict=True)]
        if self._policy != "stretch":
            common = min(scales) if self._policy == "not_larger" else max(scales)
            scales = [common] * len(scales)
            sizes = [int(np.floor(common * x.shape[axis] + 0.5)) for axis in axes]
        for i, (axis, new, scale) in enumerate(zip(axes, sizes, scales, strict=True)):
            start, end = (0.0, 1.0) if roi is None else (float(roi[i]), float(roi[i + len(axes)]))
            found.append(AxisSize(axis, x.shape[axis], new, scale, start, end))
        return found


def _present(array: Array | None) -> Array | None:
    return None if array is None or array.size == 0 else array


@operator("Resize")
def resize(node: Node) -> Resampler:
    """y = x interpolated; version 10 had factors alone, and places were x_new / scale.

    ``align_corners`` puts the outermost pixels of both pictures on top of each other, as onnxruntime and PyTorch have
    it; ONNX's reference computes with the size before it is rounded down where a scale is given.
    """
    mode = choice(node, "mode", "nearest", ("nearest", "linear", "cubic") if node.opset > 10 else ("nearest", "linear"))
    if node.opset < 11:
        return Factors(node, Interpolation(mode, "asymmetric", "simple"))
    how = Interpolation(
        mode,
        choice(node, "coordinate_transformation_mode", "half_pixel", COORDINATES),
        choice(node, "nearest_mode", "round_prefer_floor", NEAREST),
        number(node, "cubic_coeff_a", -0.75),
        bool(integer(node, "exclude_outside", 0)),
        bool(integer(node, "antialias", 0)),
        number(node, "extrapolation_value", 0.0),
    )
    return Resize(node, how)


# --- Upsample, and Resize before version 11 --------------------------------------------------------------------------


class Factors(Resampler):
    """One factor for each axis, as an attribute before version 9 and as the second input from then on."""

    arity = (1, 2)

    def __init__(self, node: Node, how: Interpolation, scales: Sequence[float] | None = None) -> None:
        super().__init__(node, how)
        self._scales = None if scales is None else np.array(scales, np.float32)

    def sizes(self, x: Array, inputs: Sequence[Array | None]) -> list[AxisSize]:
        """All axes."""
        scales = optional(inputs, 0) if self._scales is None else self._scales
        if scales is None:
            raise ShapeError(f"{self.op_type}: scales are missing")
        return _scaled(self.op_type, x, scales, range(x.ndim))


@operator("Upsample")
def upsample(node: Node) -> Factors:
    """y = x with every number repeated, or linear interpolation between them; Resize took its place in version 10."""
    modes = ("nearest", "linear") if node.opset > 1 else ("nearest", "bilinear")
    mode = choice(node, "mode", "nearest", modes)
    how = Interpolation("nearest" if mode == "nearest" else "linear", "asymmetric", "floor")
    if node.opset >= 9:
        return Factors(node, how)
    if node.opset >= 7:
        scales = node.attributes.get("scales")
    else:
        scales = [1.0, 1.0, number(node, "height_scale", 0.0), number(node, "width_scale", 0.0)]
    if not isinstance(scales, list) or not all(isinstance(scale, int | float) for scale in scales):
        raise FormatError(f"{label(node)}: scales must be a list of floats, got {scales!r}")
    return Factors(node, how, scales)
