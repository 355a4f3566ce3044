"""Python's plain values as JSON beside named arrays, and back with the very same types and numbers.

JSON has no NaN, no infinity, no tuple and no array. These are written as an object with one name that says which:
``{"float": "nan"}``, ``{"tuple": [...]}``, ``{"array": "name"}`` for an array that lies beside the JSON under its name,
``{"scalar": "name"}`` for a NumPy scalar that does, and ``{"dict": {...}}`` for a dict. All else is written as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import FormatError
from ..typing import Array

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """A value as JSON has it; arrays in it are added to `arrays`, under names that begin with `name`.

    Raises
    ------
    TypeError
        If it holds anything but None, booleans, numbers, strings, arrays, and lists, tuples and dicts of these.

    Examples
    --------
    >>> arrays = {}
    >>> encode({"best": math.inf, "kept": [1, np.zeros(2)]}, "callback", arrays)
    {'dict': {'best': {'float': 'inf'}, 'kept': [1, {'array': 'callback/kept/1'}]}}
    >>> arrays
    {'callback/kept/1': array([0., 0.])}
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return {"array" if isinstance(value, np.ndarray) else "scalar": _add(np.asarray(value), name, arrays)}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: encode(item, f"{name}/{key}", arrays) for key, item in value.items()}}
    if type(value) in (list, tuple):
        items = [encode(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    raise TypeError(
        f"checkpoint: {name} is a {type(value).__name__}, which cannot be written; it must be None, a number, "
        "a string, an array, or a list, tuple or dict (with strings as keys) of these"
    )


def decode(value: Any, arrays: dict[str, Array]) -> Any:
    """What `encode` was given; arrays are copies that may be written.

    An array is taken out of `arrays`, for `encode` names each only once: else a small file could ask for many copies.

    Raises
    ------
    FormatError
        If this was not made by `encode`.

    Examples
    --------
    >>> decode({"dict": {"best": {"float": "inf"}, "kept": [1, {"array": "a"}]}}, {"a": np.zeros(2)})
    {'best': inf, 'kept': [1, array([0., 0.])]}
    """
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items() if len(value) == 1 else [("", None)]
    if kind == "dict" and isinstance(content, dict):
        return {key: decode(item, arrays) for key, item in content.items()}
    if kind == "tuple" and isinstance(content, list):
        return tuple(decode(item, arrays) for item in content)
    if kind == "float" and isinstance(content, str) and content in NOT_FINITE:
        return NOT_FINITE[content]
    if kind == "array" and isinstance(content, str) and content in arrays:
        return np.array(arrays.pop(content))
    if kind == "scalar" and isinstance(content, str) and content in arrays and arrays[content].ndim == 0:
        return arrays[content][()]
    raise FormatError(
        f"expected a number, a text, a list or one of dict, tuple, float, array, scalar; got {value!r:.80}"
    )


def _add(array: Array, name: str, arrays: dict[str, Array]) -> str:
    """Put the array among the others, under this name or, if that is taken, one like it."""
    while name in arrays:
        name += "'"
    arrays[name] = array
    return name
