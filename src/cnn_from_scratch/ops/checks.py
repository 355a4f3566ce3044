"""What an operation may be told besides arrays: plain numbers, switches, and no more than fits into memory."""

from __future__ import annotations

import functools
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LimitError
from ..typing import Array

GIB = 1 << 30
LARGEST = int(np.finfo(np.float64).max)
CGROUPS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
"""Where Linux says how much memory a container may use."""


def check_number(function: str, name: str, value: object, *, finite: bool = True) -> None:
    """Raise unless `value` is a real number (no bool), and a finite one unless told otherwise.

    Examples
    --------
    >>> check_number("example", "eps", "1e-5")
    Traceback (most recent call last):
        ...
    TypeError: example: eps must be a number, got '1e-5'
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{function}: {name} must be a number, got {value!r}")
    if finite and not _is_finite(value):
        raise ValueError(f"{function}: {name} must be finite, got {value!r}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{function}: {name} must fit into a float, got {value!r}")


def _is_finite(value: float | np.integer[npt.NBitBase] | np.floating[npt.NBitBase]) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def check_switch(function: str, name: str, value: object) -> None:
    """Raise unless `value` is True or False: the string "no" would count as true.

    Examples
    --------
    >>> check_switch("example", "train", "no")
    Traceback (most recent call last):
        ...
    TypeError: example: train must be True or False, got 'no'
    """
    if value is not True and value is not False and not isinstance(value, np.bool_):
        raise TypeError(f"{function}: {name} must be True or False, got {value!r}")


def check_generator(function: str, rng: object) -> None:
    """Raise unless `rng` is a generator of NumPy.

    Examples
    --------
    >>> check_generator("example", np.random.default_rng(0))
    """
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{function}: rng must be a numpy.random.Generator, got {rng!r}")


def plain_array(function: str, name: str, value: object) -> Array:
    """`value` as a plain array, without a copy; a masked one is refused, because no operation looks at its mask.

    Examples
    --------
    >>> plain_array("example", "x", np.ma.masked_array([1.0, 2.0], [True, False]))
    Traceback (most recent call last):
        ...
    TypeError: example: x is a masked array, and masks are not looked at; fill it, as in x.filled(0)
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{function}: {name} is a masked array, and masks are not looked at; fill it, as in {name}.filled(0)"
        )
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{function}: {name} must be a NumPy array, got {type(value).__name__}")
    return np.asarray(value)


def check_numeric(function: str, name: str, array: Array, kinds: str) -> None:
    """Raise unless the dtype is one of numbers, of these kinds (as in `numpy.dtype.kind`).

    Examples
    --------
    >>> check_numeric("example", "x", np.array(["1"]), "biufc")
    Traceback (most recent call last):
        ...
    TypeError: example: x must be an array of numbers, got <U1
    """
    if array.dtype.kind not in kinds:
        raise TypeError(f"{function}: {name} must be an array of numbers, got {array.dtype}")


def float_dtype(function: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    """The dtype of floats that this means; in integers, filters that were drawn near zero would all be zero.

    Examples
    --------
    >>> float_dtype("example", "float32")
    dtype('float32')
    """
    try:
        meant = None if dtype is None or isinstance(dtype, np.generic) else np.dtype(dtype)  # a number means none
    except (TypeError, ValueError):
        meant = None
    if meant is None or meant.kind != "f":
        raise TypeError(f"{function}: dtype must be a dtype of floats, got {dtype!r}")
    return meant


# --- memory ---------------------------------------------------------------------------------------------------------


@functools.cache
def total_memory() -> int:
    """Bytes of memory that there are for this process: the machine's, or what its container may use.

    Where the system does not say, the largest number there is: then NumPy's own MemoryError is the limit.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        total = sys.maxsize
    for file in CGROUPS:
        try:
            limit = Path(file).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def check_memory(shape: tuple[int, ...], dtype: npt.DTypeLike, what: str = "") -> None:
    """Raise before an array is allocated that is larger than all the memory there is; `what` begins the message.

    Systems that lend more memory than they have would kill the process later, when it writes into the array.

    Examples
    --------
    >>> check_memory((1 << 20, 1 << 30), np.float32, "example: ")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.LimitError: example: an array of shape (1048576, 1073741824) would take 4194304.0 GiB; ...
    """
    shape = tuple(map(int, shape))  # small integers of NumPy would overflow
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > total_memory():
        gib = f"{size / GIB:.1f}" if size <= LARGEST else "too many"
        raise LimitError(
            f"{what}an array of shape {shape} would take {gib} GiB; "
            f"there are {total_memory() / GIB:.1f} GiB of memory in all"
        )
    if not size and math.prod(n or 1 for n in shape) > np.iinfo(np.intp).max // 16:  # NumPy refuses it, empty or not
        raise LimitError(f"{what}an array of shape {shape} has sizes beyond what an array can have")
