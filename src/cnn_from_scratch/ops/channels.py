"""Per-channel arithmetic on images in any memory order, a cache-sized piece at a time.

Taken piece by piece, a large array comes from main memory once for each pass, and all the steps of the pass find it in
the processor's cache. The sums over a channel are in channel_sums.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..typing import Array
from .memory import empty
from .utils import HWNC, is_hwnc, to_hwnc

PIECE = 1 << 18
"""Numbers in one piece: a MiB of float32, half of a core's second-level cache."""

ROW = 1 << 13
"""Numbers in one row, at most: long enough that starting a row costs nothing, short enough for the nearest cache."""

LONGEST_SUM = 4096
"""How many numbers are added up in the dtype of the data; sums beyond that are in float64."""


def channel_rows(x: Array, *, like: Array) -> Array:
    """(N, C, ...) as (R, M, C, L): R rows, each of M images side by side and of runs of L numbers of one channel.

    ::

        (H, W, N, C) in memory    R = H*W/k    M = k*N    L = 1     k neighbouring pixels make one row
        (N, C, H, W) in memory    R = N        M = 1      L = H*W

    The order is that of `like`. The result is a view where `x` lies in that order without gaps, else a copy.

    Examples
    --------
    >>> x = np.zeros((2, 3, 5, 5))
    >>> channel_rows(x, like=x).shape, channel_rows(to_hwnc(x), like=to_hwnc(x)).shape
    ((2, 1, 3, 25), (1, 50, 3, 1))
    """
    N, C, *lengths = x.shape
    L = math.prod(lengths)
    if is_hwnc(like):
        return image_rows(to_hwnc(x).transpose(HWNC))
    return np.ascontiguousarray(x).reshape(N, 1, C, L)


def image_rows(images: Array) -> Array:
    """(H, W, N, C) as (H*W/k, k*N, C, 1): the same for images that lie so already, and k = 1 where there are gaps.

    k is the largest number that divides H*W and keeps a row within `ROW` numbers.
    """
    H, W, N, C = images.shape
    most = min(H * W, ROW // max(N * C, 1), LONGEST_SUM // max(N, 1)) if images.flags.c_contiguous else 1
    k = next((k for k in range(most, 1, -1) if H * W % k == 0), 1)
    return images.reshape(H * W // k, k * N, C, 1)


def pieces(rows: Array) -> Iterator[slice]:
    """Cut the R of `channel_rows` so that each piece has about `PIECE` numbers."""
    R, M, C, L = rows.shape
    step = max(1, min(PIECE // max(M * C * L, 1), LONGEST_SUM))
    for first in range(0, R, step):
        yield slice(first, first + step)


def scratch(rows: Array, dtype: Any = None) -> Array:
    """Room for the largest of the `pieces`: taken once, and written over by each of them."""
    largest = next(pieces(rows), slice(0))
    return empty(rows[largest].shape, rows.dtype if dtype is None else dtype)


def spread_channels(values: Array, rows: Array) -> Array:
    """One value per channel, (C,) -> (M, C, 1), so that it meets `channel_rows` in long runs, in their dtype."""
    _, M, C, _ = rows.shape
    spread = empty((M, C, 1), rows.dtype)
    spread[:, :, 0] = values
    return spread


def far_means(mean: Array, inv_std: Array, dtype: np.dtype[Any]) -> Array:
    """What to subtract first: the means that stand more than four spreads away from 0, and 0 for the others.

    x*scale - mean*scale takes a step less than (x - mean)*scale, but loses the digits that x and its mean share.

    Examples
    --------
    >>> far_means(np.array([3.0, 5.0]), np.array([1.0, 1.0]), np.dtype(np.float32))
    array([0., 5.], dtype=float32)
    """
    return np.where(np.abs(mean) * inv_std > 4, mean, 0).astype(dtype)


class Affine:
    """(x - shift)*scale + offset, per channel, for pieces of `rows`. Where no shift is needed, that step is left out.

    Examples
    --------
    >>> rows, out = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.empty((1, 1, 2, 1))
    >>> Affine(rows, shift=np.array([0.0, 2.0]), scale=np.array([3.0, 3.0]), offset=np.array([7.0, 8.0]))(rows, out)
    >>> out.ravel()
    array([10.,  8.])
    """

    def __init__(self, rows: Array, *, shift: Array, scale: Array, offset: Array) -> None:
        self.shift = spread_channels(shift, rows) if shift.any() else None
        self.scale, self.offset = spread_channels(scale, rows), spread_channels(offset, rows)

    def __call__(self, piece: Array, out: Array) -> None:
        """Write the result for one piece into `out`."""
        if self.shift is None:
            np.multiply(piece, self.scale, out=out)
        else:
            np.subtract(piece, self.shift, out=out)
            np.multiply(out, self.scale, out=out)
        np.add(out, self.offset, out=out)
