"""The sum of two branches and the ReLU after it as one operation, as at the end of every block of a ResNet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array
from .dtypes import float_op
from .memory import empty_like
from .rectify import pass_where_positive, rectify
from .runs import as_run, pieces
from .utils import check_shape


class AddReluCache(NamedTuple):
    """What `add_relu_backward` needs: only the result, which the next operation keeps anyway."""

    y: Array  # borrowed, never written


@float_op("a", "b")
def add_relu_forward(a: Array, b: Array) -> tuple[Array, AddReluCache]:
    """y = max(a + b, 0), and NaN stays NaN

    Parameters
    ----------
    a, b : arrays of one shape

    Returns
    -------
    y : the shape of a
        In the memory order of a.
    cache : AddReluCache

    Raises
    ------
    ShapeError
        If the shapes differ.
    TypeError
        If a and b are not both float32 or both float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015), figure 2. https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> y, cache = add_relu_forward(np.array([1.0, -3.0]), np.array([2.0, 2.0]))
    >>> y
    array([3., 0.])
    """
    check_shape("add_relu_forward", "b", b, a.shape)
    y = empty_like(a)
    a_run, b_run, y_run = (as_run(array, like=y) for array in (a, b, y))
    for piece in pieces(len(y_run)):
        total = np.add(a_run[piece], b_run[piece], out=y_run[piece])
        rectify(total, out=total)
    return y, AddReluCache(y)


@float_op("dy")
def add_relu_backward(dy: Array, cache: AddReluCache) -> Array:
    """da = db = dy where y > 0, else 0: one array, which is the gradient of both

    Parameters
    ----------
    dy : the shape of y
        Gradient that arrives from above.
    cache : AddReluCache
        From `add_relu_forward`; it is not changed.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> y, cache = add_relu_forward(np.array([1.0, -3.0]), np.array([2.0, 2.0]))
    >>> add_relu_backward(np.array([5.0, 5.0]), cache)
    array([5., 0.])
    """
    check_shape("add_relu_backward", "dy", dy, cache.y.shape)
    return pass_where_positive(dy, cache.y)
