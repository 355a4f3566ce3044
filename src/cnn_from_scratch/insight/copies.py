"""Copies of what layers hand one another: plain, read-only, and as much shared as the originals are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers import Context, Layer
from ..parallel import ALONE
from ..typing import Array


class Copies:
    """Of one array one copy, however often it is met: the output of a layer is the input of the next.

    What was met is held until the end, so that its identity tells it from all else.

    Examples
    --------
    >>> x, copies = np.array([1.0, 2.0]), Copies()
    >>> cache = copies.value((x, "same"))
    >>> x[0] = 5
    >>> cache, cache[0] is copies.array(cache[0]), cache[0].flags.writeable
    ((array([1., 2.]), 'same'), True, False)
    """

    def __init__(self) -> None:
        self._met: dict[int, tuple[Any, Any]] = {}
        self._flat: dict[int, tuple[Array, Array]] = {}

    def know(self, array: Array, made: Array) -> None:
        """Take a copy that somebody else has made."""
        self._met[id(array)], self._met[id(made)] = (array, made), (made, made)

    def array(self, array: Array) -> Array:
        """A copy that lies in memory as the array does."""
        made: Array
        if id(array) in self._met:
            made = self._met[id(array)][1]
            if made is array or _same(made, array):
                return made
        made = array.copy(order="K")
        made.setflags(write=False)
        self.know(array, made)
        return made

    def flat(self, array: Array) -> Array:
        """A copy that is C-contiguous: the same one if `array` is so."""
        made = self.array(array)
        if made.flags.c_contiguous:
            return made
        if id(made) not in self._flat:
            flat = np.ascontiguousarray(made)
            flat.setflags(write=False)
            self._flat[id(made)] = made, flat
        return self._flat[id(made)][1]

    def value(self, value: Any) -> Any:
        """A copy of anything that a cache is made of; of a context, without its tap."""
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, Context):
            return value._replace(tap=None)
        if not isinstance(value, tuple | list | dict):
            return value if value is ALONE else copy.deepcopy(value)
        if id(value) not in self._met:
            self._met[id(value)] = value, self._inside(value)
        return self._met[id(value)][1]

    def _inside(self, value: Any) -> Any:
        """A tuple, named or not, list or dict of copies."""
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        items = [self.value(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def frozen_copy(model: Layer) -> Layer:
    """A copy of a model that can be run, but not trained."""
    copied = copy.deepcopy(model)
    freeze_arrays(copied.params, copied.buffers)
    return copied


def freeze_arrays(*dicts: Mapping[str, Array]) -> None:
    """What belongs to a record cannot be written any more."""
    for arrays in dicts:
        for array in arrays.values():
            array.setflags(write=False)


def _same(kept: Array, array: Array) -> bool:
    """Whether the array is still what it was when it was copied: a layer that writes into its input is caught."""
    return np.array_equal(kept, array, equal_nan=array.dtype.kind == "f")
