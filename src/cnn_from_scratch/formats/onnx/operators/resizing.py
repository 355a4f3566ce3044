"""Resize and Upsample: images, or any arrays, with more numbers or fewer along their axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....errors import FormatError, ShapeError
from ....typing import Array
from ..attributes import choice, integer, integers, label, number, optional
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .resampling import Resampler, scaled
from .resize_axis import COORDINATES, NEAREST, AxisSize, Interpolation

POLICIES = ("stretch", "not_larger", "not_smaller")


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
            return scaled("Resize", x, scales, axes, crop)
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
        return scaled(self.op_type, x, scales, range(x.ndim))


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
