"""A bias and the ReLU after it as one operation, piece by piece, so that the second step finds it in the cache.

It serves training after a convolution, and after a max-pool between the two: adding a number and cutting off below
zero keep the order of numbers, so max(relu(x + b)) over a window is relu(max(x) + b), which is less work.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .channel_sums import sum_channels
from .channels import channel_rows, pieces, scratch, spread_channels
from .dtypes import float_op
from .rectify import gate_run, rectify
from .utils import check_shape, empty_nchw


class BiasReluCache(NamedTuple):
    """What `bias_relu_backward` needs: only the result, which the next operation keeps anyway."""

    y: Array  # (N, C, ...)  borrowed, never written


@float_op("x", "bias")
def bias_relu_forward(x: Array, bias: Array) -> tuple[Array, BiasReluCache]:
    """y[n, c, ...] = max(x[n, c, ...] + bias[c], 0), and NaN stays NaN

    Parameters
    ----------
    x : (N, C, H, W) or (N, C)
    bias : (C,)

    Returns
    -------
    y : the shape of x
        In the memory order of x.
    cache : BiasReluCache

    Raises
    ------
    ShapeError
        If x has no axis of channels, or bias is not of one number for each.
    TypeError
        If x and bias are not both float32 or both float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> y, cache = bias_relu_forward(np.array([[1.0, 2.0], [-4.0, 5.0]]), np.array([3.0, -3.0]))
    >>> y
    array([[4., 0.],
           [0., 2.]])
    """
    if x.ndim < 2:
        raise ShapeError(f"bias_relu_forward: x must have shape (N, C, ...), got {tuple(x.shape)}")
    check_shape("bias_relu_forward", "bias", bias, (x.shape[1],))
    y = empty_nchw(x.shape, x.dtype, like=x)
    rows, y_rows = channel_rows(x, like=x), channel_rows(y, like=x)  # (R, M, C, L)
    b = spread_channels(bias, rows)  # (M, C, 1)
    for piece in pieces(rows):
        out = np.add(rows[piece], b, out=y_rows[piece])
        rectify(out, out=out)
    return y, BiasReluCache(y)


@float_op("dy")
def bias_relu_backward(dy: Array, cache: BiasReluCache) -> tuple[Array, Array]:
    """dx = dy where y > 0, else 0;   dbias[c] = sum of dx over all axes but c

    Parameters
    ----------
    dy : the shape of y
        Gradient that arrives from above.
    cache : BiasReluCache
        From `bias_relu_forward`; it is not changed.

    Returns
    -------
    dx : the shape of y
        In the memory order of y.
    dbias : (C,)

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> y, cache = bias_relu_forward(np.array([[1.0, 2.0], [4.0, 5.0]]), np.array([3.0, -3.0]))
    >>> dx, dbias = bias_relu_backward(np.array([[1.0, 10.0], [2.0, 20.0]]), cache)
    >>> dx
    array([[ 1.,  0.],
           [ 2., 20.]])
    >>> dbias
    array([ 3., 20.])
    """
    y = cache.y
    check_shape("bias_relu_backward", "dy", dy, y.shape)
    dx = empty_nchw(y.shape, y.dtype, like=y)
    dy_rows, y_rows, dx_rows = (channel_rows(array, like=y) for array in (dy, y, dx))
    dbias, mask = np.zeros(y.shape[1]), scratch(y_rows, bool).reshape(-1)
    for piece in pieces(y_rows) if y.size else ():
        dy_run, y_run, dx_run = (rows[piece].reshape(-1) for rows in (dy_rows, y_rows, dx_rows))
        gate_run(dy_run, y_run, dx_run, mask)
        dbias += sum_channels(dx_rows[piece])
    return dx, dbias.astype(y.dtype)
