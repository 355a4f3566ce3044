"""Small whole numbers, with which one can still reckon by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..typing import Array


def counted(*shape: int) -> Array:
    """1, 2, 3 ... in this shape.

    Examples
    --------
    >>> counted(2, 2)
    array([[1., 2.],
           [3., 4.]])
    """
    return np.arange(1.0, 1.0 + np.prod(shape, dtype=np.int64)).reshape(shape)


def whole(seed: int, *shape: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Whole numbers from -9 to 9 without 0, the same for the same seed."""
    rng = np.random.default_rng(seed)
    drawn: Array = (rng.integers(1, 10, shape) * rng.choice([-1, 1], shape)).astype(dtype)
    return drawn


def real(seed: int, *shape: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Standard normal numbers, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)
