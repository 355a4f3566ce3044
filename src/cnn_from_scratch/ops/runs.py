"""Elementwise arithmetic in the order in which numbers lie in memory, a cache-sized piece at a time.

An operation of two passes over a large array fetches it from main memory twice. Taken piece by piece, the second pass
finds its piece in the processor's cache. A piece is a run of neighbours in memory, so that the memory order of images
makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..typing import Array
from .memory import empty

PIECE = 1 << 18
"""Numbers in one piece: a MiB of float32."""

ROW = 1 << 13
"""Numbers in a row that NumPy's buffer takes at once."""


def as_run(x: Array, like: Array) -> Array:
    """All numbers of `x` in the order in which those of `like` lie; a view where those of `x` lie so without gaps.

    Examples
    --------
    Two rows that lie in memory one column after the other:

    >>> like = np.zeros((3, 2)).T
    >>> as_run(np.array([[1, 2, 3], [4, 5, 6]]), like)
    array([1, 4, 2, 5, 3, 6])
    """
    if x.flags.c_contiguous and like.flags.c_contiguous:
        return x.reshape(-1)
    view = x.transpose(sorted(range(x.ndim), key=lambda axis: -abs(like.strides[axis])))  # slowest first
    if not view.flags.c_contiguous:
        copy = empty(view.shape, x.dtype)
        copy[...] = view
        view = copy
    return view.reshape(-1)


def pieces(size: int, length: int = PIECE) -> Iterator[slice]:
    """Cut a run of `size` numbers.

    Examples
    --------
    >>> list(pieces(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for first in range(0, size, max(1, length)):
        yield slice(first, min(first + length, size))


def blocks(*runs: Array, length: int) -> Iterator[list[Array]]:
    """The same piece of each run at a time, as a matrix of rows of this length; what is left over is one shorter row.

    So one vector of this length meets a long run in long steps. Rows of `ROW` numbers or more are as fast as a whole
    run; rows of half that take 1.5 times as long, for the reason given in `runs_of`.

    Examples
    --------
    >>> for block, other in blocks(np.arange(5), np.arange(5, 10), length=2):
    ...     print(block.tolist(), other.tolist())
    [[0, 1], [2, 3]] [[5, 6], [7, 8]]
    [[4]] [[9]]
    """
    size = len(runs[0])
    whole = size // length * length
    for piece in pieces(whole, max(1, PIECE // length) * length):
        yield [run[piece].reshape(-1, length) for run in runs]
    if whole < size:
        yield [run[whole:].reshape(1, -1) for run in runs]


def bits(values: Array) -> Array:
    """The same memory as integers: times 1 they stay, times 0 they vanish, where infinity * 0 would be NaN.

    Examples
    --------
    >>> dx = np.array([3.0, np.inf])
    >>> bits(dx)[...] *= np.array([True, False])
    >>> dx
    array([3., 0.])
    """
    return values.view(np.dtype(f"i{values.itemsize}"))


@contextmanager
def runs_of(length: int) -> Iterator[None]:
    """Inside, NumPy computes on strided arrays in place, if their runs of neighbours have this length or more.

    NumPy's ufuncs have a buffer of 8192 numbers. Where the runs of an operand are shorter than about a third of it,
    as in every second column of (H, W, N, C) images with N*C = 2048, they copy run after run into the buffer first.
    A buffer as short as the runs stops that: the maximum of two such columns took half the time (0.52), comparing them
    0.48. Leaving `numpy.errstate` restores the buffer.

    References
    ----------
    numpy.setbufsize: https://numpy.org/doc/stable/reference/generated/numpy.setbufsize.html

    Examples
    --------
    >>> with runs_of(2048):
    ...     np.getbufsize()
    2048
    >>> np.getbufsize()
    8192
    """
    with np.errstate():
        np.setbufsize(min(max(length // 16 * 16, 512), 8192))
        yield
