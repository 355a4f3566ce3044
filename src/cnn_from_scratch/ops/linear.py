"""The linear layer's operation: every output is a weighted sum of all inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .dtypes import float_op
from .utils import check_rank, check_shape


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
    y = np.empty_like(x, shape=(*x.shape[:-1], O))
    y[...] = (_rows(x) @ weight.T).reshape(y.shape)
    if bias is not None:
        y += bias
    return y, LinearCache(x, weight, bias is not None)


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
    dweight = drows.T @ _rows(x)  # (O, I)
    dbias = drows.sum(0) if has_bias else None  # (O,)
    if not need_dx:
        return None, dweight, dbias
    dx = np.empty_like(x)
    dx[...] = (drows @ weight).reshape(x.shape)
    return dx, dweight, dbias


def _rows(x: Array) -> Array:
    """(..., I) as one matrix (M, I), so that one product does it all"""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
