"""Adaptive pooling: the size of the output is given, and the image is cut into that many cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..errors import LimitError, ShapeError
from ..typing import Array
from .dtypes import float_op
from .utils import check_rank, check_shape, empty_nchw, zeros_nchw

OutputSize: TypeAlias = int | tuple[int | None, int | None] | None
"""One number for both axes or (rows, columns); None is as many as the input has."""

PIECE = 1 << 15
"""Pixels that are looked through at once: 128 KiB of float32."""


# --- average --------------------------------------------------------------------------------------------------------


class AdaptiveAvgPoolCache(NamedTuple):
    """What `adaptive_avg_pool_backward` needs: the images, and into how many cells they were cut."""

    x: Array  # (N, C, H, W)  borrowed, never written
    output: tuple[int, int]  # (OH, OW)


@float_op("x")
def adaptive_avg_pool_forward(x: Array, output_size: OutputSize) -> tuple[Array, AdaptiveAvgPoolCache]:
    """y[n, c, oh, ow] = mean of x[n, c] over rows floor(oh*H/OH) .. ceil((oh+1)*H/OH) and likewise columns

    The mean over a rectangle is the mean over its columns of the means over its rows.

    Parameters
    ----------
    x : (N, C, H, W)
        Images of at least one pixel.
    output_size : int, None or a pair of them
        (OH, OW), each at least 1; None is the size of the input. Cells overlap by one where they do not divide it.

    Returns
    -------
    y : (N, C, OH, OW)
        In the memory order of x.
    cache : AdaptiveAvgPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d or has no pixel, or a size is out of range.
    LimitError
        If there would be more cells than pixels, and more than 262,144.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    Three columns into two cells: (1, 3) and (3, 8).

    >>> y, cache = adaptive_avg_pool_forward(np.array([1.0, 3.0, 8.0]).reshape(1, 1, 1, 3), (1, 2))
    >>> y.ravel()
    array([2. , 5.5])
    """
    return cell_means(x, cell_counts("adaptive_avg_pool_forward", x, output_size))


@float_op("dy")
def adaptive_avg_pool_backward(dy: Array, cache: AdaptiveAvgPoolCache) -> Array:
    """dx[n, c, h, w] = sum of dy[n, c, oh, ow] / (pixels in cell (oh, ow)) over the cells that hold (h, w)

    Parameters
    ----------
    dy : (N, C, OH, OW)
        Gradient that arrives from above.
    cache : AdaptiveAvgPoolCache
        From `adaptive_avg_pool_forward`; it is not changed.

    Returns
    -------
    dx : (N, C, H, W)
        In the memory order of x.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.
    TypeError
        If cache is none of this operation's, or dy has not the dtype of x.

    Examples
    --------
    The middle of three columns lies in both cells and gets a half of each: 4/2 + 6/2.

    >>> y, cache = adaptive_avg_pool_forward(np.array([1.0, 3.0, 8.0]).reshape(1, 1, 1, 3), (1, 2))
    >>> adaptive_avg_pool_backward(np.array([4.0, 6.0]).reshape(1, 1, 1, 2), cache).ravel()
    array([2., 5., 3.])
    """
    return cell_means_backward("adaptive_avg_pool_backward", dy, cache)


def cell_means(x: Array, output: tuple[int, int]) -> tuple[Array, AdaptiveAvgPoolCache]:
    """The mean of every cell, first over its rows, then over its columns."""
    (N, C, H, W), (OH, OW) = x.shape, output
    rows = empty_nchw((N, C, OH, W), x.dtype, like=x)
    for oh, cell in enumerate(cells(H, OH)):
        mean_into(x[:, :, cell], 2, out=rows[:, :, oh])
    y = empty_nchw((N, C, OH, OW), x.dtype, like=x)
    for ow, cell in enumerate(cells(W, OW)):
        mean_into(rows[:, :, :, cell], 3, out=y[:, :, :, ow])
    return y, AdaptiveAvgPoolCache(x, output)


def mean_into(x: Array, axis: int, *, out: Array) -> None:
    """out = the mean of x along an axis, also where the sum is beyond the dtype."""
    try:
        with np.errstate(over="raise"):
            x.mean(axis, out=out)
    except FloatingPointError:
        np.sum(x / x.shape[axis], axis, out=out)


def cell_means_backward(function: str, dy: Array, cache: AdaptiveAvgPoolCache) -> Array:
    """Equal shares to the columns of every cell, and from there to its rows."""
    x, (OH, OW) = cache
    N, C, H, W = x.shape
    check_shape(function, "dy", dy, (N, C, OH, OW))
    drows = empty_nchw((N, C, OH, W), x.dtype, like=x)
    _share(dy, drows, 3)
    dx = empty_nchw(x.shape, x.dtype, like=x)
    _share(drows, dx, 2)
    return dx


def _share(dy: Array, dx: Array, axis: int) -> None:
    """Write dx: along one axis, equal shares of every dy for the pixels of its cell."""
    overlap = dx.shape[axis] % dy.shape[axis] != 0
    if overlap:
        dx.fill(0)
    for i, cell in enumerate(cells(dx.shape[axis], dy.shape[axis])):
        source, target = [slice(None)] * 4, [slice(None)] * 4
        source[axis], target[axis] = slice(i, i + 1), cell
        shares = dy[tuple(source)] / (cell.stop - cell.start)
        if overlap:
            dx[tuple(target)] += shares
        else:
            dx[tuple(target)] = shares


# --- maximum --------------------------------------------------------------------------------------------------------


class AdaptiveMaxPoolCache(NamedTuple):
    """What `adaptive_max_pool_backward` needs: the images, and into how many cells they were cut."""

    x: Array  # (N, C, H, W)  borrowed, never written
    output: tuple[int, int]  # (OH, OW)


@float_op("x")
def adaptive_max_pool_forward(x: Array, output_size: OutputSize) -> tuple[Array, AdaptiveMaxPoolCache]:
    """y[n, c, oh, ow] = max of x[n, c] over rows floor(oh*H/OH) .. ceil((oh+1)*H/OH) and likewise columns

    Parameters
    ----------
    x : (N, C, H, W)
        Images of at least one pixel.
    output_size : int, None or a pair of them
        (OH, OW), each at least 1; None is the size of the input. Cells overlap by one where they do not divide it.

    Returns
    -------
    y : (N, C, OH, OW)
        In the memory order of x. NaN where a cell holds a NaN.
    cache : AdaptiveMaxPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d or has no pixel, or a size is out of range.
    LimitError
        If there would be more cells than pixels, and more than 262,144.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    Three columns into two cells: (1, 3) and (3, 8).

    >>> y, cache = adaptive_max_pool_forward(np.array([1.0, 3.0, 8.0]).reshape(1, 1, 1, 3), (1, 2))
    >>> y.ravel()
    array([3., 8.])
    """
    return cell_maxima(x, cell_counts("adaptive_max_pool_forward", x, output_size))


@float_op("dy")
def adaptive_max_pool_backward(dy: Array, cache: AdaptiveMaxPoolCache) -> Array:
    """dx[n, c, h, w] = sum of dy[n, c, oh, ow] over the cells whose maximum is (h, w): the first in scan order

    Parameters
    ----------
    dy : (N, C, OH, OW)
        Gradient that arrives from above.
    cache : AdaptiveMaxPoolCache
        From `adaptive_max_pool_forward`; it is not changed.

    Returns
    -------
    dx : (N, C, H, W)
        In the memory order of x.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.
    TypeError
        If cache is none of this operation's, or dy has not the dtype of x.

    Examples
    --------
    The middle of three columns lies in both cells, but is the largest of the first only.

    >>> y, cache = adaptive_max_pool_forward(np.array([1.0, 3.0, 8.0]).reshape(1, 1, 1, 3), (1, 2))
    >>> adaptive_max_pool_backward(np.array([4.0, 6.0]).reshape(1, 1, 1, 2), cache).ravel()
    array([0., 4., 6.])
    """
    return cell_maxima_backward("adaptive_max_pool_backward", dy, cache)


def cell_maxima(x: Array, output: tuple[int, int]) -> tuple[Array, AdaptiveMaxPoolCache]:
    """The maximum of every cell."""
    (N, C, H, W), (OH, OW) = x.shape, output
    y = empty_nchw((N, C, OH, OW), x.dtype, like=x)
    for oh, rows in enumerate(cells(H, OH)):
        for ow, columns in enumerate(cells(W, OW)):
            y[:, :, oh, ow] = x[:, :, rows, columns].max((2, 3))
    return y, AdaptiveMaxPoolCache(x, output)


def cell_maxima_backward(function: str, dy: Array, cache: AdaptiveMaxPoolCache) -> Array:
    """Everything to the first maximum of every cell; it is looked for again."""
    x, (OH, OW) = cache
    N, C, H, W = x.shape
    check_shape(function, "dy", dy, (N, C, OH, OW))
    dx = zeros_nchw(x.shape, x.dtype, like=x)
    step = max(1, PIECE // max(1, C * H * W))
    for first in range(0, N, step):
        few = slice(first, first + step)
        for oh, rows in enumerate(cells(H, OH)):
            for ow, columns in enumerate(cells(W, OW)):
                _add_at_maximum(dy[few, :, oh, ow], x[few, :, rows, columns], dx[few, :, rows, columns])
    return dx


def _add_at_maximum(dy: Array, x: Array, dx: Array) -> None:
    """Add dy (N, C) where the images x have their first maximum, or NaN; argmax copies them, so let them be few."""
    N, C, H, W = x.shape
    n, c = np.ogrid[:N, :C]
    h, w = divmod(x.reshape(N, C, H * W).argmax(2), W)  # (N, C)
    dx[n, c, h, w] += dy


MOST_CELLS = 1 << 18
"""Of an image that has fewer pixels: each cell is a call of NumPy."""

# --- cells ----------------------------------------------------------------------------------------------------------


def cells(size: int, count: int) -> list[slice]:
    """Cell i of `count` covers floor(i*size/count) .. ceil((i+1)*size/count)."""
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def cell_counts(function: str, x: Array, output_size: OutputSize) -> tuple[int, int]:
    """(OH, OW), checked."""
    check_rank(function, "x", x, "N C H W")
    N, C, H, W = x.shape
    if H < 1 or W < 1:
        raise ShapeError(f"{function}: x must have at least one pixel, got shape {x.shape}")
    pair = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
    sizes = [size if count is None else count for count, size in zip(pair, (H, W), strict=False)]
    whole = all(isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 1 for s in sizes)
    if len(pair) != 2 or not whole:
        raise ShapeError(f"{function}: output_size must be an int >= 1, None or a pair of them, got {output_size!r}")
    if math.prod(map(int, sizes)) > max(H * W, MOST_CELLS):
        most = max(H * W, MOST_CELLS)
        raise LimitError(f"output_size must make at most {most} cells here, got {output_size!r}")  # float_op says where
    return int(sizes[0]), int(sizes[1])
