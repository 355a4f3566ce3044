"""Memory that is used again.

A large array from the operating system arrives as pages that are mapped and zeroed one by one when they are first
touched: 16 ms for 64 MiB, where writing into memory that is there already takes 6 ms. A step of training makes the
same arrays again and again, so inside of `recycled` the memory of arrays that have died is handed out to new ones.

Nothing needs to be given back by hand, and nothing that somebody holds is overwritten: memory returns to its store
when the last view of it has died, which Python's reference counts tell at once.
"""

from __future__ import annotations

import math
import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ..typing import Array
from .checks import check_memory

SMALL = 1 << 16
"""Arrays of fewer bytes are not worth recycling."""

REGION = 1 << 26
"""Bytes that are asked from the system at once; they take up room only where they have been written."""

ALIGN = 64
"""Every array begins at a multiple of so many bytes: a line of the processor's cache."""


class Store:
    """Memory for arrays: regions of it, each with holes where nobody has an array at the moment.

    An array takes the first hole that is large enough, and when it dies its place becomes a hole again, joined with
    those beside it. So memory serves arrays of all sizes one after the other, and a step needs little more of it than
    it has in use at any time.

    Threads may share a store, but each has regions of its own: memory that another core has just written would have to
    come over from that core's cache first. With a common pool two shards of a small network took a fifth longer.

    Examples
    --------
    >>> with recycled() as store:
    ...     a = empty((1024, 1024), np.float32)
    ...     place = a.ctypes.data
    ...     del a
    ...     b = empty((1024, 512), np.float32)
    >>> b.ctypes.data == place, store.used
    (True, 2097152)
    """

    def __init__(self) -> None:
        self.used = 0
        self.reserved = 0
        self._mine = _Regions()
        self._lock = threading.RLock()  # an array may die while another is made, in the same thread

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array with arbitrary content, in C order."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size = -(-size // ALIGN) * ALIGN
        with self._lock:
            region, start = self._take(size)
        block = np.ndarray.__new__(_Block, (size,), np.uint8, buffer=region.memory, offset=start)
        block.store, block.region, block.start = self, region, start
        return np.ndarray(shape, dtype, buffer=block)

    def _take(self, size: int) -> tuple[_Region, int]:
        for region in self._mine.regions:
            start = region.take(size)
            if start is not None:
                self.used += size
                return region, start
        region = _Region(max(REGION, size))
        self.used += size
        self.reserved += len(region.memory)
        self._mine.regions.append(region)
        region.take(size)
        return region, 0

    def _give_back(self, block: _Block) -> None:
        with self._lock:
            self.used -= block.size
            block.region.give_back(block.start, block.size)


class _Regions(threading.local):
    """Those of one thread."""

    def __init__(self) -> None:
        self.regions: list[_Region] = []


class _Region:
    """One piece of memory from the system, and its holes from left to right: no two of them touch."""

    def __init__(self, size: int) -> None:
        try:
            self.memory = mmap.mmap(-1, size)
        except OSError as error:
            raise MemoryError(f"the system does not give {size} bytes of memory: {error}") from error
        self.starts, self.ends = [0], [size]

    def take(self, size: int) -> int | None:
        """Where the first hole of this size begins; it is a hole no longer. None where there is none."""
        for i, start in enumerate(self.starts):
            if self.ends[i] - start >= size:
                if self.ends[i] - start == size:
                    del self.starts[i], self.ends[i]
                else:
                    self.starts[i] += size
                return start
        return None

    def give_back(self, start: int, size: int) -> None:
        """Make a hole, and join it with the ones it touches."""
        end, i = start + size, bisect_left(self.starts, start)
        if i < len(self.starts) and self.starts[i] == end:  # the hole on the right
            end = self.ends[i]
            del self.starts[i], self.ends[i]
        if i and self.ends[i - 1] == start:  # the hole on the left
            self.ends[i - 1] = end
        else:
            self.starts.insert(i, start)
            self.ends.insert(i, end)


class _Block(np.ndarray):
    """What all views of one array are views of; when it dies, none of them is left.

    NumPy makes the base of a view the lowest array of the same type below it. This type is another one, and below it
    lies a region that is no array: so the chain of every view ends here, and not beneath.
    """

    store: Store | None = None
    region: _Region
    start: int

    def __del__(self) -> None:
        if self.store is not None:
            self.store._give_back(self)


class _Current(threading.local):
    store: Store | None = None


_current = _Current()


@contextmanager
def recycled(store: Store | None = None) -> Iterator[Store]:
    """In this thread, let `empty` hand out the memory of arrays that have died; its store is let go at the end.

    Parameters
    ----------
    store : Store, optional
        One that was used before, or that other threads use, too.

    Examples
    --------
    >>> with recycled():
    ...     empty((2, 3), np.float32).shape
    (2, 3)
    """
    before, _current.store = _current.store, Store() if store is None else store
    try:
        yield _current.store
    finally:
        _current.store = before


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """As `np.empty`; inside of `recycled`, a large array may lie where one lay that has died.

    Raises
    ------
    LimitError
        If the array would be larger than all the memory there is.
    MemoryError
        If the system does not give so much.

    Examples
    --------
    >>> empty((2, 3), np.float64).shape
    (2, 3)
    """
    check_memory(shape, dtype)
    return np.empty(shape, dtype) if _current.store is None else _current.store.empty(shape, dtype)


def empty_like(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """As `np.empty_like`: the shape, and the memory order of `x`, from `empty`.

    Examples
    --------
    >>> empty_like(np.zeros((2, 3), np.float32).T).strides
    (4, 12)
    """
    wanted = x.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    if _current.store is None or x.size * wanted.itemsize < SMALL:
        return np.empty_like(x, wanted, subok=False)
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))  # slowest first
    flat = _current.store.empty(tuple(x.shape[axis] for axis in order), wanted)
    return flat.transpose(np.argsort(order))
