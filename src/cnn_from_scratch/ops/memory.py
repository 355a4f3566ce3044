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
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ..typing import Array

SMALL = 1 << 16
"""Arrays of fewer bytes are not worth recycling."""

LIMIT = 1 << 30
"""How many unused bytes a store keeps."""


class Store:
    """Buffers that nobody uses at the moment, by size.

    Threads may share a store, but each gets back what it took itself: memory that another core has just written would
    have to come over from that core's cache first. With shelves of their own, two shards of a small network took 0.84
    of the time that they took with a common one.

    Examples
    --------
    >>> with recycled() as store:
    ...     a = empty((1024, 1024), np.float32)
    ...     place = a.ctypes.data
    ...     del a
    ...     b = empty((1024, 1024), np.float32)
    >>> b.ctypes.data == place, store.unused
    (True, 0)
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.unused = 0
        self._shelves = _Shelves()
        self._lock = threading.RLock()  # a buffer may come back while one is taken, in the same thread

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An array with arbitrary content, in C order."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size = -(-size // SMALL) * SMALL  # whole pages
        shelf = self._shelves.by_size.setdefault(size, [])
        buffer = self._take(size, shelf)
        block = np.ndarray.__new__(_Block, (size,), np.uint8, buffer=buffer)
        block.store, block.shelf, block.buffer = self, shelf, buffer
        return np.ndarray(shape, dtype, buffer=block)

    def _take(self, size: int, shelf: list[mmap.mmap]) -> mmap.mmap:
        with self._lock:
            if shelf:
                self.unused -= size
                return shelf.pop()
        return mmap.mmap(-1, size)

    def _give_back(self, buffer: mmap.mmap, shelf: list[mmap.mmap]) -> None:
        with self._lock:
            if self.unused + len(buffer) <= self.limit:
                self.unused += len(buffer)
                shelf.append(buffer)


class _Shelves(threading.local):
    """The unused buffers that one thread took."""

    def __init__(self) -> None:
        self.by_size: dict[int, list[mmap.mmap]] = {}


class _Block(np.ndarray):
    """What all views of one buffer are views of; when it dies, none of them is left.

    NumPy makes the base of a view the lowest array of the same type below it. This type is another one, and below it
    lies a buffer that is no array: so the chain of every view ends here, and not beneath.
    """

    store: Store | None = None
    shelf: list[mmap.mmap]
    buffer: mmap.mmap

    def __del__(self) -> None:
        if self.store is not None:
            self.store._give_back(self.buffer, self.shelf)


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

    Examples
    --------
    >>> empty((2, 3), np.float64).shape
    (2, 3)
    """
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
