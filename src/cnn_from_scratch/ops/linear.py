"""The linear layer's operation: every output is a weighted sum of all inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .channels import LONGEST_SUM
from .dtypes import float_op
from .memory import empty
from .runs import pieces
from .utils import check_rank, check_shape, empty_nchw


class LinearCache(NamedTuple):
    """What `linear_backward` needs."""

    x: Array  # (..., I)  borrowed, never written
    weight: Array  # (O, I)    borrowed, never written
    has_bias: bool


@float_op("x", "weight", "bias")
def linear_forward(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, LinearCache]:
    """y[..., o] = bias[o] + sum_i x[..., i] * weight[o, i], in short x @ weight^T + bias

    Parameters
    ----------
    x : (..., I)
        Usually (N, I): one row for each image.
    weight : (O, I)
        One row for each output.
    bias : (O,), optional

    Returns
    -------
    y : (..., O)
    cache : LinearCache

    Raises
    ------
    ShapeError
        If x, weight and bias do not fit together.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    1*3 + 2*4 = 11 and 1*5 + 2*6 = 17, and a bias of 100 on the second.

    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.0, 100.0]))
    >>> y
    array([[ 11., 117.]])
    """
    check_rank("linear_forward", "weight", weight, "O I")
    O, I = weight.shape  # noqa: E741
    if x.ndim == 0 or x.shape[-1] != I:
        raise ShapeError(
            f"linear_forward: x must have shape (..., {I}) for weight {tuple(weight.shape)}, got {tuple(x.shape)}"
        )
    if bias is not None:
        check_shape("linear_forward", "bias", bias, (O,))
    y = empty_nchw((*x.shape[:-1], O), x.dtype, like=x)
    product = _product(_rows(x), weight).reshape(y.shape)
    if bias is None:
        y[...] = product
    else:
        np.add(product, bias, out=y)
    return y, LinearCache(x, weight, bias is not None)


def _product(rows: Array, weight: Array) -> Array:
    """rows @ weight^T: (M, O)

    For a small batch as (weight @ rows^T)^T, which BLAS computes in 0.7 to 0.9 of the time where M <= O.
    """
    M, O = len(rows), len(weight)  # noqa: E741
    if M <= O:
        transposed: Array = np.matmul(weight, rows.T, out=empty((O, M), rows.dtype))
        return transposed.T
    product: Array = np.matmul(rows, weight.T, out=empty((M, O), rows.dtype))
    return product


@float_op("dy")
def linear_backward(dy: Array, cache: LinearCache, *, need_dx: bool = True) -> tuple[Array | None, Array, Array | None]:
    """dx = dy @ weight,   dweight = dy^T @ x,   dbias = sum of dy over all but the last axis

    Parameters
    ----------
    dy : (..., O)
        Gradient that arrives from above.
    cache : LinearCache
        From `linear_forward`; it is not changed.
    need_dx : bool
        False where nothing below learns: dx is None then, and its cost is saved.

    Returns
    -------
    dx : (..., I) or None
    dweight : (O, I)
    dbias : (O,) or None
        None where there was no bias.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.zeros(2))
    >>> dx, dweight, dbias = linear_backward(np.array([[1.0, 10.0]]), cache)
    >>> dx, dbias
    (array([[53., 64.]]), array([ 1., 10.]))
    >>> dweight
    array([[ 1.,  2.],
           [10., 20.]])
    """
    x, weight, has_bias = cache
    check_shape("linear_backward", "dy", dy, (*x.shape[:-1], len(weight)))
    drows = _rows(dy)  # (M, O)
    dweight = np.matmul(drows.T, _rows(x), out=empty(weight.shape, weight.dtype))  # (O, I)
    dbias = _column_sums(drows) if has_bias else None  # (O,)
    if not need_dx:
        return None, dweight, dbias
    dx = empty_nchw(x.shape, x.dtype, like=x)
    if dx.flags.c_contiguous:
        np.matmul(drows, weight, out=_rows(dx))
    else:
        dx[...] = (drows @ weight).reshape(x.shape)
    return dx, dweight, dbias


def _rows(x: Array) -> Array:
    """(..., I) as one matrix (M, I), so that one product does it all"""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _column_sums(rows: Array) -> Array:
    """Products with a vector of ones, half of the time of ``rows.sum(0)``; added up in float64 where they are long."""
    total = np.zeros(rows.shape[1])
    for piece in pieces(len(rows), LONGEST_SUM):
        total += np.ones(len(rows[piece]), rows.dtype) @ rows[piece]
    return total.astype(rows.dtype)
