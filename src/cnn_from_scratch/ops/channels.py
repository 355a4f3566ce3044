"""Per-channel arithmetic on images in any memory order, a cache-sized piece at a time.

Statistics of a channel read every number of a large array several times. Taken piece by piece, an array comes from
main memory once for each pass and all the steps of the pass find it in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..typing import Array
from .group import Group, group_sum
from .utils import HWNC, empty_nchw, is_hwnc, to_hwnc

PIECE = 1 << 17
"""Numbers in one piece: half a MiB of float32."""

LONGEST_SUM = 4096
"""How many numbers one matrix product adds up in the dtype of the data; sums beyond that are in float64."""


def channel_rows(x: Array, *, like: Array) -> Array:
    """(N, C, ...) as (R, M, C, L): R rows, each of M images side by side and of runs of L numbers of one channel.

    ::

        (H, W, N, C) in memory    R = H*W    M = N    L = 1
        (N, C, H, W) in memory    R = N      M = 1    L = H*W

    The order is that of `like`. The result is a view where `x` lies in that order without gaps, else a copy.

    Examples
    --------
    >>> x = np.zeros((2, 3, 5, 5))
    >>> channel_rows(x, like=x).shape, channel_rows(to_hwnc(x), like=to_hwnc(x)).shape
    ((2, 1, 3, 25), (25, 2, 3, 1))
    """
    N, C, *lengths = x.shape
    L = math.prod(lengths)
    if is_hwnc(like):
        return to_hwnc(x).transpose(HWNC).reshape(L, N, C, 1)
    return np.ascontiguousarray(x).reshape(N, 1, C, L)


def pieces(rows: Array) -> Iterator[slice]:
    """Cut the R of `channel_rows` so that each piece has about `PIECE` numbers."""
    R, M, C, L = rows.shape
    step = max(1, min(PIECE // max(M * C * L, 1), LONGEST_SUM // max(M, 1)))
    for first in range(0, R, step):
        yield slice(first, first + step)


def channel_sums(piece: Array) -> Array:
    """Sum a piece of `channel_rows` over everything but the channels: (R, M, C, L) -> (C,) float64.

    A product with a vector of ones, which runs four times as fast as ``piece.sum((0, 1, 3))``.

    Examples
    --------
    >>> channel_sums(np.arange(6.0).reshape(1, 1, 2, 3))  # 0 + 1 + 2 and 3 + 4 + 5
    array([ 3., 12.])
    """
    R, M, C, L = piece.shape
    runs = piece.reshape(R * M * C, L)
    totals = runs @ np.ones(L, piece.dtype) if L > 1 else runs  # (R*M*C,)
    sums: Array = np.ones(R * M, piece.dtype) @ totals.reshape(R * M, C)  # (C,)
    return sums.astype(np.float64)


def spread_channels(values: Array, rows: Array) -> Array:
    """One value per channel, (C,) -> (M, C, 1), so that it meets `channel_rows` in long runs, in their dtype."""
    _, M, C, _ = rows.shape
    return np.tile(values.astype(rows.dtype), M).reshape(M, C, 1)


def channel_moments(x: Array, group: Group | None = None) -> tuple[Array, Array, float]:
    """Mean and (biased) variance of every channel over all shards, in float64, and how many values a channel has.

    Two passes: var = sum((x - m)^2)/n - (sum(x - m)/n)^2 with m the mean as far as the first pass could tell. The
    second term is 0 on paper; it takes away what rounding left in m, so that a mean far above the spread does no harm.

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance (1983), equation 1.7.

    Examples
    --------
    >>> channel_moments(np.array([[1.0], [3.0]]))
    (array([2.]), array([1.]), 2.0)
    """
    rows = channel_rows(x, like=x)
    first, counted = np.zeros(x.shape[1]), np.array([rows.size / max(x.shape[1], 1)])
    for piece in pieces(rows):
        first += channel_sums(rows[piece])
    first, counted = group_sum(group, [first, counted])
    count = float(counted[0])
    rounded = (first / max(count, 1)).astype(x.dtype)

    total, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    m = spread_channels(rounded, rows)
    for piece in pieces(rows):
        centred = rows[piece] - m
        total += channel_sums(centred)
        squares += channel_sums(np.square(centred, out=centred))
    total, squares = group_sum(group, [total, squares])
    rest = total / max(count, 1)
    return rounded + rest, np.maximum(squares / max(count, 1) - rest**2, 0), count


def far_means(mean: Array, inv_std: Array, dtype: np.dtype[Any]) -> Array:
    """What to subtract first: the means that stand more than four spreads away from 0, and 0 for the others.

    x*scale - mean*scale takes a step less than (x - mean)*scale, but loses the digits that x and its mean share.

    Examples
    --------
    >>> far_means(np.array([3.0, 5.0]), np.array([1.0, 1.0]), np.dtype(np.float32))
    array([0., 5.], dtype=float32)
    """
    return np.where(np.abs(mean) * inv_std > 4, mean, 0).astype(dtype)


def channel_products(dy: Array, x: Array, shift: Array) -> tuple[Array, Array]:
    """sum(dy) and sum(dy * (x - shift)) for every channel, in float64: what a gradient through statistics consists of.

    Examples
    --------
    >>> channel_products(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), np.array([2.0]))  # 1 + 2, -1 + 2
    (array([3.]), array([1.]))
    """
    rows, dy_rows = channel_rows(x, like=x), channel_rows(dy, like=x)
    sum_dy, sum_dy_x = np.zeros(len(shift)), np.zeros(len(shift))
    m = spread_channels(shift, rows) if shift.any() else None
    for piece in pieces(rows):
        products = dy_rows[piece] * rows[piece] if m is None else (rows[piece] - m) * dy_rows[piece]
        sum_dy += channel_sums(dy_rows[piece])
        sum_dy_x += channel_sums(products)
    return sum_dy, sum_dy_x


def affine_channels(x: Array, shift: Array, scale: Array, offset: Array, *, like: Array) -> Array:
    """(x - shift)*scale + offset, per channel, in the memory order of `like`."""
    y = empty_nchw(x.shape, x.dtype, like=like)
    rows, y_rows = channel_rows(x, like=like), channel_rows(y, like=like)
    s, b = spread_channels(scale, rows), spread_channels(offset, rows)
    m = spread_channels(shift, rows) if shift.any() else None
    for piece in pieces(rows):
        _affine_piece(rows[piece], m, s, b, out=y_rows[piece])
    return y


def combine_channels(dy: Array, x: Array, shift: Array, A: Array, B: Array, D: Array) -> Array:
    """A*dy + B*(x - shift) + D, per channel, in the memory order of x."""
    dx = empty_nchw(x.shape, x.dtype, like=x)
    rows, dy_rows, dx_rows = (channel_rows(images, like=x) for images in (x, dy, dx))
    a, b, d = (spread_channels(vector, rows) for vector in (A, B, D))
    m = spread_channels(shift, rows) if shift.any() else None
    for piece in pieces(rows):
        _affine_piece(rows[piece], m, b, d, out=dx_rows[piece])
        dx_rows[piece] += dy_rows[piece] * a
    return dx


def _affine_piece(piece: Array, m: Array | None, s: Array, b: Array, *, out: Array) -> None:
    """out = (piece - m)*s + b"""
    if m is None:
        np.multiply(piece, s, out=out)
    else:
        np.subtract(piece, m, out=out)
        np.multiply(out, s, out=out)
    np.add(out, b, out=out)
