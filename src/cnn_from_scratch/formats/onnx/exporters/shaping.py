"""Layers that move numbers, and those that do nothing when a model predicts."""

from __future__ import annotations

from ....layers import Dropout, Flatten, Identity, ReflectionPad2d, ReplicationPad2d, Upsample, ZeroPad2d
from ....layers.base import Shape
from ....ops.utils import pair
from ..export_graph import Place
from .table import exports

PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
"""Our names and ONNX's."""


@exports(Flatten, since=1)
def flatten(place: Place, layer: Flatten, x: str, shape: Shape) -> str:
    """Flatten where one axis is left besides the batch, else Reshape; 0 is the length that an axis has."""
    output = layer.output_shape(shape)
    if len(output) == 1:
        return place.node("Flatten", x, axis=1)
    place.require_opset(5)
    return place.node("Reshape", x, place.integers(0, *output))


@exports(Identity, since=1)
def identity(place: Place, layer: Identity, x: str, shape: Shape) -> str:
    """Identity."""
    return place.node("Identity", x)


@exports(Dropout, since=1)
def dropout(place: Place, layer: Dropout, x: str, shape: Shape) -> str:
    """Nothing: it acts in training only."""
    return x


@exports(ZeroPad2d, ReflectionPad2d, ReplicationPad2d, since=11)
def pad(place: Place, layer: ZeroPad2d, x: str, shape: Shape) -> str:
    """Pad; the axes of batch and channels by nothing."""
    (top, bottom), (left, right) = layer._sides()
    return place.node("Pad", x, place.integers(0, 0, top, left, 0, 0, bottom, right), mode=PAD_MODES[layer.mode])


@exports(Upsample)
def upsample(place: Place, layer: Upsample, x: str, shape: Shape) -> str:
    """Resize: y[oh] = x[floor(oh / scale)]"""
    SH, SW = pair("Upsample", "scale_factor", layer.scale_factor, minimum=1)
    scales = place.constant([1, 1, SH, SW], "float32")
    return place.node(
        "Resize",
        x,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
