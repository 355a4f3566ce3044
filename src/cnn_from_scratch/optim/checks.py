"""What this room accepts: plain numbers as settings, and float32 or float64 arrays by key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real

import numpy as np

from ..errors import ShapeError
from ..typing import Array

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_number(owner: str, name: str, value: object, *, minimum: float = 0.0, below: float = math.inf) -> None:
    """Raise unless `value` is a number (not a bool) with minimum <= value < below; infinity and NaN never are.

    Examples
    --------
    >>> check_number("SGD", "lr", -0.1)
    Traceback (most recent call last):
        ...
    ValueError: SGD: lr must be a finite number >= 0, got -0.1
    """
    if not isinstance(value, bool) and isinstance(value, Real) and minimum <= _as_float(value) < below:
        return
    rule = "a finite number" if below == math.inf else f"a number < {below:g}"
    if minimum > -math.inf:
        rule += f"{'' if below == math.inf else ' and'} >= {minimum:g}"
    raise ValueError(f"{owner}: {name} must be {rule}, got {value!r}")


def _as_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond every float
        return math.inf


def check_switch(owner: str, name: str, value: object) -> None:
    """Raise unless `value` is True or False: the string "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{owner}: {name} must be True or False, got {value!r}")


def check_count(owner: str, name: str, value: object, *, minimum: int = 1) -> None:
    """Raise unless `value` is an int (not a bool) of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{owner}: {name} must be an int >= {minimum}, got {value!r}")


def check_array(owner: str, name: str, array: object) -> None:
    """Raise unless `array` is a NumPy array, and not a masked one, whose mask nothing here would look at."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{owner}: {name} must be a NumPy array, got {type(array).__name__}")


def check_mapping(owner: str, name: str, arrays: object) -> None:
    """Raise unless `arrays` is a dict, or another mapping."""
    if not isinstance(arrays, Mapping):
        raise TypeError(f"{owner}: {name} must be a dict, got {type(arrays).__name__}")


def check_floats(owner: str, name: str, array: Array) -> None:
    """Raise unless `array` is a float32 or float64 array, of either byte order."""
    check_array(owner, name, array)
    if array.dtype.newbyteorder("=") not in _FLOATS:
        raise TypeError(f"{owner}: {name} has dtype {array.dtype}; expected float32 or float64")


def check_same(owner: str, name: str, array: Array, other: str, model: Array) -> None:
    """Raise unless `array` has the shape and the dtype of `model`, which the message calls `other`."""
    if array.shape != model.shape:
        raise ShapeError(f"{owner}: {name} has shape {array.shape} but {other} has {model.shape}")
    if array.dtype.newbyteorder("=") != model.dtype.newbyteorder("="):
        raise TypeError(f"{owner}: {name} has dtype {array.dtype} but {other} has {model.dtype}")


def check_writeable(owner: str, name: str, array: Array) -> None:
    """Raise if `array` is read-only."""
    if not array.flags.writeable:
        raise ValueError(f"{owner}: {name} is read-only, so no new values can be written into it")


def some(keys: Iterable[str], most: int = 4) -> str:
    """The first few keys, for a message.

    Examples
    --------
    >>> some("abcdef")
    "'a', 'b', 'c', 'd', ..."
    """
    names = [repr(key) for key in keys]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "") if names else "none"
