"""The one process-wide setting: how many threads matrix products may use. First in sets it, last out restores it."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_users = 0
_limit: Any = None


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
    global _users, _limit
    with _lock:
        if _users == 0:
            _limit = _set_limit()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _limit is not None:
                _limit.restore_original_limits()
                _let_any_thread_set_limits()
                _limit = None


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
