"""What must be remembered, as one flat dict of arrays and plain numbers that any file format can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

import numpy as np

from ..typing import Array
from .checks import check_mapping

State: TypeAlias = dict[str, Array | int | float]
"""``"NAME"`` for what there is once, ``"NAME/KEY"`` for what there is for each parameter. Names have no slash."""


def split_state(
    owner: str, state: Mapping[str, Array | int | float], once: tuple[str, ...], per_key: tuple[str, ...]
) -> list[str]:
    """The keys that `state` speaks of, if it holds exactly the names `once`, and `per_key` for each key.

    Examples
    --------
    >>> split_state("example", {"t": 1, "sum/0.bias": np.zeros(1)}, once=("t",), per_key=("sum",))
    ['0.bias']
    """
    check_mapping(owner, "state", state)
    keys: dict[str, None] = {}  # in their order, once each
    for entry in state:
        name, slash, key = str(entry).partition("/")
        if name not in (per_key if slash else once):
            known = ", ".join([*once, *(f"{name}/KEY" for name in per_key)])
            raise ValueError(f"{owner}: state holds {entry!r}, which is none of {known}")
        if slash:
            keys[key] = None
    for entry in [*once, *(f"{name}/{key}" for key in keys for name in per_key)]:
        if entry not in state:
            raise ValueError(f"{owner}: state has no {entry!r}")
    return list(keys)


def count_of(owner: str, state: Mapping[str, Array | int | float], entry: str) -> int:
    """A whole number >= 0 from `state`, where it may be an array of one number."""
    value = number_of(state, entry)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{owner}: {entry} must be an int >= 0, got {value!r}")
    return value


def number_of(state: Mapping[str, Array | int | float], entry: str) -> int | float:
    """A number from `state`; what is no number comes back as it is, for a check to refuse."""
    value = state[entry]
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        return cast("int | float", value.item())
    return cast("int | float", value)


def array_of(owner: str, state: Mapping[str, Array | int | float], entry: str) -> Array:
    """A copy of an array from `state`, in the byte order of this machine."""
    value = state[entry]
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{owner}: {entry} must be a NumPy array, got {type(value).__name__}")
    return value.astype(value.dtype.newbyteorder("="), order="C")
