"""Transposed convolution: every pixel puts a copy of the kernel into the output, and overlapping copies add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...layers import ConvTranspose2d, Layer
from ...ops.padding import four_sides
from ...ops.utils import pair
from ...typing import Array
from .convolution import channel_sum
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, grid, products
from .window import Axis, gather

if TYPE_CHECKING:
    from ..trace import LayerTrace


def _axes(layer: Layer, input_shape: Shape) -> tuple[Axis, Axis]:
    """Rows and columns of the convolution that leads from the output back to the input."""
    assert isinstance(layer, ConvTranspose2d)
    kernel, stride, dilation = (
        pair("explain", name, getattr(layer, name), minimum=1) for name in ("kernel_size", "stride", "dilation")
    )
    sides = four_sides("explain", "padding", layer.padding)
    output = layer.output_shape(input_shape)[1:]
    rows, columns = (
        Axis(output[i], kernel[i], stride[i], dilation[i], before=sides[i][0], output=input_shape[1 + i])
        for i in (0, 1)
    )
    return rows, columns


def _groups(layer: Layer) -> tuple[int, int]:
    """Channels and filters of one group."""
    assert isinstance(layer, ConvTranspose2d)
    return layer.in_channels // layer.groups, layer.out_channels // layer.groups


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y[n, f, oh, ow] = bias[f] + the sum of x * weight over the pixels whose copy of the kernel reaches there"""
    n, f, oh, ow = index
    x, weight = entry.input, entry.params["weight"]
    rows, columns = _axes(entry.layer, x.shape[1:])
    (kh, h), (kw, w), (CG, FG) = rows.seen_by(oh), columns.seen_by(ow), _groups(entry.layer)
    channels = np.arange(f // FG * CG, (f // FG + 1) * CG)
    pixels, weights = grid(n, channels, h, w), grid(channels, f % FG, kh, kw)
    notes = () if len(pixels) else ("no copy of the kernel reaches this place, which output_padding added",)
    return Parts(
        "y[n, f, oh, ow] = bias[f] + sum of x[n, c, h, w] * weight[c, f, kh, kw] over h*SH + kh*DH - PH = oh, "
        "likewise ow",
        products((Place("x", pixels), Place("weight", weights)), x=at(x, pixels), weight=at(weight, weights)),
        constant=float(entry.params["bias"][f]) if "bias" in entry.params else None,
        notes=notes,
    )


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[n, c, h, w] = the sum of dy * weight over the places that the pixel's copy of the kernel reaches"""
    n, c, h, w = index
    weight, dy = entry.params["weight"], entry.dy
    assert dy is not None
    rows, columns = _axes(entry.layer, entry.input.shape[1:])
    (kh, oh), (kw, ow), (CG, FG) = _reached(rows, h), _reached(columns, w), _groups(entry.layer)
    filters = np.arange(FG)
    outputs, weights = grid(n, c // CG * FG + filters, oh, ow), grid(c, filters, kh, kw)
    return Parts(
        "dx[n, c, h, w] = sum of dy[n, f, h*SH + kh*DH - PH, w*SW + kw*DW - PW] * weight[c, f, kh, kw]",
        products((Place("y", outputs), Place("weight", weights)), dy=at(dy, outputs), weight=at(weight, weights)),
    )


def blame_weight(entry: LayerTrace, index: Index) -> Parts:
    """dweight[c, f, kh, kw] = the sum over all images and pixels of x times the dy where the weight put it"""
    c, f, kh, kw = index
    x, dy = entry.input, entry.dy
    assert dy is not None
    rows, columns = _axes(entry.layer, x.shape[1:])
    (h, oh), (w, ow), (CG, FG) = rows.met_at(kh), columns.met_at(kw), _groups(entry.layer)
    images = np.arange(len(x))
    pixels, outputs = grid(images, c, h, w), grid(images, c // CG * FG + f, oh, ow)
    return Parts(
        "dweight[c, f, kh, kw] = sum of x[n, c, h, w] * dy[n, f, h*SH + kh*DH - PH, w*SW + kw*DW - PW]",
        products((Place("y", outputs), Place("x", pixels)), dy=at(dy, outputs), x=at(x, pixels)),
    )


def blame_bias(entry: LayerTrace, index: Index) -> Parts:
    """dbias[f] = the sum over all images and positions of dy"""
    return channel_sum(entry, index[0])


def _reached(axis: Axis, i: int) -> tuple[Array, Array]:
    """The places of the kernel whose copy, for pixel i, falls into the output, and where."""
    reached = axis.seen(i)
    places = np.flatnonzero((reached >= 0) & (reached < axis.size))
    return places, reached[places]


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All channels of the groups in which an output is marked, where a copy of the kernel reaches one."""
    CG, FG = _groups(layer)
    of_group: Array = np.logical_or.reduce(seen.reshape(-1, FG, *seen.shape[1:]), 1)  # (G, OH, OW)
    return gather(_axes(layer, input_shape), of_group).repeat(CG, axis=0)  # (C, H, W)


RULE = Rule(explain, blame_input, field, blame_weight, blame_bias)
