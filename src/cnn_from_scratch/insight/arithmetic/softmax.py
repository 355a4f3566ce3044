"""Softmax and its logarithm: every score of a row takes part in every probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...layers import Layer, Softmax
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, products

if TYPE_CHECKING:
    from ..trace import LayerTrace


def probabilities(scores: Array) -> tuple[Array, Array, float]:
    """exp(x - max(x)), the softmax, and log(sum exp(x - max(x))), of one row, in float64.

    Examples
    --------
    >>> probabilities(np.log([1.0, 3.0]))[1]
    array([0.25, 0.75])
    """
    powers = np.exp(scores.astype(np.float64) - float(scores.max()))
    total = math.fsum(powers)
    return powers, powers / total, math.log(total)


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y[k] = exp(x[k]) / sum_j exp(x[j])"""
    places, own = _row(entry, index)
    scores = at(entry.input, places)
    powers, shares, _ = probabilities(scores)
    total = math.fsum(powers)
    factors = {"exp(x - max)": powers, "1 / sum": np.full(len(own), 1 / total), "asked for": own}
    terms = products((Place("x", places),), (), **factors)
    return Parts(
        "y[k] = exp(x[k] - max) / sum of exp(x[j] - max)",
        terms._replace(beside={"x": scores.astype(np.float64), "softmax": shares}),
        notes=(f"max {float(scores.max()):.6g}, sum {total:.6g}: all others take part in the sum",),
        scale=terms.scale * (1 + float(np.ptp(scores))),
    )


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[i] = sum_j dy[j] * y[j] * ([i = j] - y[i])"""
    places, own = _row(entry, index)
    scores = at(entry.input, places)
    _, shares, _ = probabilities(scores)
    here = float(shares[own][0])
    assert entry.dy is not None
    dy = at(entry.dy, places).astype(np.float64)
    terms = products((Place("y", places),), dy=dy, slope=shares * (own - here))
    scale = here * (float(np.abs(dy[own]).sum()) + math.fsum(np.abs(dy) * shares)) * (1 + float(np.ptp(scores)))
    return Parts("dx[i] = sum of dy[j] * y[j] * ([i = j] - y[i])", terms, scale=scale)


def explain_logarithm(entry: LayerTrace, index: Index) -> Parts:
    """y[k] = x[k] - max - log(sum_j exp(x[j] - max))"""
    places, _ = _row(entry, index)
    scores = at(entry.input, places)
    _, _, logarithm = probabilities(scores)
    values = np.array([float(entry.input[index]), -float(scores.max()), -logarithm])
    labels = ("x[k]", "-max", "-log(sum of exp(x - max))")
    return Parts("y[k] = x[k] - max - log(sum of exp(x[j] - max))", products((), labels, value=values))


def blame_logarithm(entry: LayerTrace, index: Index) -> Parts:
    """dx[i] = sum_j dy[j] * ([i = j] - softmax(x)[i])"""
    places, own = _row(entry, index)
    scores = at(entry.input, places)
    here = float(probabilities(scores)[1][own][0])
    assert entry.dy is not None
    dy = at(entry.dy, places).astype(np.float64)
    terms = products((Place("y", places),), dy=dy, slope=own - here)
    scale = float(np.abs(dy[own]).sum()) + here * math.fsum(np.abs(dy)) * (1 + float(np.ptp(scores)))
    return Parts("dx[i] = sum of dy[j] * ([i = j] - softmax(x)[i])", terms, scale=scale)


def _row(entry: LayerTrace, index: Index) -> tuple[Array, Array]:
    """The places, (T, axes), of all scores of this row, and which of them the index is."""
    assert isinstance(entry.layer, Softmax)
    axis = entry.layer.dim % entry.input.ndim
    places = np.repeat([index], entry.input.shape[axis], axis=0)
    places[:, axis] = np.arange(entry.input.shape[axis])
    return places, places[:, axis] == index[axis]


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All scores of the rows in which one is marked."""
    assert isinstance(layer, Softmax)
    axis = layer.dim - 1 if layer.dim > 0 else layer.dim
    return np.broadcast_to(seen.any(axis, keepdims=True), input_shape).copy()


SOFTMAX = Rule(explain, blame_input, field)
LOGARITHM = Rule(explain_logarithm, blame_logarithm, field)
