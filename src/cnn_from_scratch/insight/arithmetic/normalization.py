"""Batch, layer and group normalization: one number among those that share its mean and variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...layers import BatchNorm1d, BatchNorm2d, GroupNorm, Layer, LayerNorm
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, products, said_at

if TYPE_CHECKING:
    from ..trace import LayerTrace


class _Statistics(NamedTuple):
    """Mean and 1 / sqrt(variance + eps) for every number of the input, in float64, and who shares them."""

    mean: Array  # the shape of x
    inv_std: Array  # the shape of x
    size: Array  # (abs(x) + mean of abs(x)) * inv_std, in the shape of x: rounding of xhat goes with it
    shared: bool  # whether they are those of the numbers themselves; False in evaluation of batch norm

    def standardized(self, x: Array) -> Array:
        """(x - mean) * inv_std"""
        return (x.astype(np.float64) - self.mean) * self.inv_std


def _view(entry: LayerTrace) -> tuple[Shape, tuple[int, ...]]:
    """A shape of x, and the axes of it over which mean and variance are taken."""
    layer, shape = entry.layer, entry.input.shape
    if isinstance(layer, LayerNorm):
        return shape, tuple(range(len(shape) - _rank(layer), len(shape)))
    if isinstance(layer, GroupNorm):
        view = (shape[0], layer.num_groups, shape[1] // layer.num_groups, *shape[2:])
        return view, tuple(range(2, len(view)))
    return shape, tuple(axis for axis in range(len(shape)) if axis != 1)


def _statistics(entry: LayerTrace) -> _Statistics:
    """Computed anew from the input; in evaluation of batch norm, what was remembered."""
    x = entry.input.astype(np.float64)
    if isinstance(entry.layer, BatchNorm1d | BatchNorm2d) and not entry.cache.n:
        mean, inv_std = (v.reshape(-1, *[1] * (x.ndim - 2)) for v in (entry.cache.mean, entry.cache.inv_std))
        size = (np.abs(x) + np.abs(mean)) * inv_std
        return _Statistics(np.broadcast_to(mean, x.shape), np.broadcast_to(inv_std, x.shape), size, shared=False)
    view, axes = _view(entry)
    seen = x.reshape(view)
    mean = seen.mean(axes, keepdims=True)
    variance = np.square(seen - mean).mean(axes, keepdims=True)
    inv_std = 1 / np.sqrt(variance + _eps(entry.layer))
    size = (np.abs(seen) + np.abs(seen).mean(axes, keepdims=True)) * inv_std
    mean, inv_std, size = (np.broadcast_to(vector, view).reshape(x.shape) for vector in (mean, inv_std, size))
    return _Statistics(mean, inv_std, size, shared=True)


def _rank(layer: LayerNorm) -> int:
    """Over how many axes."""
    return 1 if isinstance(layer.normalized_shape, int) else len(layer.normalized_shape)


def _eps(layer: Layer) -> float:
    assert isinstance(layer, BatchNorm1d | BatchNorm2d | LayerNorm | GroupNorm)
    return layer.eps


def _together(entry: LayerTrace, index: Index) -> Array:
    """The places, (T, axes), of the numbers that share mean and variance with this one."""
    view, axes = _view(entry)
    numbers = np.arange(entry.input.size).reshape(view)
    own = np.unravel_index(int(np.ravel_multi_index(index, entry.input.shape)), view)
    chosen = numbers[tuple(slice(None) if axis in axes else own[axis] for axis in range(len(view)))]
    return np.stack(np.unravel_index(chosen.ravel(), entry.input.shape), axis=1)


def _weights(entry: LayerTrace, places: Array, name: str = "weight") -> Array:
    """The weight, or bias, that each of the places (T, axes) has: 1 or 0 where there is none."""
    if name not in entry.params:
        return np.full(len(places), float(name == "weight"))
    vector = entry.params[name].astype(np.float64)
    own = places[:, -vector.ndim :] if isinstance(entry.layer, LayerNorm) else places[:, 1:2]
    return at(vector, own)


# --- forward ---------------------------------------------------------------------------------------------------------


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y = (x - mean) / sqrt(variance + eps) * weight + bias"""
    place = np.array([index])
    statistics, weight = _statistics(entry), float(_weights(entry, place)[0])
    mean, inv_std, x = float(statistics.mean[index]), float(statistics.inv_std[index]), float(entry.input[index])
    terms = products(
        (),
        (said_at("x", index), "-mean"),
        value=np.array([x, -mean]),
        inv_std=np.full(2, inv_std),
        weight=np.full(2, weight),
    )
    whose = "remembered from training"
    if statistics.shared:
        whose = f"those of the {len(_together(entry, index))} numbers that are normalized together"
    return Parts(
        "y = (x - mean) * inv_std * weight + bias, inv_std = 1 / sqrt(variance + eps)",
        terms,
        constant=float(_weights(entry, place, "bias")[0]) if "bias" in entry.params else None,
        scale=abs(weight) * float(statistics.size[index]),
        notes=(f"mean {mean:.6g} and variance {1 / inv_std**2 - _eps(entry.layer):.6g} are {whose}",),
    )


