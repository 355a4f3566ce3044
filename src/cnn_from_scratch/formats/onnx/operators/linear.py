"""Gemm and MatMul: products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....ops import LinearCache, linear_backward, linear_forward
from ....typing import Array
from ..attributes import integer, number
from ..registry import Node, operator
from .broadcasting import sum_to
from .pure import PureOperation, require_one_dtype


class GemmCache(NamedTuple):
    """What the gradient of Gemm needs."""

    a: Array  # (M, K), transposed already
    b: Array  # (K, N), likewise
    c: tuple[int, ...] | None  # shape of the third input


@operator("Gemm")
class Gemm(PureOperation):
    """y = alpha * a @ b + beta * c, a and b transposed where transA and transB say so

    Without any scaling, and with a vector or nothing for c, it is a linear layer and computed by its operation. Version
    11 made c optional; up to version 6 c is spread over y only where `broadcast` is 1.
    """

    arity = (2, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.alpha, self.beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
        self.transposed = bool(integer(node, "transA", 0)), bool(integer(node, "transB", 0))
        self.spreads = node.opset >= 7 or bool(integer(node, "broadcast", 0))

    def compute(self, a: Array, b: Array, c: Array | None = None) -> tuple[Array, LinearCache | GemmCache]:
        """In the dtype of a, b and c, which may be ints."""
        require_one_dtype(self, (a, b, c))
        if a.ndim != 2 or b.ndim != 2:
            raise ShapeError(f"Gemm: a and b must be matrices, got {a.shape} and {b.shape}")
        a, b = (m.T if turned else m for m, turned in zip((a, b), self.transposed, strict=True))
        if a.shape[1] != b.shape[0]:
            raise ShapeError(f"Gemm: a {a.shape} and b {b.shape}, transposed as they should be, have no product")
        if self._is_linear(a, b, c):
            return linear_forward(a, b.T, c)
        y = _times(self.alpha, product(a, b))
        return (y if c is None else self._add(y, c)), GemmCache(a, b, None if c is None else c.shape)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """da = alpha * dy @ b^T,   db = alpha * a^T @ dy,   dc = beta * dy, summed over the axes it was spread over"""
        if isinstance(cache, LinearCache):
            da, db_turned, dc = linear_backward(dy, cache, need_dx=wanted[0])
            db: Array | None = db_turned.T
        else:
            da = _times(self.alpha, product(dy, cache.b.T)) if wanted[0] else None
            db = _times(self.alpha, product(cache.a.T, dy)) if wanted[1] else None
            dc = None if cache.c is None else sum_to(_times(self.beta, dy), cache.c)
        da, db = (None if d is None else np.ascontiguousarray(d.T if turned else d)
                  for d, turned in zip((da, db), self.transposed, strict=True))  # fmt: skip
        return (da, db, dc)[: len(wanted)]

    def _is_linear(self, a: Array, b: Array, c: Array | None) -> bool:
        plain = self.alpha == 1 and self.beta == 1 and a.dtype.kind == "f"
        return plain and (c is None or c.shape == (b.shape[1],))

    def _add(self, y: Array, c: Array) -> Array:
        if np.broadcast_shapes(y.shape, c.shape) != y.shape or not (self.spreads or c.shape == y.shape):
            raise ShapeError(f"Gemm: c of shape {c.shape} cannot be added to a product of shape {y.shape}")
        return y + _times(self.beta, c)


@operator("MatMul")
class MatMul(PureOperation):
    """y = a @ b: rows times columns over the last two axes, which NumPy and ONNX define alike

    A vector on the left is a row, one on the right a column; leading axes are spread against each other.
    """

    arity = (2, 2)

    def compute(self, a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        """In the dtype of a and b, which may be ints."""
        require_one_dtype(self, (a, b))
        return product(a, b), (a, b)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """da = dy @ b^T,   db = a^T @ dy, summed over the axes that were spread"""
        a, b = cache
        rows, columns = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
        dy = np.expand_dims(dy, -1) if b.ndim == 1 else dy
        dy = np.expand_dims(dy, -2) if a.ndim == 1 else dy  # (..., M, N)
        da = sum_to(product(dy, columns.swapaxes(-1, -2)), rows.shape).reshape(a.shape) if wanted[0] else None
        db = sum_to(product(rows.swapaxes(-1, -2), dy), columns.shape).reshape(b.shape) if wanted[1] else None
        return da, db


def product(a: Array, b: Array) -> Array:
    """a @ b as an array, float16 in float32: sums of many terms need it.

    Examples
    --------
    >>> product(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array(11.)
    """
    if a.dtype == np.float16:
        return np.asarray(np.matmul(a.astype(np.float32), b.astype(np.float32))).astype(np.float16)
    return np.asarray(np.matmul(a, b))


def _times(factor: float, x: Array) -> Array:
    """x times a number, in the dtype of x; ints are cut off towards zero."""
    return x if factor == 1 else (x * factor).astype(x.dtype, copy=False)
