"""Arithmetic of two arrays or more, broadcast to one shape: Add, Sub, Mul, Div, Pow, Sum, Mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ....typing import Array
from ..attributes import given, integer
from ..registry import Node, operator
from .broadcasting import align, result_for, sum_to
from .pure import PureOperation, require_floats, require_one_dtype

MANY = 1 << 20
"""Inputs of an operator that takes any number of them."""

BinaryGradient: TypeAlias = Callable[[Array, Array, Array, Sequence[bool]], tuple[Array | None, Array | None]]


class Binary(PureOperation):
    """y = a (+, -, *, /) b; before version 7 only b is broadcast, and only where the node says so."""

    arity = (2, 2)

    def __init__(self, node: Node, combine: Callable[..., Any], differentiate: BinaryGradient) -> None:
        super().__init__(node)
        self._combine, self._differentiate = combine, differentiate
        self._old = node.opset < 7
        self._broadcast = bool(integer(node, "broadcast", 0))
        self._axis = integer(node, "axis")

    def compute(self, a: Array, b: Array) -> tuple[Array, tuple[Array, Array, tuple[int, ...]]]:
        """Into an array that lies as the inputs do."""
        self._require_dtypes(a, b)
        aligned = align(self.op_type, a, b, self._broadcast, self._axis) if self._old else b
        y = result_for(self.op_type, [a, aligned], a.dtype.newbyteorder("="))
        self._combine(a, aligned, out=y)
        return y, (a, aligned, b.shape)

    def _require_dtypes(self, a: Array, b: Array) -> None:
        require_one_dtype(self, [a, b])

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """Those of the formula, summed over what was broadcast."""
        a, b, shape = cache
        da, db = self._differentiate(dy, a, b, wanted)
        return (
            None if da is None else sum_to(da, a.shape),
            None if db is None else sum_to(db, b.shape).reshape(shape),
        )


@operator("Add")
def add(node: Node) -> Binary:
    """y = a + b;  da = dy, db = dy."""
    return Binary(node, np.add, _add_backward)


def _add_backward(dy: Array, a: Array, b: Array, wanted: Sequence[bool]) -> tuple[Array, Array]:
    return dy, dy


@operator("Sub")
def sub(node: Node) -> Binary:
    """y = a - b;  da = dy, db = -dy."""
    return Binary(node, np.subtract, _sub_backward)


def _sub_backward(dy: Array, a: Array, b: Array, wanted: Sequence[bool]) -> tuple[Array, Array | None]:
    return dy, -dy if wanted[1] else None


@operator("Mul")
def mul(node: Node) -> Binary:
    """y = a * b;  da = dy * b, db = dy * a."""
    return Binary(node, np.multiply, _mul_backward)


def _mul_backward(dy: Array, a: Array, b: Array, wanted: Sequence[bool]) -> tuple[Array | None, Array | None]:
    return (dy * b if wanted[0] else None), (dy * a if wanted[1] else None)


@operator("Div")
def div(node: Node) -> Binary:
    """y = a / b, of integers rounded towards zero;  da = dy / b, db = -dy * a / (b*b)."""
    return Binary(node, divide, _div_backward)


def divide(a: Array, b: Array, *, out: Array) -> None:
    """out = a / b; of integers the quotient is truncated, as C does it, where NumPy's `//` rounds down.

    Examples
    --------
    >>> out = np.empty(2, np.int32)
    >>> divide(np.array([-7, 7], np.int32), np.array([2, 2], np.int32), out=out)
    >>> out
    array([-3,  3], dtype=int32)
    """
    if a.dtype.kind == "f":
        np.divide(a, b, out=out)
        return
    np.floor_divide(a, b, out=out)
    if a.dtype.kind == "i":
        out += (np.remainder(a, b) != 0) & ((a < 0) != (b < 0))


def _div_backward(dy: Array, a: Array, b: Array, wanted: Sequence[bool]) -> tuple[Array | None, Array | None]:
    da = dy / b
    return da, (-da * a / b if wanted[1] else None)


# --- Pow -------------------------------------------------------------------------------------------------------------


class Pow(Binary):
    """y = a ** b in the dtype of a; since version 12 the exponent may have another one."""

    def _require_dtypes(self, a: Array, b: Array) -> None:
        if self.opset < 12:
            require_one_dtype(self, [a, b])


@operator("Pow")
def pow_(node: Node) -> Pow:
    """y = a ** b."""
    return Pow(node, power, _pow_backward)


def power(a: Array, b: Array, *, out: Array) -> None:
    """out = a ** b in the dtype of out, that of a; integers with another kind of exponent go by float64.

    Examples
    --------
    >>> out = np.empty(2, np.int64)
    >>> power(np.array([2, 3]), np.array([0.5, 2.5]), out=out)
    >>> out
    array([ 1, 15])
    """
    if a.dtype.kind == "f":
        b = b.astype(a.dtype, copy=False)
        if b.size == 1 and b.item() == 2:  # the usual exponent, ten times as fast
            np.multiply(a, a, out=out)
        else:
            np.power(a, b, out=out)
    elif b.dtype.kind in "ui" and not (b.dtype.kind == "i" and (b < 0).any()):
        np.power(a, b.astype(a.dtype, copy=False), out=out)
    else:
        np.copyto(out, np.power(a.astype(np.float64), b), casting="unsafe")


def _pow_backward(dy: Array, a: Array, b: Array, wanted: Sequence[bool]) -> tuple[Array | None, Array | None]:
    """da = dy * b * a^(b-1), 0 where b is;  db = dy * a^b * log(a), 0 where a is."""
    exponent = b.astype(a.dtype, copy=False)
    da = db = None
    if wanted[0]:
        slope = exponent * np.power(a, exponent - 1)
        da = dy * np.where(exponent == 0, slope.dtype.type(0), slope)
    if wanted[1] and b.dtype.kind == "f":
        growth = np.power(a, exponent) * np.log(a)
        db = (dy * np.where(a == 0, growth.dtype.type(0), growth)).astype(b.dtype, copy=False)
    return da, db


# --- Sum and Mean ----------------------------------------------------------------------------------------------------


class Total(PureOperation):
    """y = x0 + x1 + ..., divided by their number for Mean."""

    arity = (1, MANY)

    def compute(self, *inputs: Array) -> tuple[Array, Any]:
        """Added one after the other."""
        given(self, inputs, len(inputs))
        require_one_dtype(self, inputs)
        if self.op_type == "Mean":
            require_floats(self, inputs[0])
        y = result_for(self.op_type, inputs, inputs[0].dtype.newbyteorder("="))
        np.copyto(y, inputs[0])
        for x in inputs[1:]:
            y += x
        if self.op_type == "Mean":
            y /= len(inputs)
        return y, [x.shape for x in inputs]

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The same for all of one shape."""
        if self.op_type == "Mean":
            dy = dy / dy.dtype.type(len(cache))
        return [sum_to(dy, shape) if asked else None for shape, asked in zip(cache, wanted, strict=True)]


@operator("Sum", "Mean")
def total(node: Node) -> Total:
    """y = x0 + x1 + ..., or its mean."""
    return Total(node)
