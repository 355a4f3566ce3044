"""Ctrl-C and SIGTERM wait for the end of the step, so that no parameter is left half updated; a second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

DEFAULTS: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""Signals that ask a training to end, and the handlers that stand where nobody has set one of their own."""


class Terminated(KeyboardInterrupt):
    """SIGTERM has asked the training to end, as Ctrl-C does; a program exits with status 143 (128 + 15) then."""


class Interrupt:
    """Whether somebody has asked the training to end."""

    def __init__(self) -> None:
        self._number: int | None = None

    @property
    def pending(self) -> bool:
        """Asked for, and not yet raised."""
        return self._number is not None

    def check(self) -> None:
        """Raise KeyboardInterrupt if it was asked for."""
        if self._number is not None:
            number, self._number = self._number, None
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def handler(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the second one in a row does not wait."""
        self.check()
        self._number = number


@contextmanager
def interrupt_between_steps() -> Iterator[Interrupt]:
    """An `Interrupt` to check between steps: it raises KeyboardInterrupt if Ctrl-C was pressed or SIGTERM came since.

    Only the main thread can be told of signals; a handler that somebody else has set stays where it is. What comes
    after the last check is raised at the end of the block.

    Examples
    --------
    >>> with interrupt_between_steps() as interrupt:
    ...     interrupt.check()
    ...     interrupt.pending
    False
    """
    interrupt = Interrupt()
    ours = [number for number, default in DEFAULTS.items() if signal.getsignal(number) == default]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, interrupt.handler)
    try:
        yield interrupt
    finally:
        for number in ours:
            signal.signal(number, DEFAULTS[number])
    interrupt.check()
