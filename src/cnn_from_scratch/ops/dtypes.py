"""Which numbers an operation accepts: all float32 or all float64; float16 is widened and narrowed again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ..errors import LimitError
from .checks import check_switch, plain_array

P = ParamSpec("P")
R = TypeVar("R")

_HALF, _SINGLE, _DOUBLE = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)

_KEPT = ("x", "y", "weight", "xhat")
"""Names under which a cache keeps an array in the dtype of its forward pass."""


def float_op(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate an operation so that its arguments `names` arrive as native float32 or native float64, all the same.

    None passes through where the signature allows it, float16 computes in float32 and the results come back as float16,
    byte-swapped arrays are swapped into native order, subclasses of arrays count as plain ones, and anything else, a
    masked array too, is a TypeError that names function and argument. A backward operation also refuses a `dy` whose
    dtype is not the one its cache was made with, and a cache that is not of the class its signature names.

    Switches (arguments that the signature calls bool) must be True or False. Where memory does not suffice, the error
    names the function.

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
        signature = inspect.signature(function)
        order = list(signature.parameters)
        places = [(order.index(name), name) for name in names]
        optional = {name for name in names if _may_be_none(signature.parameters[name])}
        switches = [name for name, parameter in signature.parameters.items() if parameter.annotation == "bool"]
        kind = _cache_class(function, signature)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in switches:
                value = kwargs.get(name, True)
                if value is not True and value is not False:
                    check_switch(function.__name__, name, value)
            try:
                if _nothing_to_do(places, optional, args, kwargs, kind):
                    return function(*args, **kwargs)
                return convert(*args, **kwargs)
            except MemoryError as error:
                raise MemoryError(f"{function.__name__}: {error}") from error
            except LimitError as error:
                raise LimitError(f"{function.__name__}: {error}") from error

        def convert(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:  # an argument is missing, or one too many: Python says it better
                return function(*args, **kwargs)
            if kind is not None:
                require_cache(function.__name__, bound.arguments["cache"], kind)
            dtype = _common_dtype(function.__name__, names, optional, bound.arguments)
            wide = _SINGLE if dtype == _HALF else dtype
            for name in names:
                if bound.arguments.get(name) is not None:
                    bound.arguments[name] = np.asarray(bound.arguments[name]).astype(wide, copy=False)
            result = function(*bound.args, **bound.kwargs)
            return _narrow(result) if dtype == _HALF else result

        return checked

    return decorate


def _may_be_none(parameter: inspect.Parameter) -> bool:
    return parameter.default is None or "None" in str(parameter.annotation)


def _cache_class(function: Callable[..., Any], signature: inspect.Signature) -> type | None:
    """The class that the signature of a backward operation gives its cache."""
    cache = signature.parameters.get("cache")
    kind = function.__globals__.get(cache.annotation) if cache and isinstance(cache.annotation, str) else None
    return kind if isinstance(kind, type) else None


def require_cache(function: str, cache: object, kind: type) -> None:
    """Raise unless the cache is of the class that the forward operation gives."""
    if not isinstance(cache, kind):
        forward = "_".join(function.split("_")[:-1]) + "_forward"
        raise TypeError(f"{function}: cache must come from {forward}, got {type(cache).__name__}")


def _nothing_to_do(
    places: Sequence[tuple[int, str]],
    optional: Set[str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    kind: type | None,
) -> bool:
    """Whether all arrays are native and alike: the usual case, decided in a microsecond, for every call pays it."""
    common = None
    for i, name in places:
        value = args[i] if i < len(args) else kwargs.get(name)
        if type(value) is not np.ndarray:
            if value is None and name in optional:
                continue
            return False
        dtype = value.dtype  # equal dtypes need not be one object
        if common is None:
            if dtype != _SINGLE and dtype != _DOUBLE:
                return False
            common = dtype
        elif dtype is not common and dtype != common:
            return False
    if name == "dy":  # the only array of a backward operation; its cache comes next
        cache = args[1] if len(args) > 1 else kwargs.get("cache")
        if kind is not None and type(cache) is not kind:
            return False
        kept = _kept_dtype(cache)
        return kept is None or kept is common or kept == common
    return True


def _common_dtype(
    function: str, names: Sequence[str], optional: Set[str], arguments: Mapping[str, Any]
) -> np.dtype[Any]:
    """The native form of the one dtype that all given arrays have."""
    given = {name: arguments.get(name) for name in names}
    arrays = {
        name: plain_array(function, name, value)
        for name, value in given.items()
        if value is not None or name not in optional
    }
    for name, value in arrays.items():
        if value.dtype.kind != "f" or value.dtype.itemsize not in (2, 4, 8):
            raise TypeError(
                f"{function}: {name} has dtype {value.dtype}; expected float32 or float64 "
                f"(convert it, as in {name}.astype(np.float32))"
            )
    dtypes = {value.dtype.newbyteorder("=") for value in arrays.values()}
    if len(dtypes) > 1:
        listed = ", ".join(f"{name} {value.dtype}" for name, value in arrays.items())
        raise TypeError(f"{function}: arguments have different dtypes ({listed}); convert them to one")
    dtype: np.dtype[Any] = dtypes.pop()
    kept = _kept_dtype(arguments.get("cache"))
    if kept is not None and kept != (_SINGLE if dtype == _HALF else dtype):
        raise TypeError(f"{function}: dy has dtype {dtype} but the forward pass ran in {kept}; convert dy")
    return dtype


def _kept_dtype(cache: Any) -> np.dtype[Any] | None:
    """The dtype that a forward pass ran in, as far as its cache tells."""
    if isinstance(told := getattr(cache, "dtype", None), np.dtype):
        return told
    for name in _KEPT:
        kept = getattr(cache, name, None)
        if type(kept) is np.ndarray:
            dtype: np.dtype[Any] = kept.dtype
            return dtype
    return None


def _narrow(result: Any) -> Any:
    """float32 results as float16; caches (named tuples) stay as they are."""
    if isinstance(result, np.ndarray | np.floating):
        with np.errstate(over="ignore"):  # what is beyond 65504 is infinite
            return result.astype(_HALF) if result.dtype == np.float32 else result
    if type(result) is tuple:
        return tuple(_narrow(part) for part in result)
    return result
