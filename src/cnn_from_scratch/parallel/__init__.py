"""Shards of a batch, on threads or in forked processes: they meet only where mathematics makes them meet."""

from .blas import single_threaded_blas
from .forked import ForkedGroup, can_fork
from .group import ALONE, Alone, Group, Member, ThreadGroup, default_shards, open_group, shard_slices
from .shared import SharedArrays

__all__ = [
    "ALONE",
    "Alone",
    "ForkedGroup",
    "Group",
    "Member",
    "SharedArrays",
    "ThreadGroup",
    "can_fork",
    "default_shards",
    "open_group",
    "shard_slices",
    "single_threaded_blas",
]
