"""One number in, one number out: Sqrt, Exp, Log, Neg, Abs, Reciprocal, Sign, Floor, Ceil, Round, Erf, Identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ....ops import erf
from ....ops.memory import empty_like
from ....typing import Array
from ..registry import Node, operator
from .pure import OneInput

Gradient: TypeAlias = Callable[[Array, Array], Array]


def _keep_result(x: Array, *, function: Callable[..., Any], name: str) -> tuple[Array, Array]:
    """For a gradient that is a formula of y."""
    _require_float(name, x)
    y = function(x, out=empty_like(x))
    return y, y


def _keep_input(x: Array, *, function: Callable[..., Any], name: str, floats: bool) -> tuple[Array, Array]:
    """For a gradient that is a formula of x."""
    if floats:
        _require_float(name, x)
    return function(x, out=empty_like(x)), x


def _require_float(name: str, x: Array) -> None:
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: input must be of floats, got {x.dtype}")


def _by_result(node: Node, function: Callable[..., Any], backward: Gradient) -> OneInput:
    return OneInput(node, partial(_keep_result, function=function, name=node.op_type), backward)


def _by_input(node: Node, function: Callable[..., Any], backward: Gradient | None, *, floats: bool = True) -> OneInput:
    forward = partial(_keep_input, function=function, name=node.op_type, floats=floats)
    return OneInput(node, forward, backward)


@operator("Sqrt")
def sqrt(node: Node) -> OneInput:
    """y = sqrt(x)."""
    return _by_result(node, np.sqrt, _sqrt_backward)


def _sqrt_backward(dy: Array, y: Array) -> Array:
    dx: Array = dy * dy.dtype.type(0.5) / y
    return dx


@operator("Exp")
def exp(node: Node) -> OneInput:
    """y = exp(x)."""
    return _by_result(node, np.exp, np.multiply)


@operator("Log")
def log(node: Node) -> OneInput:
    """y = log(x)."""
    return _by_input(node, np.log, np.divide)


@operator("Reciprocal")
def reciprocal(node: Node) -> OneInput:
    """y = 1 / x."""
    return _by_result(node, np.reciprocal, _reciprocal_backward)


def _reciprocal_backward(dy: Array, y: Array) -> Array:
    return -dy * y * y


@operator("Neg")
def neg(node: Node) -> OneInput:
    """y = -x."""
    return _by_input(node, np.negative, _neg_backward, floats=False)


def _neg_backward(dy: Array, x: Array) -> Array:
    return -dy


@operator("Abs")
def abs_(node: Node) -> OneInput:
    """y = |x|; the slope at 0 is 0."""
    return _by_input(node, np.abs, _abs_backward, floats=False)


def _abs_backward(dy: Array, x: Array) -> Array:
    return dy * np.sign(x)


@operator("Erf")
def erf_(node: Node) -> OneInput:
    """y = 2 / sqrt(pi) * integral of exp(-t*t) over t from 0 to x."""
    return OneInput(node, _erf_forward, _erf_backward)


def _erf_forward(x: Array) -> tuple[Array, Array]:
    return erf(x), x


def _erf_backward(dy: Array, x: Array) -> Array:
    dx: Array = dy * np.exp(-x * x) * dy.dtype.type(2 / math.sqrt(math.pi))
    return dx


@operator("Sign", "Floor", "Ceil", "Round")
def step(node: Node) -> OneInput:
    """Steps: the sign, or the integer below, above or nearest (halves to the even one); their slope is 0."""
    functions = {"Sign": np.sign, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint}
    return _by_input(node, functions[node.op_type], _step_backward, floats=node.op_type != "Sign")


def _step_backward(dy: Array, x: Array) -> Array:
    return np.zeros_like(dy)


@operator("Identity")
def identity(node: Node) -> OneInput:
    """y = x."""
    return OneInput(node, _same, _same_gradient)


def _same(x: Array) -> tuple[Array, None]:
    return x, None


def _same_gradient(dy: Array, cache: None) -> Array:
    return dy
