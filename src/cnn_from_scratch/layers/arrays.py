"""The dicts behind `params` and `buffers`: assigning to a key writes into the array that is there, in place.

An optimizer, an average of the weights and every container know an array by its identity. Were it exchanged, they
would go on with the old one, and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self, SupportsIndex

import numpy as np

from ..errors import ShapeError
from ..typing import Array


class Arrays(dict[str, Array]):
    """A dict of arrays in which ``arrays[key] = value`` means ``arrays[key][...] = value``.

    A key that is not there yet is taken in with its array: so a layer gets its parameters when it is made.

    Raises
    ------
    TypeError
        If a value is no NumPy array, or not of the dtype of the array that is there.
    ShapeError
        If it has another shape.

    Examples
    --------
    >>> params = Arrays({"weight": np.zeros(2)})
    >>> weight = params["weight"]
    >>> params["weight"] = np.array([1.0, 2.0])
    >>> weight
    array([1., 2.])
    """

    def __init__(self, arrays: Mapping[str, Array] | Iterable[tuple[str, Array]] = ()) -> None:
        super().__init__(arrays)
        for key, value in self.items():
            _require_array(key, value)

    def __setitem__(self, key: str, value: Array) -> None:
        self._check(key, value)
        if key not in self:
            super().__setitem__(key, value)
        elif value is not self[key]:
            self[key][...] = value

    def update(self, *others: Any, **named: Array) -> None:
        """Assign one by one; nothing is written unless all fit."""
        new = dict(*others, **named)
        for key, value in new.items():
            self._check(key, value)
        for key, value in new.items():
            self[key] = value

    def _check(self, key: str, value: Array) -> None:
        _require_array(key, value)
        if key in self:
            _require_same(key, value, self[key])

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None, /) -> Array:
        """The array of this key; where there is none, the default is taken in."""
        if key not in self:
            self[key] = default
        return self[key]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class GatheredArrays(Arrays):
    """The arrays of all layers in a container, under their full keys. Which ones there are is fixed.

    Raises
    ------
    TypeError
        If a key is to be added or taken away.

    Examples
    --------
    >>> GatheredArrays({"0.weight": np.zeros(2)})["1.weight"] = np.zeros(2)
    Traceback (most recent call last):
        ...
    TypeError: '1.weight' is not among the arrays of this model: they can be written, not added or taken away
    """

    def _check(self, key: str, value: Array) -> None:
        if key not in self:
            raise TypeError(
                f"{key!r} is not among the arrays of this model: they can be written, not added or taken away"
            )
        super()._check(key, value)

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError(
            "the arrays of a model can be written, not added or taken away; for other keys make a dict(...)"
        )

    __delitem__ = pop = popitem = clear = _refuse


def _require_array(key: str, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{key!r} must be given a NumPy array, got {type(value).__name__}")


def _require_same(key: str, value: Array, own: Array) -> None:
    """Raise unless the value can stand in the place of the array that is there."""
    if value.shape != own.shape:
        raise ShapeError(f"{key!r} has shape {own.shape} and cannot be given an array of shape {value.shape}")
    if value.dtype.newbyteorder("=") != own.dtype.newbyteorder("="):
        raise TypeError(f"{key!r} is {own.dtype} and cannot be given {value.dtype}; convert it")
