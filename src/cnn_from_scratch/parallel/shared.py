"""Arrays that a process and its forks see at once."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping

import numpy as np

from ..typing import Array

ALIGN = 64
"""Arrays begin at multiples of so many bytes: a line of the processor's cache."""


def aligned(size: int) -> int:
    """The next multiple of `ALIGN`."""
    return -(-size // ALIGN) * ALIGN


class SharedArrays(Mapping[str, Array]):
    """Arrays by name, shaped as those they are made after, in memory that forks share: what one writes, all read.

    Examples
    --------
    >>> shared = SharedArrays({"weight": np.ones((2, 3), np.float32), "bias": np.ones(2, np.float32)})
    >>> shared.write({"weight": np.full((2, 3), 7.0, np.float32)})
    >>> shared["weight"][0, 0], shared["bias"].shape
    (np.float32(7.0), (2,))
    """

    def __init__(self, like: Mapping[str, Array]) -> None:
        sizes = [aligned(array.nbytes) for array in like.values()]
        memory = mmap.mmap(-1, max(sum(sizes), 1))  # anonymous memory is shared with forks
        self._arrays: dict[str, Array] = {}
        start = 0
        for (name, array), size in zip(like.items(), sizes, strict=True):
            self._arrays[name] = np.ndarray(array.shape, array.dtype, buffer=memory, offset=start)
            start += size

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def write(self, arrays: Mapping[str, Array]) -> None:
        """Copy these in, under their names."""
        for name, array in arrays.items():
            np.copyto(self._arrays[name], array, casting="no")
