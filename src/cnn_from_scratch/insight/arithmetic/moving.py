"""Layers that move numbers and do not compute: flatten, padding, upsampling, identity; dropout may drop them.

Such a layer is asked where it moves things by letting it move numbers that say their own place, from 1 on; what is 0
then comes from nowhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...layers import Context, Layer
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, products

if TYPE_CHECKING:
    from ..trace import LayerTrace


def sources(layer: Layer, input_shape: Shape) -> Array:
    """For every number of one example's output, which number of its input it is, counted from 1; 0 for none.

    Examples
    --------
    >>> from cnn_from_scratch.layers import ZeroPad2d
    >>> sources(ZeroPad2d((1, 0, 0, 0)), (1, 1, 2))
    array([[[0, 1, 2]]])
    """
    places = np.arange(1.0, math.prod(input_shape) + 1).reshape(1, *input_shape)
    moved, _ = layer.forward(places, Context())
    counted: Array = moved[0].astype(np.int64)
    return counted


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y = x of one place, or 0"""
    n, *place = index
    source = int(sources(entry.layer, entry.input.shape[1:])[tuple(place)])
    pixels = _indices(n, np.array([source] if source else [], np.int64), entry.input.shape)
    notes = () if source else ("it is padding, which is 0 and comes from no input",)
    return Parts("y = x, moved", products((Place("x", pixels),), x=at(entry.input, pixels)), notes=notes)


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx = the sum of dy over all places that the number was moved or copied to"""
    n, *place = index
    moved = sources(entry.layer, entry.input.shape[1:])
    wanted = 1 + int(np.ravel_multi_index(tuple(place), entry.input.shape[1:]))
    assert entry.dy is not None
    outputs = _indices(n, 1 + np.flatnonzero(moved == wanted), entry.dy.shape)
    return Parts("dx = sum of dy over the copies of x", products((Place("y", outputs),), dy=at(entry.dy, outputs)))


def _indices(n: int, counted: Array, shape: Shape) -> Array:
    """Numbers counted from 1 within example n as indices (T, axes) of the batch."""
    within = np.unravel_index(counted - 1, shape[1:])
    return np.stack([np.full(len(counted), n), *within], axis=1)


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """Where the marked numbers were moved from."""
    marked = sources(layer, input_shape)[seen]
    pixels = np.zeros(1 + math.prod(input_shape), bool)
    pixels[marked] = True
    return pixels[1:].reshape(input_shape)


# --- dropout ---------------------------------------------------------------------------------------------------------


def explain_dropout(entry: LayerTrace, index: Index) -> Parts:
    """y = x * keep / (1 - p)"""
    place = np.array([index])
    terms = products((Place("x", place),), x=at(entry.input, place), scale=_scale(entry, index))
    return Parts("y = x * keep / (1 - p)", terms, notes=_said(entry, index))


def blame_dropout(entry: LayerTrace, index: Index) -> Parts:
    """dx = dy * keep / (1 - p)"""
    place = np.array([index])
    assert entry.dy is not None
    terms = products((Place("y", place),), dy=at(entry.dy, place), scale=_scale(entry, index))
    return Parts("dx = dy * keep / (1 - p)", terms, notes=_said(entry, index))


def _scale(entry: LayerTrace, index: Index) -> Array:
    keep, p, *_ = entry.cache
    return np.array([1.0 if keep is None else keep[index] / (1 - p)])


def _said(entry: LayerTrace, index: Index) -> tuple[str, ...]:
    keep, p, *_ = entry.cache
    if keep is None:
        return ("nothing is dropped in evaluation",)
    return (f"kept, and divided by 1 - {p:g}" if keep[index] else f"dropped, as {p:g} of all numbers are",)


def same(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """Each output sees the input at its own place."""
    return seen


MOVING = Rule(explain, blame_input, field)
DROPOUT = Rule(explain_dropout, blame_dropout, same)
