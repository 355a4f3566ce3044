"""The same numbers in another shape: Flatten, Reshape, Squeeze, Unsqueeze, Transpose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ....errors import ShapeError
from ....layers.shape import FlattenCache, flatten_backward, flatten_forward
from ....typing import Array
from ..attributes import integer, integers, require
from ..registry import Node, operator
from .axes import axes_in, integers_of
from .pure import OneInput, PureOperation

Shape = tuple[int, ...]


def reshape(x: Array, shape: Shape) -> tuple[Array, FlattenCache | Shape]:
    """The numbers of x in logical order, in another shape; images in any memory order as `Flatten` moves them."""
    if x.dtype.kind == "f":
        return flatten_forward(x, shape)
    return x.reshape(shape), x.shape


def reshape_back(dy: Array, cache: FlattenCache | Shape) -> Array:
    """dy in the shape, and in the memory order, of x."""
    return flatten_backward(dy, cache) if isinstance(cache, FlattenCache) else dy.reshape(cache)


# --- Flatten ---------------------------------------------------------------------------------------------------------


@operator("Flatten")
def flatten(node: Node) -> OneInput:
    """A matrix: the axes before `axis` are its rows, the others its columns."""
    return OneInput(node, partial(_flatten_forward, axis=integer(node, "axis", 1)), reshape_back)


def _flatten_forward(x: Array, *, axis: int) -> tuple[Array, Any]:
    if not -x.ndim <= axis <= x.ndim:
        raise ShapeError(f"Flatten: axis must be in [{-x.ndim}, {x.ndim}] for an array of {x.ndim} axes, got {axis}")
    first = axis + x.ndim if axis < 0 else axis
    return reshape(x, (math.prod(x.shape[:first]), math.prod(x.shape[first:])))


# --- Reshape ---------------------------------------------------------------------------------------------------------


@operator("Reshape")
class Reshape(PureOperation):
    """y = x in a new shape, in which -1 is what is left over and 0, unless ``allowzero=1``, what x has there.

    The shape is an attribute before version 5 and an input from then on.
    """

    arity = (1, 2)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._shape = require(node, "shape", integers(node, "shape")) if node.opset < 5 else None
        self._allowzero = bool(integer(node, "allowzero", 0))

    def compute(self, x: Array, shape: Array | None = None) -> tuple[Array, Any]:
        """By `reshape`."""
        if self._shape is not None:
            wanted = self._shape
        elif shape is not None:
            wanted = integers_of("Reshape", "shape", shape)
        else:
            raise ShapeError("Reshape: input shape is missing")
        return reshape(x, resolve_shape(x.shape, wanted, allowzero=self._allowzero))

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dy in the shape of x."""
        return (reshape_back(dy, cache), None)[: len(wanted)]


def resolve_shape(old: Shape, wanted: Shape, *, allowzero: bool = False) -> Shape:
    """The shape that Reshape means.

    Raises
    ------
    ShapeError
        If it does not hold as many numbers, or leaves open what -1 is.

    Examples
    --------
    >>> resolve_shape((2, 3, 4), (0, -1))
    (2, 12)
    >>> resolve_shape((2, 3, 4), (5, -1))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.ShapeError: Reshape: an array of shape (2, 3, 4) cannot take shape (5, -1)
    """
    impossible = ShapeError(f"Reshape: an array of shape {old} cannot take shape {wanted}")
    if min(wanted, default=0) < -1 or wanted.count(-1) > 1 or (allowzero and 0 in wanted and -1 in wanted):
        raise impossible
    if not allowzero:
        if any(size == 0 and axis >= len(old) for axis, size in enumerate(wanted)):
            raise impossible
        wanted = tuple(old[axis] if size == 0 else size for axis, size in enumerate(wanted))
    count, known = math.prod(old), math.prod(size for size in wanted if size != -1)
    if -1 not in wanted:
        left_over = 1
    elif known == 0 or count % known:
        raise impossible
    else:
        left_over = count // known
    if known * left_over != count:
        raise impossible
    return tuple(left_over if size == -1 else size for size in wanted)


# --- Squeeze and Unsqueeze -------------------------------------------------------------------------------------------


class SizeOneAxes(PureOperation):
    """Takes away, or adds, axes of size 1; which ones is an attribute before version 13, and an input from then on."""

    arity = (1, 2)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._axes = integers(node, "axes") if node.opset < 13 else None

    def compute(self, x: Array, axes: Array | None = None) -> tuple[Array, Shape]:
        """A view."""
        chosen = self._axes if axes is None else integers_of(self.op_type, "axes", axes)
        return self.move(x, chosen), x.shape

    def move(self, x: Array, axes: Shape | None) -> Array:
        """x with other axes."""
        raise NotImplementedError

    def gradients(self, dy: Array, cache: Shape, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dy in the shape of x."""
        return (dy.reshape(cache), None)[: len(wanted)]


@operator("Squeeze")
class Squeeze(SizeOneAxes):
    """y = x without some axes of size 1, or without any such."""

    def move(self, x: Array, axes: Shape | None) -> Array:
        """Without the axes."""
        return np.squeeze(x, None if axes is None else axes_in("Squeeze", axes, x.ndim))


@operator("Unsqueeze")
class Unsqueeze(SizeOneAxes):
    """y = x with axes of size 1 in places that are counted in y."""

    def move(self, x: Array, axes: Shape | None) -> Array:
        """With the axes."""
        if axes is None:
            raise ShapeError("Unsqueeze: axes are missing")
        return np.expand_dims(x, axes_in("Unsqueeze", axes, x.ndim + len(axes)))


# --- Transpose -------------------------------------------------------------------------------------------------------


@operator("Transpose")
def transpose(node: Node) -> OneInput:
    """y = x with its axes in another order, in reverse unless `perm` says which."""
    return OneInput(node, partial(_transpose_forward, perm=integers(node, "perm")), _transpose_backward)


def _transpose_forward(x: Array, *, perm: Shape | None) -> tuple[Array, Shape]:
    order = tuple(reversed(range(x.ndim))) if perm is None else axes_in("Transpose", perm, x.ndim)
    if len(order) != x.ndim:
        raise ShapeError(f"Transpose: perm {perm} must name all {x.ndim} axes of an array {x.shape}")
    return x.transpose(order), order


def _transpose_backward(dy: Array, order: Shape) -> Array:
    return dy.transpose(np.argsort(order))
