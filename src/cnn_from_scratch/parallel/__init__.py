"""Shards of a batch, on threads: they meet only where mathematics makes them meet."""

from .blas import single_threaded_blas
from .group import ALONE, Alone, Group, Member, ThreadGroup, default_shards, open_group, shard_slices

__all__ = [
    "ALONE",
    "Alone",
    "Group",
    "Member",
    "ThreadGroup",
    "default_shards",
    "open_group",
    "shard_slices",
    "single_threaded_blas",
]
