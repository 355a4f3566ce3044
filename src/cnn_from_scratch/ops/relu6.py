"""ReLU6: a rectifier that goes no higher than 6, beside its gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array
from .dtypes import float_op
from .memory import empty, empty_like
from .rectify import keep_up_to, rectify
from .runs import PIECE, as_run, bits, pieces
from .utils import check_shape

LIMIT = 6


class Relu6Cache(NamedTuple):
    """What `relu6_backward` needs: only the result, which the next operation keeps anyway."""

    y: Array  # borrowed, never written


@float_op("x")
def relu6_forward(x: Array) -> tuple[Array, Relu6Cache]:
    """y = min(max(x, 0), 6), and NaN stays NaN

    The limit keeps numbers precise where they are stored in few bits; MobileNets are trained with it.

    Raises
    ------
    TypeError
        If x is not an array of floats (float16 computes in float32 and comes back float16).

    References
    ----------
    Krizhevsky: Convolutional Deep Belief Networks on CIFAR-10 (2010).
    Howard et al.: MobileNets (2017). https://arxiv.org/abs/1704.04861

    Examples
    --------
    >>> y, cache = relu6_forward(np.array([-2.0, 3.0, 8.0]))
    >>> y
    array([0., 3., 6.])
    """
    y = rectify(x, out=empty_like(x))
    return keep_up_to(LIMIT, y, out=y), Relu6Cache(y)


@float_op("dy")
def relu6_backward(dy: Array, cache: Relu6Cache) -> Array:
    """dx = dy where 0 < x < 6, else 0; at both kinks it is 0, as in PyTorch

    Where x is NaN, dy passes, as it does through `relu_backward`: what is not a number is not hidden.

    Examples
    --------
    >>> y, cache = relu6_forward(np.array([-2.0, 3.0, 8.0]))
    >>> relu6_backward(np.array([5.0, 5.0, 5.0]), cache)
    array([0., 5., 0.])
    """
    check_shape("relu6_backward", "dy", dy, cache.y.shape)
    dx = empty_like(cache.y)
    dy_run, y_run, dx_run = (as_run(array, like=dx) for array in (dy, cache.y, dx))
    above, below = (empty((min(PIECE, dx.size),), bool) for _ in range(2))
    for piece in pieces(dx.size):
        y = y_run[piece]
        passes = np.not_equal(y, 0, out=above[: len(y)])  # comparisons that let NaN pass
        passes &= np.not_equal(y, LIMIT, out=below[: len(y)])
        np.multiply(bits(dy_run[piece]), passes, out=bits(dx_run[piece]))
    return dx
