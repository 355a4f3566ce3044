"""Pools of windows, and of whole images.

ONNX's `ceil_mode` has been defined in several ways over the years: which windows hang over the edge, and by what
the mean is divided there. The size of the images is known here, so that what a window hangs over is written as
padding, which has only ever had one meaning.
"""

from __future__ import annotations

import numpy as np

from ....layers import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
from ....layers.base import Shape
from ....ops import conv_geometry
from ....ops.avg_pooling import window_counts
from ....ops.utils import ConvGeometry
from ....typing import Sides
from ..export_graph import Place
from .convolution import pads
from .table import exports


@exports(GlobalAvgPool2d, since=1)
def global_average(place: Place, layer: GlobalAvgPool2d, x: str, shape: Shape) -> str:
    """GlobalAveragePool."""
    return place.node("GlobalAveragePool", x)


@exports(GlobalMaxPool2d, since=1)
def global_max(place: Place, layer: GlobalMaxPool2d, x: str, shape: Shape) -> str:
    """GlobalMaxPool."""
    return place.node("GlobalMaxPool", x)


@exports(MaxPool2d, since=1)
def max_pool(place: Place, layer: MaxPool2d, x: str, shape: Shape) -> str:
    """MaxPool, with as much padding (of -inf) as its last windows reach over."""
    geometry = _geometry(layer, shape, layer.dilation)
    windows = {"kernel_shape": list(geometry.kernel), "strides": list(geometry.stride)}
    if geometry.dilation != (1, 1):
        place.require_opset(10)
        windows["dilations"] = list(geometry.dilation)
    return place.node("MaxPool", x, **windows, pads=pads(_reached(geometry)))


@exports(AvgPool2d, since=7)
def average_pool(place: Place, layer: AvgPool2d, x: str, shape: Shape) -> str:
    """AveragePool; where windows hang over the padding, sums over padded images divided by what counts."""
    geometry = _geometry(layer, shape, 1)
    sides = _reached(geometry)
    windows = {"kernel_shape": list(geometry.kernel), "strides": list(geometry.stride)}
    if all(s[1] <= p[1] for s, p in zip(sides, geometry.padding, strict=True)) or not layer.count_include_pad:
        include = int(layer.count_include_pad)
        return place.node("AveragePool", x, **windows, pads=pads(sides), count_include_pad=include)
    place.require_opset(11)
    (top, bottom), (left, right) = sides
    padded = place.node("Pad", x, place.integers(0, 0, top, left, 0, 0, bottom, right), mode="constant")
    share = np.prod(geometry.kernel) / window_counts(geometry, layer.count_include_pad)  # (OH, OW)
    return place.node("Mul", place.node("AveragePool", padded, **windows), place.constant(share))


def _geometry(layer: MaxPool2d | AvgPool2d, shape: Shape, dilation: int | tuple[int, int]) -> ConvGeometry:
    """Where the windows lie."""
    _, H, W = shape
    stride = layer.kernel_size if layer.stride is None else layer.stride
    name = type(layer).__name__
    return conv_geometry(name, (H, W), layer.kernel_size, stride, layer.padding, dilation, ceil_mode=layer.ceil_mode)


def _reached(geometry: ConvGeometry) -> Sides:
    """The padding, at the end as much as the last windows reach over: more than it was with `ceil_mode`."""
    sides = []
    for axis, (before, after) in enumerate(geometry.padding):
        last = (geometry.output[axis] - 1) * geometry.stride[axis] - before
        end = last + geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
        sides.append((before, max(after, end - geometry.input[axis])))
    return sides[0], sides[1]
