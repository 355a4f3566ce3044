"""Shards of a batch, on threads or in forked processes: they meet only where mathematics makes them meet."""

from .blas import blas_works_elsewhere, single_threaded_blas, unlimited_blas
from .forked import ForkedGroup, can_fork
from .group import ALONE, Alone, Group, Member, ThreadGroup, default_shards, open_group, shard_slices
from .locks import ProcessLock
from .shared import SharedArrays

__all__ = [
    "ALONE",
    "Alone",
    "ForkedGroup",
    "Group",
    "Member",
    "ProcessLock",
    "SharedArrays",
    "ThreadGroup",
    "blas_works_elsewhere",
    "can_fork",
    "default_shards",
    "open_group",
    "shard_slices",
    "single_threaded_blas",
    "unlimited_blas",
]
