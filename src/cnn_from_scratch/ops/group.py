"""The shards of a batch meet here: what is true of the whole batch is a sum over its shards."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..typing import Array


class Group(Protocol):
    """All that an operation needs to know of the other shards: how to add up what each of them has."""

    def sum(self, arrays: list[Array]) -> list[Array]:
        """Add each array over all shards, in their order; every shard gets the same totals."""


def check_group(function: str, group: object) -> None:
    """Raise unless `group` is None or has what a group must have.

    Examples
    --------
    >>> check_group("example", None)
    """
    if group is not None and (isinstance(group, np.ndarray | np.generic) or not hasattr(group, "sum")):
        raise TypeError(f"{function}: group must be None or add up over shards, got {group!r}")


def group_sum(group: Group | None, arrays: list[Array]) -> list[Array]:
    """The totals over all shards; the arrays themselves where the batch is whole (`group` is None).

    Examples
    --------
    >>> group_sum(None, [np.array([1.0, 2.0])])
    [array([1., 2.])]
    """
    return arrays if group is None else group.sum(arrays)
