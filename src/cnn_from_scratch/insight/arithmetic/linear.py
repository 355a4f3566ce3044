"""The fully connected layer: one row of weights times all inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...layers import Layer
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, grid, products

if TYPE_CHECKING:
    from ..trace import LayerTrace


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y[n, o] = bias[o] + sum_i x[n, i] * weight[o, i]"""
    *rows, o = index
    x, weight = entry.input, entry.params["weight"]
    features = np.arange(weight.shape[1])
    inputs, weights = grid(*rows, features), grid(o, features)
    return Parts(
        "y[n, o] = bias[o] + sum of x[n, i] * weight[o, i]",
        products((Place("x", inputs), Place("weight", weights)), x=at(x, inputs), weight=at(weight, weights)),
        constant=float(entry.params["bias"][o]) if "bias" in entry.params else None,
    )


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[n, i] = sum_o dy[n, o] * weight[o, i]"""
    *rows, i = index
    weight, dy = entry.params["weight"], entry.dy
    assert dy is not None
    features = np.arange(len(weight))
    outputs, weights = grid(*rows, features), grid(features, i)
    return Parts(
        "dx[n, i] = sum of dy[n, o] * weight[o, i]",
        products((Place("y", outputs), Place("weight", weights)), dy=at(dy, outputs), weight=at(weight, weights)),
    )


def blame_weight(entry: LayerTrace, index: Index) -> Parts:
    """dweight[o, i] = sum_n dy[n, o] * x[n, i]"""
    o, i = index
    x, dy = entry.input, entry.dy
    assert dy is not None
    rows = [np.arange(size) for size in x.shape[:-1]]
    outputs, inputs = grid(*rows, o), grid(*rows, i)
    return Parts(
        "dweight[o, i] = sum of dy[n, o] * x[n, i]",
        products((Place("y", outputs), Place("x", inputs)), dy=at(dy, outputs), x=at(x, inputs)),
    )


def blame_bias(entry: LayerTrace, index: Index) -> Parts:
    """dbias[o] = sum_n dy[n, o]"""
    assert entry.dy is not None
    outputs = grid(*(np.arange(size) for size in entry.dy.shape[:-1]), index[0])
    return Parts("dbias[o] = sum of dy[n, o]", products((Place("y", outputs),), dy=at(entry.dy, outputs)))


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """All features of the rows in which an output is marked."""
    row: Array = np.logical_or.reduce(seen, -1, keepdims=True)
    return np.broadcast_to(row, input_shape).copy()


RULE = Rule(explain, blame_input, field, blame_weight, blame_bias)
