"""What caches are made of as plain data, and back: arrays by name, and named tuples from a fixed list."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from .. import ops
from ..errors import FormatError
from ..formats.shown import short
from ..layers import Context
from ..layers.branches import ConcatCache
from ..layers.containers import ContainerCache
from ..layers.shape import FlattenCache
from ..ops import ConvGeometry
from ..ops.pooling import Masks, Maxima
from ..parallel import ALONE
from ..randomness import Place
from ..typing import Array

NAMED: dict[str, type[Any]] = {name: getattr(ops, name) for name in ops.__all__ if name.endswith("Cache")} | {
    kind.__name__: kind
    for kind in (ConcatCache, ContainerCache, Context, ConvGeometry, FlattenCache, Masks, Maxima, Place)
}
"""Every named tuple that the caches of this package are made of."""

DEEPEST = 200
"""Values within values: containers may be nested 32 deep, and each adds a few."""


class Pool:
    """Arrays under names, each once: whoever holds the same array gets the same name."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._names: dict[int, tuple[str, Array]] = {}

    def name(self, array: Array, wanted: str) -> str:
        """The name of an array: the one that is wanted unless it has one, or another array has it."""
        if id(array) in self._names:
            return self._names[id(array)][0]
        name, count = wanted, 1
        while name in self.arrays:
            name, count = f"{wanted}#{count}", count + 1
        self.arrays[name], self._names[id(array)] = array, (name, array)
        return name


def encode(value: Any, pool: Pool, name: str) -> Any:
    """A value as JSON has it, its arrays in the pool under names that begin with `name`.

    Raises
    ------
    TypeError
        If it holds something that is none of this.

    Examples
    --------
    >>> pool = Pool()
    >>> encode((np.zeros(2), 1.5, [None]), pool, "a"), list(pool.arrays)
    ({'tuple': [{'array': 'a/0'}, 1.5, [None]]}, ['a/0'])
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.generic):
        return {"number": pool.name(np.asarray(value), name)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray):
        return _encode_array(value, pool, name)
    if isinstance(value, np.dtype):
        return {"dtype": value.newbyteorder("=").name}
    if value is ALONE:
        return {"group": "alone"}
    if isinstance(value, list):
        return [encode(item, pool, f"{name}/{i}") for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encode(item, pool, f"{name}/{key}") for key, item in value.items()}}
    if type(value) is tuple:
        return {"tuple": [encode(item, pool, f"{name}/{i}") for i, item in enumerate(value)]}
    kind = type(value).__name__
    if NAMED.get(kind) is type(value):
        items = [encode(item, pool, f"{name}/{field}") for field, item in zip(value._fields, value, strict=True)]
        return {"named": kind, "items": items}
    raise TypeError(
        f"save_trace: {name} is of type {kind}, which cannot be written; "
        "a cache may hold arrays, numbers, strings, None, tuples, lists and dicts"
    )


def _encode_array(array: Array, pool: Pool, name: str) -> dict[str, Any]:
    """By its name; with the order of its axes in memory, slowest first, where that is not the usual one."""
    spec: dict[str, Any] = {"array": pool.name(array, name)}
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    if not array.flags.c_contiguous and array.transpose(order).flags.c_contiguous:
        spec["order"] = order
    return spec


class Reader:
    """Values from a file: what is not as `encode` writes it is a FormatError, which does not name the file."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self._ordered: dict[str, tuple[list[int], Array]] = {}

    def decode(self, spec: Any, depth: int = 0) -> Any:
        """The value that was encoded.

        Examples
        --------
        >>> Reader({"a/0": np.zeros(2)}).decode({"tuple": [{"array": "a/0"}, 1.5, [None]]})
        (array([0., 0.]), 1.5, [None])
        """
        if depth > DEEPEST:
            raise FormatError(f"its values are nested more than {DEEPEST} deep")
        if spec is None or isinstance(spec, bool | int | float | str):
            return spec
        if isinstance(spec, list):
            return [self.decode(item, depth + 1) for item in spec]
        match spec:
            case {"array": str(name), **rest} if rest.keys() <= {"order"}:
                return self.array(name, rest.get("order"))
            case {"number": str(name), **rest} if not rest:
                return self.array(name)[()]
            case {"float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
                return float(text)
            case {"dtype": "float16" | "float32" | "float64" as text, **rest} if not rest:
                return np.dtype(text)
            case {"group": "alone", **rest} if not rest:
                return ALONE
            case {"tuple": list(items), **rest} if not rest:
                return tuple(self.decode(item, depth + 1) for item in items)
            case {"dict": dict(items), **rest} if not rest:
                return {key: self.decode(item, depth + 1) for key, item in items.items()}
            case {"named": str(kind), "items": list(items), **rest} if not rest and kind in NAMED:
                return _make(NAMED[kind], [self.decode(item, depth + 1) for item in items])
        raise FormatError(f"holds a value that is none: {short(spec)}")

    def array(self, name: str, order: Any = None) -> Array:
        """The array of this name, its axes in memory as they were; one array however often it is asked for."""
        if name not in self.arrays:
            raise FormatError(f"lacks the array {short(name)}")
        array = self.arrays[name]
        if order is None:
            return array
        if not isinstance(order, list) or sorted(map(repr, order)) != sorted(map(repr, range(array.ndim))):
            raise FormatError(f"the array {name!r} of shape {array.shape} cannot lie in the order {short(order)}")
        if name not in self._ordered:
            moved = np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
            moved.setflags(write=False)
            self._ordered[name] = order, moved
        if self._ordered[name][0] != order:  # each would be another copy, and 8 axes have 40,320 orders
            raise FormatError(f"the array {name!r} lies in more than one order")
        return self._ordered[name][1]


def _make(kind: type[Any], items: list[Any]) -> Any:
    """A named tuple whose fields are what its class says."""
    hints = _hints(kind)
    if len(items) != len(hints):
        raise FormatError(f"{kind.__name__} has {len(hints)} fields, got {len(items)}")
    for (field, hint), item in zip(hints.items(), items, strict=True):
        if not fits(item, hint):
            raise FormatError(f"{kind.__name__}: {field} cannot be {short(item)}")
    return kind(*items)


def _hints(kind: type[Any]) -> dict[str, Any]:
    """The fields of a named tuple and their types, as its class says; found out once."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


_HINTS: dict[type[Any], dict[str, Any]] = {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that an annotation names.

    Examples
    --------
    >>> fits((1, 2), tuple[int, int]), fits((1, 2.5), tuple[int, ...]), fits(None, int | None), fits(True, int)
    (True, False, True, False)
    """
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in inside)
    if origin is Literal:
        return value in inside
    if origin is tuple:
        hints = [inside[0]] * len(value) if inside[-1] is ... and isinstance(value, tuple) else inside
        return isinstance(value, tuple) and len(value) == len(hints) and all(map(fits, value, hints))
    if origin is list:
        return isinstance(value, list) and all(fits(item, inside[0]) for item in value)
    if origin is Callable or getattr(hint, "_is_protocol", False):
        return value is ALONE and origin is None
    if hint in (int, float):
        return isinstance(value, int | float if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, type(None) if hint is None else _class_of(origin or hint))


def _class_of(kind: Any) -> type[Any]:
    """The class that an alias stands for: newer versions of Python know NumPy's NDArray as an alias."""
    aliased = getattr(kind, "__value__", None)
    found: type[Any] = kind if aliased is None else get_origin(aliased) or aliased
    return found
