"""Softmax and LogSoftmax: until version 12 they see a matrix, from 13 on they go along one axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ....errors import ShapeError
from ....ops import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward
from ....typing import Array
from ..attributes import integer
from ..registry import Node, operator
from .axes import axis_in
from .pure import OneInput

Forward: TypeAlias = Callable[..., tuple[Array, Any]]
Backward: TypeAlias = Callable[[Array, Any], Array]


class MatrixCache(NamedTuple):
    """What the gradient needs: the cache of the operation itself, and the shape in which it saw its input."""

    inner: Any
    seen: tuple[int, ...]


def along_axis(x: Array, *, forward: Forward, name: str, axis: int) -> tuple[Array, MatrixCache]:
    """Since version 13: each row along `axis` on its own."""
    axis = axis_in(name, axis, x.ndim)
    if x.size == 0:
        return x, MatrixCache(None, x.shape)
    y, inner = forward(x, axis=axis)
    return y, MatrixCache(inner, x.shape)


def as_matrix(x: Array, *, forward: Forward, name: str, axis: int) -> tuple[Array, MatrixCache]:
    """Before version 13: all axes from `axis` on are one row, all before it count the rows."""
    if not -x.ndim <= axis <= x.ndim:
        raise ShapeError(f"{name}: axis must be in [{-x.ndim}, {x.ndim}] for an array of {x.ndim} axes, got {axis}")
    first = axis + x.ndim if axis < 0 else axis
    lengths = [size for size in x.shape[first:] if size > 1]
    if len(lengths) == 1 and x.size:  # a single axis that has any length: the same as along it
        return along_axis(x, forward=forward, name=name, axis=first + x.shape[first:].index(lengths[0]))
    seen = (math.prod(x.shape[:first]), math.prod(x.shape[first:]))
    y, cache = along_axis(x.reshape(seen), forward=forward, name=name, axis=1)
    return y.reshape(x.shape), cache


def back(dy: Array, cache: MatrixCache, *, backward: Backward) -> Array:
    """The gradient, in the shape that the operation saw and back in that of the input."""
    if cache.inner is None:
        return dy
    return backward(dy.reshape(cache.seen), cache.inner).reshape(dy.shape)


def _make(node: Node, forward: Forward, backward: Backward) -> OneInput:
    old = node.opset < 13
    see = as_matrix if old else along_axis
    axis = integer(node, "axis", 1 if old else -1)
    return OneInput(node, partial(see, forward=forward, name=node.op_type, axis=axis), partial(back, backward=backward))


@operator("Softmax")
def softmax(node: Node) -> OneInput:
    """y[k] = exp(x[k]) / sum_j exp(x[j])."""
    return _make(node, softmax_forward, softmax_backward)


@operator("LogSoftmax")
def log_softmax(node: Node) -> OneInput:
    """y[k] = x[k] - log(sum_j exp(x[j]))."""
    return _make(node, log_softmax_forward, log_softmax_backward)
