"""Which numbers an operation accepts: all float32 or all float64; float16 is widened and narrowed again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..typing import Array

P = ParamSpec("P")
R = TypeVar("R")

_NATIVE = (np.dtype(np.float32), np.dtype(np.float64))
_HALF = np.dtype(np.float16)


def float_op(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate an operation so that its arguments `names` arrive as native float32 or native float64, all the same.

    None passes through, float16 computes in float32 and the results come back as float16, byte-swapped
    arrays are swapped into native order, and anything else is a TypeError that names function and argument.
    A backward operation also refuses a `dy` whose dtype is not the one its cache was made with.

    Examples
    --------
    >>> @float_op("x")
    ... def double(x):
    ...     return x + x
    >>> double(np.ones(2, np.float16)).dtype
    dtype('float16')
    >>> double(np.ones(2, np.int64))
    Traceback (most recent call last):
        ...
    TypeError: double: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        order = list(inspect.signature(function).parameters)
        places = [(order.index(name), name) for name in names]
        label = function.__name__

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            values: list[tuple[str, Any]] = [
                (name, args[i] if i < len(args) else kwargs.get(name)) for i, name in places
            ]
            arrays = [(name, value) for name, value in values if value is not None]
            dtype = _common_dtype(label, arrays, args)
            if dtype in _NATIVE and all(value.dtype is dtype for _, value in arrays):
                return function(*args, **kwargs)
            wide = np.dtype(np.float32) if dtype == _HALF else dtype.newbyteorder("=")
            changed = {name: value.astype(wide, copy=False) for name, value in arrays}
            positional = [changed.get(name, value) for name, value in zip(order, args, strict=False)]
            keywords = {name: changed.get(name, value) for name, value in kwargs.items()}
            result = function(*positional, **keywords)
            return _narrow(result) if dtype == _HALF else result

        return checked

    return decorate


def _common_dtype(function: str, arrays: list[tuple[str, Any]], args: tuple[Any, ...]) -> np.dtype[Any]:
    for name, value in arrays:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{function}: {name} must be a NumPy array, got {type(value).__name__}")
        if value.dtype.kind != "f" or value.dtype.itemsize not in (2, 4, 8):
            raise TypeError(
                f"{function}: {name} has dtype {value.dtype}; expected float32 or float64 "
                f"(convert it, as in {name}.astype(np.float32))"
            )
    dtypes = {value.dtype.newbyteorder("=") for _, value in arrays}
    if len(dtypes) > 1:
        listed = ", ".join(f"{name} {value.dtype}" for name, value in arrays)
        raise TypeError(f"{function}: arguments have different dtypes ({listed}); convert them to one")
    if not arrays:
        raise TypeError(f"{function}: no array was given")
    name, first = arrays[0]
    if name == "dy" and len(args) > 1 and isinstance(args[1], tuple):
        _check_against_cache(function, first, args[1])
    dtype: np.dtype[Any] = first.dtype
    return dtype


def _check_against_cache(function: str, dy: Array, cache: tuple[Any, ...]) -> None:
    kept = next((getattr(cache, n) for n in ("x", "y", "weight") if getattr(cache, n, None) is not None), None)
    if isinstance(kept, np.ndarray) and dy.dtype.newbyteorder("=") != kept.dtype and dy.dtype.itemsize != 2:
        raise TypeError(f"{function}: dy has dtype {dy.dtype} but the forward pass ran in {kept.dtype}; convert dy")


def _narrow(result: Any) -> Any:
    """float32 results as float16; caches (named tuples) stay as they are."""
    if isinstance(result, np.ndarray | np.floating):
        return result.astype(_HALF) if result.dtype == np.float32 else result
    if type(result) is tuple:
        return tuple(_narrow(part) for part in result)
    return result
