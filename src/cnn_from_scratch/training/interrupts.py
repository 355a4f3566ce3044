"""Ctrl-C waits for the end of the step, so that no parameter is left half updated; a second one does not wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_between_steps() -> Iterator[Callable[[], None]]:
    """Gives a function to call between steps: it raises KeyboardInterrupt if Ctrl-C was pressed since.

    Only the main thread can be told of signals, and only where Python's own handler stands; elsewhere nothing changes.

    Examples
    --------
    >>> with interrupt_between_steps() as check:
    ...     check()
    """
    if not _ours_to_change():
        yield lambda: None
        return
    pressed = threading.Event()

    def handler(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours_to_change() -> bool:
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
