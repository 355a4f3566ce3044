"""Dropout: in training each number is dropped with probability p, so that no neuron can rely on another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from .checks import check_number
from .dtypes import float_op
from .memory import empty, empty_like
from .utils import check_shape


class DropoutCache(NamedTuple):
    """What `dropout_backward` needs."""

    keep: Array | None  # booleans of x's shape, in x's memory order; None where nothing was dropped
    p: float
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@float_op("x")
def dropout_forward(x: Array, *, p: float, train: bool, rng: np.random.Generator | None) -> tuple[Array, DropoutCache]:
    """y = x * keep / (1 - p) with keep ~ Bernoulli(1 - p) in training; y = x otherwise

    Dividing by 1 - p keeps the mean of y at x, so that evaluation needs no correction ("inverted" dropout).

    Parameters
    ----------
    x : array of any shape
        float16 computes in float32 and comes back float16.
    p : float
        The probability to drop, in [0, 1).
    train : bool
        Whether to drop at all.
    rng : Generator or None
        Where the mask is drawn, in the logical order of x whatever its memory order, and in float32: one generator
        gives one mask. None will do where nothing is drawn (p = 0, or not in training).

    Returns
    -------
    y : the shape of x
        x itself where nothing is dropped: nobody writes into an array that was borrowed, so sharing it is safe.
    cache : DropoutCache

    Raises
    ------
    ValueError
        If p is not in [0, 1).
    TypeError
        If p is no number, or a generator is needed and rng is none.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout (2014). JMLR 15.

    Examples
    --------
    >>> y, cache = dropout_forward(np.ones(6), p=0.5, train=True, rng=np.random.default_rng(1))
    >>> y
    array([0., 2., 2., 2., 0., 0.])
    """
    check_number("dropout_forward", "p", p, finite=False)
    if not 0 <= p < 1:
        raise ValueError(f"dropout_forward: p must be in [0, 1), got {p!r}")
    if not train or p == 0:
        return x, DropoutCache(None, p, x.shape, x.dtype)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"dropout_forward: rng must be a numpy.random.Generator where train is True and p > 0, got {rng!r}"
        )
    drawn = rng.random(x.shape, np.float32, out=empty(x.shape, np.float32))
    keep = np.greater_equal(drawn, p, out=empty_like(x, bool))  # only bytes change their order, where x has another
    return _apply(x, keep, p), DropoutCache(keep, p, x.shape, x.dtype)


@float_op("dy")
def dropout_backward(dy: Array, cache: DropoutCache) -> Array:
    """dx = dy * keep / (1 - p); dy itself where nothing was dropped

    Examples
    --------
    >>> y, cache = dropout_forward(np.ones(6), p=0.5, train=True, rng=np.random.default_rng(1))
    >>> dropout_backward(np.full(6, 3.0), cache)
    array([0., 6., 6., 6., 0., 0.])
    """
    keep, p, shape, _ = cache
    check_shape("dropout_backward", "dy", dy, shape)
    if keep is None:
        return dy
    return _apply(dy, keep, p)


def _apply(x: Array, keep: Array, p: float) -> Array:
    y: Array = np.multiply(x, keep, out=empty_like(keep, x.dtype))
    y /= 1 - p
    return y
