"""What is true, and what is chosen by it: comparisons, logic, and Where. Only what Where chooses has a gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....typing import Array
from ..attributes import integer
from ..registry import Node, operator
from .broadcasting import align, common_shape, result_for, sum_to
from .pure import OneInput, PureOperation, require_one_dtype

TRUTH: dict[str, Callable[..., Any]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}
"""Operators of two arrays whose output is boolean."""


@operator(*TRUTH)
class Truth(PureOperation):
    """y = a (==, >, >=, <, <=, and, or, xor) b; before version 7 only b is broadcast, where the node says so."""

    arity = (2, 2)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._old = node.opset < 7
        self._broadcast, self._axis = bool(integer(node, "broadcast", 0)), integer(node, "axis")

    def compute(self, a: Array, b: Array) -> tuple[Array, None]:
        """Booleans."""
        require_one_dtype(self, [a, b])
        aligned = align(self.op_type, a, b, self._broadcast, self._axis) if self._old else b
        y = result_for(self.op_type, [a, aligned], bool)
        TRUTH[self.op_type](a, aligned, out=y)
        return y, None


@operator("Not")
def negate(node: Node) -> OneInput:
    """y = not x."""
    return OneInput(node, lambda x: (np.logical_not(x), None))


class WhereCache(NamedTuple):
    """What the gradient of Where needs."""

    condition: Array  # borrowed, never written
    shapes: tuple[tuple[int, ...], tuple[int, ...]]  # of the two that are chosen from


@operator("Where")
class Where(PureOperation):
    """y = a where the condition holds, else b, all broadcast to one shape;  da = dy where it holds, db = dy elsewhere.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Context
    >>> a, b, condition = np.array([1.0, 2.0]), np.array(0.0), np.array([True, False])
    >>> where = Where(Node("Where", "n", {}, 16, 3, 1))
    >>> outputs, cache = where.forward([condition, a, b], Context())
    >>> outputs, where.backward([np.array([10.0, 20.0])], cache, [False, True, True])
    ((array([1., 0.]),), (None, array([10.,  0.]), array(20.)))
    """

    arity = (3, 3)

    def compute(self, condition: Array, a: Array, b: Array) -> tuple[Array, WhereCache]:
        """Copies of both, one over the other."""
        require_one_dtype(self, [a, b])
        if condition.dtype != np.bool_:
            raise TypeError(f"Where: the condition must be boolean, got {condition.dtype}")
        shape = common_shape("Where", [condition, a, b])
        y = result_for("Where", [a, b, np.broadcast_to(condition, shape)], a.dtype.newbyteorder("="))
        np.copyto(y, b)
        np.copyto(y, a, where=condition)
        return y, WhereCache(condition, (a.shape, b.shape))

    def gradients(self, dy: Array, cache: WhereCache, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """dy, or zeros, summed over what was broadcast."""
        zero, (first, second) = dy.dtype.type(0), cache.shapes
        da = sum_to(np.where(cache.condition, dy, zero), first) if wanted[1] else None
        db = sum_to(np.where(cache.condition, zero, dy), second) if wanted[2] else None
        return None, da, db
