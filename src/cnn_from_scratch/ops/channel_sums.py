"""Sums over a channel: in the dtype of the data within a piece that lies in the cache, in float64 beyond it.

Both sums are taken while a piece is in the cache. sum(a) is a product with a vector of ones, which runs four times as
fast as ``a.sum(...)``; sum(a*b) is an `einsum` of two operands, which multiplies and adds in one go and needs no room
for the products.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .channels import channel_rows, image_rows, pieces, scratch, spread_channels
from .group import Group, group_sum


class ChannelSums:
    """sum(a) and sum(a*b) of every channel, over as many pieces as are added.

    Examples
    --------
    >>> sums, a = ChannelSums(1), np.array([1.0, 2.0]).reshape(2, 1, 1, 1)
    >>> sums.add(a, a)
    >>> sums.add(a, 10 * a)
    >>> sums.total, sums.products, sums.count  # 1 + 2 + 1 + 2, 1 + 4 + 10 + 40
    (array([6.]), array([55.]), 4)
    """

    def __init__(self, C: int) -> None:
        self.total, self.products, self.count = np.zeros(C), np.zeros(C), 0

    def add(self, a: Array, b: Array) -> None:
        """Two pieces of `channel_rows`, (R, M, C, L)."""
        R, M, C, L = a.shape
        self.total += sum_channels(a)
        self.products += dot_channels(a, b)
        self.count += R * M * L

    def add_images(self, images: Array) -> None:
        """The squares of fresh images (rows, columns, N, C), of which some or all lie next to each other in memory."""
        rows = image_rows(images)
        for piece in pieces(rows):
            self.add(rows[piece], rows[piece])


def sum_channels(piece: Array) -> Array:
    """Sum a piece of `channel_rows` over everything but the channels: (R, M, C, L) -> (C,) float64.

    Examples
    --------
    >>> sum_channels(np.arange(6.0).reshape(1, 1, 2, 3))  # 0 + 1 + 2 and 3 + 4 + 5
    array([ 3., 12.])
    """
    R, M, C, L = piece.shape
    if L == 1:
        partial = np.ones(R, piece.dtype) @ piece.reshape(R, M * C)  # (M*C,)
    else:
        partial = piece.reshape(R * M * C, L) @ np.ones(L, piece.dtype)  # (R*M*C,)
    return _sum_of_sums(partial, C)


def dot_channels(a: Array, b: Array) -> Array:
    """Sum a*b over everything but the channels: twice (R, M, C, L) -> (C,) float64.

    Examples
    --------
    >>> a = np.arange(6.0).reshape(1, 1, 2, 3)
    >>> dot_channels(a, a)  # 0 + 1 + 4 and 9 + 16 + 25
    array([ 5., 50.])
    """
    R, M, C, L = a.shape
    if L == 1:
        partial = np.einsum("ij,ij->j", a.reshape(R, M * C), b.reshape(R, M * C))
    else:
        partial = np.einsum("ij,ij->i", a.reshape(R * M * C, L), b.reshape(R * M * C, L))
    return _sum_of_sums(partial, C)


def _sum_of_sums(partial: Array, C: int) -> Array:
    """Add up what rows or runs came to: (..., C) -> (C,) float64."""
    each = partial.reshape(-1, C)
    total: Array = np.ones(len(each), each.dtype) @ each
    return total.astype(np.float64)


# --- over whole arrays -----------------------------------------------------------------------------------------------


def square_sums(x: Array) -> ChannelSums:
    """sum(x) and sum(x*x) of every channel."""
    rows, sums = channel_rows(x, like=x), ChannelSums(x.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # `moments_of` looks
        for piece in pieces(rows):
            sums.add(rows[piece], rows[piece])
    return sums


def product_sums(dy: Array, x: Array, shift: Array) -> ChannelSums:
    """sum(dy) and sum(dy * (x - shift)) of every channel: what a gradient through statistics consists of.

    Examples
    --------
    >>> sums = product_sums(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), np.array([2.0]))
    >>> sums.total, sums.products  # 1 + 2, -1 + 2
    (array([3.]), array([1.]))
    """
    rows, dy_rows = channel_rows(x, like=x), channel_rows(dy, like=x)
    sums, centre = ChannelSums(x.shape[1]), Centre(rows, shift)
    for piece in pieces(rows):
        sums.add(dy_rows[piece], centre(rows[piece]))
    return sums


class Centre:
    """x - shift, per channel, for pieces of `rows`; the pieces themselves where no shift is needed."""

    def __init__(self, rows: Array, shift: Array) -> None:
        self.shift = spread_channels(shift, rows) if shift.any() else None
        self.room = rows if self.shift is None else scratch(rows)

    def __call__(self, piece: Array) -> Array:
        """Valid until the next call."""
        if self.shift is None:
            return piece
        centred: Array = np.subtract(piece, self.shift, out=self.room[: len(piece)])
        return centred


# --- mean and variance -----------------------------------------------------------------------------------------------


def moments_of(sums: ChannelSums, x: Array, group: Group | None) -> tuple[Array, Array, float]:
    """Mean and (biased) variance of every channel over all shards, in float64, and how many values a channel has.

    From sum(x) and sum(x*x), which were taken already: var = sum(x*x)/n - mean^2.

    The difference loses the digits that both terms share. Where mean^2 > 16*var in any channel these are too many for
    float32, and a second pass over x is made, as it always is in float64. It widens x where the squares are beyond
    float32. The totals of the whole batch decide, so that all shards decide alike and meet equally often.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> moments_of(square_sums(x), x, None)
    (array([2.]), array([1.]), 2.0)
    """
    total, squares, counted = group_sum(group, [sums.total, sums.products, np.array([float(sums.count)])])
    count = float(counted[0])
    with np.errstate(over="ignore", invalid="ignore"):
        mean = total / max(count, 1)
        var = squares / max(count, 1) - mean**2
        if not np.isfinite(var).all():
            return _wide_moments(x, count, group)
        if x.dtype == np.float32 and (mean**2 <= 16 * var).all():
            return mean, var, count
        return _centred_moments(x, mean, count, group)


def _wide_moments(x: Array, count: float, group: Group | None) -> tuple[Array, Array, float]:
    """Both passes in float64; NaN where x itself is not finite."""
    wide = x.astype(np.float64)
    (total,) = group_sum(group, [square_sums(wide).total])
    return _centred_moments(wide, total / max(count, 1), count, group)


def _centred_moments(x: Array, mean: Array, count: float, group: Group | None) -> tuple[Array, Array, float]:
    """The second pass: var = sum((x - m)^2)/n - (sum(x - m)/n)^2 with m the mean as far as the first pass could tell.

    The second term is 0 on paper; it takes away what rounding left in m, so that a mean far above the spread does no
    harm.

    References
    ----------
    Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance (1983), equation 1.7.
    """
    rounded = mean.astype(x.dtype)
    rows, sums = channel_rows(x, like=x), ChannelSums(x.shape[1])
    m, room = spread_channels(rounded, rows), scratch(rows)
    for piece in pieces(rows):
        centred = np.subtract(rows[piece], m, out=room[: len(rows[piece])])
        sums.add(centred, centred)
    total, squares = group_sum(group, [sums.total, sums.products])
    rest = total / max(count, 1)
    return rounded + rest, np.maximum(squares / max(count, 1) - rest**2, 0), count
