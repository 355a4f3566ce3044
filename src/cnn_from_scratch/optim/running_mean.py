"""Running means, in place: what moments and averaged weights are made of."""

from __future__ import annotations

import numpy as np

from ..typing import Array


def follow(mean: Array, values: Array, keep: float, scratch: Array) -> None:
    """mean <- keep * mean + (1 - keep) * values, as mean + (1 - keep) * (values - mean)

    Examples
    --------
    >>> mean = np.array([1.0])
    >>> follow(mean, np.array([3.0]), 0.75, np.empty(1))
    >>> mean
    array([1.5])
    """
    np.subtract(values, mean, out=scratch)
    np.multiply(scratch, 1 - keep, out=scratch)
    np.add(mean, scratch, out=mean)


def follow_square(mean: Array, values: Array, keep: float, scratch: Array) -> None:
    """mean <- keep * mean + (1 - keep) * values^2

    Examples
    --------
    >>> mean = np.array([1.0])
    >>> follow_square(mean, np.array([3.0]), 0.75, np.empty(1))
    >>> mean
    array([3.])
    """
    np.multiply(values, values, out=scratch)
    np.multiply(scratch, 1 - keep, out=scratch)
    np.multiply(mean, keep, out=mean)
    np.add(mean, scratch, out=mean)
