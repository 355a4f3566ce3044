"""Convolutions and the linear layer. Padding "same" is written as the numbers that it is for this input size."""

from __future__ import annotations

from ....layers import Conv2d, ConvTranspose2d, Linear
from ....layers.base import Shape
from ....ops import conv_geometry
from ....ops.padding import four_sides
from ....ops.utils import pair
from ....typing import Sides
from ..export_graph import Place
from .table import exports


def pads(sides: Sides) -> list[int]:
    """((top, bottom), (left, right)) in ONNX's order: the begin of every axis, then the end of every axis."""
    (top, bottom), (left, right) = sides
    return [top, left, bottom, right]


@exports(Conv2d, since=1)
def conv(place: Place, layer: Conv2d, x: str, shape: Shape) -> str:
    """Conv: the same cross-correlation, the same layout of the weight."""
    _, H, W = shape
    geometry = conv_geometry("Conv2d", (H, W), layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return place.node(
        "Conv",
        x,
        *place.arrays("weight", "bias"),
        kernel_shape=list(geometry.kernel),
        strides=list(geometry.stride),
        pads=pads(geometry.padding),
        dilations=list(geometry.dilation),
        group=layer.groups,
    )


@exports(ConvTranspose2d, since=1)
def conv_transpose(place: Place, layer: ConvTranspose2d, x: str, shape: Shape) -> str:
    """ConvTranspose: `pads` are what is cut off, `output_padding` is added at the end, as here."""
    name = "ConvTranspose2d"
    return place.node(
        "ConvTranspose",
        x,
        *place.arrays("weight", "bias"),
        kernel_shape=list(pair(name, "kernel_size", layer.kernel_size, minimum=1)),
        strides=list(pair(name, "stride", layer.stride, minimum=1)),
        pads=pads(four_sides(name, "padding", layer.padding)),
        dilations=list(pair(name, "dilation", layer.dilation, minimum=1)),
        output_padding=list(pair(name, "output_padding", layer.output_padding, minimum=0)),
        group=layer.groups,
    )


@exports(Linear, since=7)
def linear(place: Place, layer: Linear, x: str, shape: Shape) -> str:
    """Gemm, which takes the weight as (out, in), for vectors; what has more axes is multiplied by its transpose."""
    if len(shape) == 1:
        place.require_opset(7 if layer.bias else 11)
        return place.node("Gemm", x, *place.arrays("weight", "bias"), transB=1)
    weight, *bias = place.arrays("weight", "bias")
    product = place.node("MatMul", x, place.node("Transpose", weight, perm=[1, 0]))
    return place.node("Add", product, *bias) if bias else product
