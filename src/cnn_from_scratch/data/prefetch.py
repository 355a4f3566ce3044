"""Make things ahead of their use on one background thread, which always ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import NoReturn, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class _Failure:
    """An exception on its way from the thread to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def throw(self) -> NoReturn:
        try:
            raise self.error
        finally:
            del self.error  # this frame is part of its traceback: they would keep each other


class _End:
    """There is nothing more."""


def prefetched(make: Callable[[S], T], places: Iterable[S], *, ahead: int) -> Iterator[T]:
    """make(place) for each place, in order, at most `ahead` of them made before they are asked for.

    An exception in `make` is raised here, with the traceback of the thread, after what was made before it. However
    the iteration ends (exhausted, closed, collected as garbage, or by an exception, KeyboardInterrupt included), the
    thread has ended before the iterator has: at the latest when the item it is making is made.

    Examples
    --------
    >>> list(prefetched(lambda n: n * n, range(4), ahead=2))
    [0, 1, 4, 9]
    """
    made: SimpleQueue[T | _Failure | _End] = SimpleQueue()
    free = threading.Semaphore(ahead)
    stopped = threading.Event()

    def work() -> None:
        try:
            for place in places:
                free.acquire()
                if stopped.is_set():
                    return
                made.put(make(place))
            made.put(_End())
        except BaseException as error:
            made.put(_Failure(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            if isinstance(item, _Failure):
                item.throw()
            free.release()
            yield item
    finally:
        stopped.set()
        free.release()
        thread.join()
