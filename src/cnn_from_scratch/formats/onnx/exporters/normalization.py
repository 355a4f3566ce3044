"""Normalization, as in evaluation: batch norm with what it remembers."""

from __future__ import annotations

from ....layers import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from ....layers.base import Shape
from ..export_graph import Place
from .table import exports


@exports(BatchNorm1d, BatchNorm2d, since=7)
def batch_norm(place: Place, layer: BatchNorm1d | BatchNorm2d, x: str, shape: Shape) -> str:
    """BatchNormalization; the formula where the statistics are those of the batch in evaluation, too."""
    if not layer.track_running_stats:
        place.require_opset(13)
        return _of_this_batch(place, layer, x, shape)
    C = layer.num_features
    scale, offset = place.array_or("weight", 1, (C,)), place.array_or("bias", 0, (C,))
    statistics = place.arrays("running_mean", "running_var")
    return place.node("BatchNormalization", x, scale, offset, *statistics, epsilon=float(layer.eps))


def _of_this_batch(place: Place, layer: BatchNorm1d | BatchNorm2d, x: str, shape: Shape) -> str:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the batch and all positions"""
    axes = [0, *range(2, 1 + len(shape))]
    centred = place.node("Sub", x, _mean(place, x, axes))
    variance = _mean(place, place.node("Mul", centred, centred), axes)
    deviation = place.node("Sqrt", place.node("Add", variance, place.constant(layer.eps)))
    return _scale_channels(place, place.node("Div", centred, deviation), shape)


def _mean(place: Place, x: str, axes: list[int]) -> str:
    """ReduceMean, with the axes as an input since opset 18."""
    if place.graph.opset < 18:
        return place.node("ReduceMean", x, axes=axes, keepdims=1)
    return place.node("ReduceMean", x, place.integers(*axes), keepdims=1)


def _scale_channels(place: Place, x: str, shape: Shape) -> str:
    """x * weight[c] + bias[c], as far as there are any."""
    for op_type, name in (("Mul", "weight"), ("Add", "bias")):
        for vector in place.arrays(name):
            column = place.node("Reshape", vector, place.integers(-1, *(1 for _ in shape[1:])))
            x = place.node(op_type, x, column)
    return x


@exports(LayerNorm, since=17)
def layer_norm(place: Place, layer: LayerNorm, x: str, shape: Shape) -> str:
    """LayerNormalization over the last axes."""
    normalized = layer.normalized_shape
    last = tuple(normalized) if isinstance(normalized, tuple | list) else (normalized,)
    inputs = (place.array_or("weight", 1, last), *place.arrays("bias"))
    return place.node("LayerNormalization", x, *inputs, axis=-len(last), epsilon=float(layer.eps))


@exports(GroupNorm)
def group_norm(place: Place, layer: GroupNorm, x: str, shape: Shape) -> str:
    """GroupNormalization, whose weights belong to channels since opset 21; before, InstanceNormalization of groups."""
    C, G = layer.num_channels, layer.num_groups
    if place.graph.opset >= 21:
        scale, offset = place.array_or("weight", 1, (C,)), place.array_or("bias", 0, (C,))
        return place.node("GroupNormalization", x, scale, offset, num_groups=G, epsilon=float(layer.eps))
    groups = place.node("Reshape", x, place.integers(0, G, -1))
    one, zero = place.constant([1] * G), place.constant([0] * G)
    each = place.node("InstanceNormalization", groups, one, zero, epsilon=float(layer.eps))
    return _scale_channels(place, place.node("Reshape", each, place.integers(0, *shape)), shape)
