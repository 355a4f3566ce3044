"""Convolution: patch times filter forward; backward dy times what each weight, or each pixel, met."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...layers import Conv2d, Layer
from ...ops.utils import conv_geometry
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, grid, products
from .window import Axis, Window, axes_of, cut, spread

if TYPE_CHECKING:
    from ..trace import LayerTrace

ROUNDOFFS = {"winograd2": 10, "winograd4": 300}
"""How many unit roundoffs Winograd's transforms may lead away; see `_winograd_bound`."""


class _Sizes(NamedTuple):
    """What a convolution knows of its windows and groups."""

    rows: Axis
    columns: Axis
    in_group: int  # C/G
    filters: int  # F/G: filters of a group


def _sizes(layer: Layer, H: int, W: int) -> _Sizes:
    assert isinstance(layer, Conv2d)
    geometry = conv_geometry("explain", (H, W), layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    groups = layer.groups
    return _Sizes(*axes_of(geometry), layer.in_channels // groups, layer.out_channels // groups)


# --- forward ---------------------------------------------------------------------------------------------------------


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y[n, f, oh, ow] = bias[f] + the sum over the patch of x * weight"""
    n, f, oh, ow = index
    x, weight = entry.input, entry.params["weight"]
    rows, columns, CG, FG = _sizes(entry.layer, *x.shape[2:])
    h, w = rows.seen(oh), columns.seen(ow)
    channels = np.arange(f // FG * CG, (f // FG + 1) * CG)
    kh, kw = np.flatnonzero((h >= 0) & (h < rows.size)), np.flatnonzero((w >= 0) & (w < columns.size))
    pixels = grid(n, channels, h[kh], w[kw])
    weights = grid(f, np.arange(CG), kh, kw)
    return Parts(
        "y[n, f, oh, ow] = bias[f] + sum of x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW] * weight[f, c, kh, kw]",
        products((Place("x", pixels), Place("weight", weights)), x=at(x, pixels), weight=at(weight, weights)),
        constant=float(entry.params["bias"][f]) if "bias" in entry.params else None,
        window=Window(
            h, w, x.shape[2:], channels, cut(x[n, channels], h, w), weight[f], rows.unseen(), columns.unseen()
        ),
        bound=_winograd_bound(entry, np.abs(x).max(initial=0) * _largest_sum(weight, (1, 2, 3))),
    )


# --- backward --------------------------------------------------------------------------------------------------------


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[n, c, h, w] = the sum over all windows that hold the pixel, and all filters, of dy * weight"""
    n, c, h, w = index
    weight, dy = entry.params["weight"], entry.dy
    assert dy is not None
    rows, columns, CG, FG = _sizes(entry.layer, *entry.input.shape[2:])
    (kh, oh), (kw, ow) = rows.seen_by(h), columns.seen_by(w)
    filters = np.arange(c // CG * FG, (c // CG + 1) * FG)
    outputs = grid(n, filters, oh, ow)
    weights = grid(filters, c % CG, kh, kw)  # in the order of the outputs: kh belongs to oh, and kw to ow
    return Parts(
        "dx[n, c, h, w] = sum of dy[n, f, oh, ow] * weight[f, c, kh, kw] over oh*SH + kh*DH - PH = h, likewise w",
        products((Place("y", outputs), Place("weight", weights)), dy=at(dy, outputs), weight=at(weight, weights)),
        bound=_winograd_bound(entry, np.abs(dy).max(initial=0) * _largest_sum(weight, (0, 2, 3))),
    )


def blame_weight(entry: LayerTrace, index: Index) -> Parts:
    """dweight[f, c, kh, kw] = the sum over all images and windows of dy times the pixel that the weight met"""
    f, c, kh, kw = index
    x, dy = entry.input, entry.dy
    assert dy is not None
    rows, columns, CG, FG = _sizes(entry.layer, *x.shape[2:])
    (oh, h), (ow, w) = rows.met_at(kh), columns.met_at(kw)
    images = np.arange(len(x))
    outputs, pixels = grid(images, f, oh, ow), grid(images, f // FG * CG + c, h, w)
    padded = rows.output * columns.output - len(oh) * len(ow)
    return Parts(
        "dweight[f, c, kh, kw] = sum of dy[n, f, oh, ow] * x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW]",
        products((Place("y", outputs), Place("x", pixels)), dy=at(dy, outputs), x=at(x, pixels)),
        notes=(f"at {padded} of {rows.output * columns.output} positions it met the padding: 0",) if padded else (),
        bound=_winograd_bound(entry, _tile_products(entry, x, dy)),
    )


def blame_bias(entry: LayerTrace, index: Index) -> Parts:
    """dbias[f] = the sum over all images and positions of dy"""
    return channel_sum(entry, index[0])


def channel_sum(entry: LayerTrace, f: int) -> Parts:
    """The sum of dy over everything but the channels, which every bias of a channel receives."""
    assert entry.dy is not None
    lengths = [np.arange(size) for size in entry.dy.shape]
    outputs = grid(lengths[0], f, *lengths[2:])
    formula = "dbias[f] = sum of dy[n, f, oh, ow]" if entry.dy.ndim == 4 else "dbias[c] = sum of dy[n, c]"
    return Parts(formula, products((Place("y", outputs),), dy=at(entry.dy, outputs)))


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All channels of the groups in which a filter is marked, where its windows are."""
    C, H, W = input_shape
    rows, columns, CG, FG = _sizes(layer, H, W)
    of_group: Array = np.logical_or.reduce(seen.reshape(C // CG, FG, *seen.shape[1:]), 1)  # (G, OH, OW)
    return spread((rows, columns), of_group).repeat(CG, axis=0)  # (C, H, W)


# --- what rounding may do --------------------------------------------------------------------------------------------


def _winograd_bound(entry: LayerTrace, scale: float) -> float | None:
    """Where Winograd ran: a tile mixes its numbers before it separates them, so errors go with the largest of all."""
    roundoffs, unit = ROUNDOFFS.get(getattr(entry.cache, "algorithm", "")), float(np.finfo(entry.input.dtype).eps) / 2
    return None if roundoffs is None else roundoffs * unit * float(scale)


def _largest_sum(weight: Array, axes: tuple[int, ...]) -> float:
    return float(np.abs(weight).sum(axes).max(initial=0))


def _tile_products(entry: LayerTrace, x: Array, dy: Array) -> float:
    """The largest dy times the largest x, as often as tiles of Winograd, which may hang over, cover a position."""
    tile = 4 if getattr(entry.cache, "algorithm", "") == "winograd4" else 2
    covered: int = len(dy) * (-(-dy.shape[2] // tile) * tile) * (-(-dy.shape[3] // tile) * tile)
    largest = float(np.abs(x).max(initial=0)) * float(np.abs(dy).max(initial=0))
    return largest * covered


RULE = Rule(explain, blame_input, field, blame_weight, blame_bias)
