"""What all rectifiers share, fast: cut off what is below zero, and let a gradient pass where something is left.

NumPy's maximum of an array and a single number takes 2.6 times as long as that of two arrays, if they lie in the
cache; so zero comes as a row of zeros. A gradient is multiplied by a mask as integers: bits times 1 stay and times 0
vanish, where infinity * 0 would be NaN.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .memory import empty, empty_like
from .runs import PIECE, ROW, as_run, bits, blocks, pieces


def rectify(x: Array, out: Array) -> Array:
    """out = max(x, 0) for two arrays of one shape, which may be the same; NaN stays NaN.

    Examples
    --------
    >>> rectify(np.array([-1.0, 2.0]), np.empty(2))
    array([0., 2.])
    """
    return _meet(np.maximum, x, 0, out)


def keep_below(x: Array, out: Array) -> Array:
    """out = min(x, 0), the other part of x.

    Examples
    --------
    >>> keep_below(np.array([-1.0, 2.0]), np.empty(2))
    array([-1.,  0.])
    """
    return _meet(np.minimum, x, 0, out)


def keep_up_to(limit: float, x: Array, out: Array) -> Array:
    """out = min(x, limit), for arrays as `rectify` takes them.

    Examples
    --------
    >>> keep_up_to(6, np.array([5.0, 7.0]), np.empty(2))
    array([5., 6.])
    """
    return _meet(np.minimum, x, limit, out)


def _meet(larger_or_smaller: np.ufunc, x: Array, value: float, out: Array) -> Array:
    if x.size <= ROW:  # too small for anything but the plain call to be worth it
        larger_or_smaller(x, value, out=out)
        return out
    row = np.full(ROW, value, x.dtype)
    for source, target in blocks(as_run(x, like=out), as_run(out, like=out), length=ROW):
        larger_or_smaller(source, row[: source.shape[1]], out=target)
    return out


def pass_where_positive(dy: Array, y: Array) -> Array:
    """dx = dy where y > 0 or NaN, else 0, as a new array in the memory order of y, which is nowhere below 0.

    Examples
    --------
    >>> pass_where_positive(np.array([5.0, np.inf, 7.0]), np.array([0.0, 0.0, 3.0]))
    array([0., 0., 7.])
    """
    dx = empty_like(y)
    dy_run, y_run, dx_run = (as_run(array, like=dx) for array in (dy, y, dx))
    gate_run(dy_run, y_run, dx_run, empty((min(PIECE, dx.size),), bool))
    return dx


def gate_run(dy: Array, y: Array, dx: Array, mask: Array) -> None:
    """The same on runs, with room for a mask of as many numbers as it may take at once.

    Examples
    --------
    >>> dx = np.empty(3)
    >>> gate_run(np.array([5.0, 6.0, 7.0]), np.array([0.0, 0.0, 3.0]), dx, np.empty(2, bool))
    >>> dx
    array([0., 0., 7.])
    """
    for piece in pieces(len(dx), len(mask)):
        out = bits(dx[piece])
        np.copyto(out, np.not_equal(y[piece], 0, out=mask[: len(out)]))
        np.multiply(out, bits(dy[piece]), out=out)