# --- backward --------------------------------------------------------------------------------------------------------


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[i] = sum_j dy[j] * weight[j] * inv_std * ([i = j] - 1/n - xhat[j] * xhat[i] / n)"""
    statistics, dy = _statistics(entry), entry.dy
    assert dy is not None
    if not statistics.shared:
        return _blame_alone(entry, index, statistics)
    places, xhat = _together(entry, index), statistics.standardized(entry.input)
    n, inv_std, own = len(places), float(statistics.inv_std[index]), (places == np.array(index)).all(1)
    parts = (own.astype(np.float64), np.full(n, -1 / n), -at(xhat, places) * xhat[index] / n)
    sizes = own + 1 / n + at(statistics.size, places) * statistics.size[index] / n
    gain = _weights(entry, places) * inv_std
    upstream = at(dy, places).astype(np.float64)
    terms = products((Place("y", places),), dy=upstream, slope=gain * np.sum(parts, axis=0))
    return Parts(
        "dx[i] = sum of dy[j] * dy[j]/dx[i]; dy[j]/dx[i] = weight[j] * inv_std * ([i = j] - 1/n - xhat[j]*xhat[i]/n)",
        terms,
        notes=(f"through mean and variance it moves all n = {n} numbers that share them",),
        scale=math.fsum(np.abs(upstream * gain) * sizes),
    )


def _blame_alone(entry: LayerTrace, index: Index, statistics: _Statistics) -> Parts:
    """In evaluation mean and variance do not depend on x."""
    place = np.array([index])
    assert entry.dy is not None
    factors = {"dy": at(entry.dy, place), "weight": _weights(entry, place), "inv_std": at(statistics.inv_std, place)}
    return Parts("dx = dy * weight * inv_std", products((Place("y", place),), (), **factors))


def blame_weight(entry: LayerTrace, index: Index) -> Parts:
    """dweight = the sum of dy * xhat over the numbers that it scales"""
    statistics, dy, places = _statistics(entry), entry.dy, _scaled(entry, index)
    assert dy is not None
    xhat = statistics.standardized(entry.input)
    terms = products((Place("y", places),), dy=at(dy, places), xhat=at(xhat, places))
    scale = math.fsum(np.abs(at(dy, places)) * at(statistics.size, places))
    return Parts("dweight = sum of dy * xhat, xhat = (x - mean) * inv_std", terms, scale=scale)


def blame_bias(entry: LayerTrace, index: Index) -> Parts:
    """dbias = the sum of dy over the numbers that it is added to"""
    places = _scaled(entry, index)
    assert entry.dy is not None
    return Parts("dbias = sum of dy", products((Place("y", places),), dy=at(entry.dy, places)))


def _scaled(entry: LayerTrace, index: Index) -> Array:
    """The places, (T, axes), that a weight or bias belongs to."""
    numbers, sizes = np.arange(entry.input.size).reshape(entry.input.shape), entry.params["weight"].shape
    if not isinstance(entry.layer, LayerNorm):
        numbers = np.moveaxis(numbers, 1, -1)
    scaled = numbers.reshape(-1, math.prod(sizes))[:, int(np.ravel_multi_index(index, sizes))]
    return np.stack(np.unravel_index(scaled, entry.input.shape), axis=1)


# --- the field of view -----------------------------------------------------------------------------------------------


def field_of_batch(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """The number itself, with remembered statistics; `receptive_field` knows when those of the batch count."""
    return seen


def field_of_layer(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All numbers that share mean and variance with a marked one."""
    assert isinstance(layer, LayerNorm)
    return np.broadcast_to(seen.any(tuple(range(-_rank(layer), 0)), keepdims=True), input_shape).copy()


def field_of_group(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All numbers of the groups in which one is marked."""
    assert isinstance(layer, GroupNorm)
    groups = seen.reshape(layer.num_groups, -1)
    return np.broadcast_to(groups.any(1, keepdims=True), groups.shape).reshape(input_shape)


BATCH = Rule(explain, blame_input, field_of_batch, blame_weight, blame_bias)
LAYER = Rule(explain, blame_input, field_of_layer, blame_weight, blame_bias)
GROUP = Rule(explain, blame_input, field_of_group, blame_weight, blame_bias)
