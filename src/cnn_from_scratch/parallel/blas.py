"""The one process-wide setting: how many threads matrix products may use. First in sets it, last out restores it."""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_limit: Any = None
_holders: list[int] = []
_unlimited: list[int] = []
"""The threads that are inside `single_threaded_blas`, and those inside `unlimited_blas`."""


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold every BLAS library at one thread while inside; nested and concurrent uses count.

    Shards bring their own threads, and a BLAS that starts more of them makes all of them slower. Where threadpoolctl is
    not installed, nothing is held.

    Examples
    --------
    >>> with single_threaded_blas():
    ...     pass
    """
    global _limit
    thread = threading.get_ident()
    with _lock:
        if not _holders:
            _limit = _set_limit()
        _holders.append(thread)
    try:
        yield
    finally:
        with _lock:
            _holders.remove(thread)
            _restore_after_the_last()


@contextmanager
def unlimited_blas() -> Iterator[None]:
    """Say that this thread is at products which BLAS may share among threads of its own.

    Examples
    --------
    >>> with unlimited_blas():
    ...     pass
    """
    thread = threading.get_ident()
    _unlimited.append(thread)  # one operation of a list: no thread can see half of it
    try:
        yield
    finally:
        _unlimited.remove(thread)


def blas_works_elsewhere() -> bool:
    """Whether another thread is inside `unlimited_blas`: to fork then could hang.

    OpenBLAS ends its threads before a fork, and one that is at a product at that moment never comes back (seen with
    0.3.30: of two threads that multiply matrices while a third one forks, both stand still after some hundred forks).
    Ask with BLAS held at one thread: products that begin after that do not use others.

    Examples
    --------
    >>> with unlimited_blas():  # in this thread
    ...     blas_works_elsewhere()
    False
    """
    mine = threading.get_ident()
    return any(thread != mine for thread in list(_unlimited))


def _restore_after_the_last() -> None:
    """Give BLAS its threads back when nobody is inside any more."""
    global _limit
    if not _holders and _limit is not None:
        _limit.restore_original_limits()
        _let_any_thread_set_limits()
        _limit = None


def _after_fork() -> None:
    """In a fork only the thread that made it goes on: what the others held is let go."""
    global _lock
    _lock, mine = threading.Lock(), threading.get_ident()
    _holders[:] = [thread for thread in _holders if thread == mine]
    _unlimited[:] = [thread for thread in _unlimited if thread == mine]
    _restore_after_the_last()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def can_limit_blas() -> bool:
    """Whether there is threadpoolctl, which knows how to."""
    return importlib.util.find_spec("threadpoolctl") is not None


def _set_limit() -> Any:
    """What restores the limits; None where there is nothing to restore."""
    if not can_limit_blas():
        return None
    limit = _blas().limit(limits=1)
    _let_any_thread_set_limits()
    return limit


@functools.cache
def _blas() -> Any:
    """The BLAS libraries of this process, NumPy's among them: looking for them takes 25 times as long as the limit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _let_any_thread_set_limits() -> None:
    """From version 3.8 on, threadpoolctl ignores all threads but the one that set OpenBLAS's limit first.

    Here the last one out restores the limit, and that may be another thread than the first one in.
    """
    import threadpoolctl

    controller = getattr(threadpoolctl, "OpenBLASController", None)
    if controller is not None and hasattr(controller, "clear_controlling_thread"):
        controller.clear_controlling_thread(force=True)
