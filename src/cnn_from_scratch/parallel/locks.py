"""A lock that a fork finds open, unless the thread that made the fork holds it."""

from __future__ import annotations

import os
import threading
import weakref


class ProcessLock:
    """As `threading.Lock`, in a `with`; in a fork, nobody waits for a thread that did not come along.

    Examples
    --------
    >>> with ProcessLock():
    ...     pass
    """

    def __init__(self) -> None:
        self._lock, self._holder = threading.Lock(), 0
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._holder = threading.get_ident()

    def __exit__(self, *error: object) -> None:
        self._holder = 0
        self._lock.release()

    def after_fork(self) -> None:
        """In the fork, where this thread is the only one."""
        if self._holder != threading.get_ident():
            self._lock, self._holder = threading.Lock(), 0


_locks: weakref.WeakSet[ProcessLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in _locks:
        lock.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
