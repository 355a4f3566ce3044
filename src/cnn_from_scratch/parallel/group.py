"""Shards of a batch. Each member runs the pure forward and backward alone; they meet only in `sum`.

Threads are enough, because NumPy lets go of the interpreter lock while it computes. The same few methods (`rank`,
`size`, `sum`, `run`) could be had from processes on other machines, and no layer would notice.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ..typing import Array
from .blas import can_limit_blas, single_threaded_blas, unlimited_blas
from .locks import ProcessLock

T = TypeVar("T")


class Member(Protocol):
    """One shard's view of its group."""

    @property
    def rank(self) -> int:
        """Which shard this is, from 0."""

    @property
    def size(self) -> int:
        """How many shards there are."""

    def sum(self, arrays: list[Array]) -> list[Array]:
        """Add each array over all members, in the order of their ranks; every member gets the same totals."""


class Group(Protocol):
    """Something that runs one function on all shards."""

    @property
    def size(self) -> int:
        """How many shards there are."""

    def run(self, function: Callable[[Any], T]) -> list[T]:
        """Call `function(member)` for every member at once; the results in order of rank."""


class Alone:
    """The group of one shard, and its only member.

    Examples
    --------
    >>> ALONE.run(lambda member: member.rank)
    [0]
    """

    rank = 0
    size = 1

    def sum(self, arrays: list[Array]) -> list[Array]:
        """The arrays themselves."""
        return arrays

    def run(self, function: Callable[[Member], T]) -> list[T]:
        """[function(self)]"""
        return [function(self)]


ALONE = Alone()


class ThreadGroup:
    """Shards on long-lived threads; the calling thread is the first of them.

    Results are bitwise repeatable for a given size: sums run in the order of the ranks. An exception in one member
    (KeyboardInterrupt included) releases the others from where they wait, and is raised again by `run`.

    Parameters
    ----------
    size : int
        How many shards, at least 1. One per core is best.

    Examples
    --------
    >>> import numpy as np
    >>> with open_group(2) as group:
    ...     group.run(lambda member: member.sum([np.array([member.rank + 1.0])])[0])
    [array([3.]), array([3.])]
    """

    def __init__(self, size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"ThreadGroup: size must be an int >= 1, got {size!r}")
        self.size = size
        self._workers: list[_Worker] = []
        self._owner = 0
        self._busy = ProcessLock()
        weakref.finalize(self, _dismiss, self._workers)  # a group that nobody closed

    def run(self, function: Callable[[Member], T]) -> list[T]:
        """Call `function(member)` for every member at once; the results in order of rank."""
        with self._busy:
            self._start()
            meeting = _Meeting(self.size)
            tasks = [_Task(function, _ThreadMember(meeting, rank)) for rank in range(self.size)]
            try:
                for worker, task in zip(self._workers, tasks[1:], strict=True):
                    worker.inbox.put(task)
                tasks[0].execute()
                for task in tasks[1:]:
                    task.wait()
            except BaseException:
                meeting.abort()
                for task in tasks[1:]:
                    task.wait()
                _errors(tasks)
                raise
            return _results(tasks)

    def close(self) -> None:
        """End the threads; the group may be used again and starts them anew."""
        if self._owner == os.getpid():
            _dismiss(self._workers)
            for worker in self._workers:
                worker.join()
        self._workers.clear()

    def _start(self) -> None:
        if self._owner != os.getpid():  # new, or after a fork, which takes no threads along
            self._workers.clear()
            self._owner = os.getpid()
        while len(self._workers) < self.size - 1:
            worker = _Worker(len(self._workers) + 1)
            worker.start()
            self._workers.append(worker)


@contextmanager
def open_group(shards: int) -> Iterator[Group]:
    """A group of `shards` threads with BLAS held to one thread each; `ALONE`, BLAS untouched, for one shard.

    Examples
    --------
    >>> with open_group(1) as group:
    ...     group.size
    1
    """
    if shards == 1:
        with unlimited_blas():
            yield ALONE
        return
    group = ThreadGroup(shards)
    with single_threaded_blas():
        try:
            yield group
        finally:
            group.close()


def default_shards() -> int:
    """One shard for each core that this process may use; one alone where BLAS cannot be kept from using them all."""
    if not can_limit_blas():
        return 1
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def shard_slices(count: int, shards: int) -> list[slice]:
    """Cut `count` examples into `shards` runs whose lengths differ by one at most; some may be empty.

    Examples
    --------
    >>> shard_slices(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    cuts = [count * i // shards for i in range(shards + 1)]
    return [slice(a, b) for a, b in pairwise(cuts)]


class _Meeting:
    """Where the members of one run meet. The last to arrive adds up what all have brought, and wakes the others.

    Waiting for a lock costs half of what a `threading.Barrier` does, and one wait is enough: the sums are made before
    anybody goes on, so that what a member brought is its own again afterwards.
    """

    def __init__(self, size: int) -> None:
        self.slots: list[list[Array]] = [[]] * size
        self.totals: list[Array] = []
        self.arrived = 0
        self.broken = False
        self.lock = threading.Lock()
        self.gates = [threading.Lock() for _ in range(size)]  # a member waits at its own, which is shut
        for gate in self.gates:
            gate.acquire()

    def sum(self, rank: int, arrays: list[Array]) -> list[Array]:
        """The totals of this round, as arrays of its own for every member."""
        with self.lock:
            self.slots[rank] = arrays
            self.arrived += 1
            last = self.arrived == len(self.slots)
        if last:
            self.arrived = 0
            self.totals = [sum(parts[1:], start=parts[0]) for parts in zip(*self.slots, strict=True)]
            self._open(all_but=rank)
        else:
            self.gates[rank].acquire()
        if self.broken:
            raise threading.BrokenBarrierError
        return [np.array(total) for total in self.totals]

    def abort(self) -> None:
        """Let go whoever waits, now or later."""
        self.broken = True
        self._open()

    def _open(self, all_but: int | None = None) -> None:
        with self.lock:  # an abort may open the same gates at the same time
            for rank, gate in enumerate(self.gates):
                if rank != all_but and gate.locked():
                    gate.release()


class _ThreadMember:
    def __init__(self, meeting: _Meeting, rank: int) -> None:
        self.meeting, self.rank, self.size = meeting, rank, len(meeting.slots)

    def sum(self, arrays: list[Array]) -> list[Array]:
        return self.meeting.sum(self.rank, arrays)


class _Task(Generic[T]):
    """What one member does. Its end is a lock that opens, which takes half the time of a `threading.Event`."""

    def __init__(self, function: Callable[[Member], T], member: _ThreadMember) -> None:
        self.function, self.member = function, member
        self.result: T | None = None
        self.error: BaseException | None = None
        self.end = threading.Lock()
        self.end.acquire()

    def execute(self) -> None:
        try:
            self.result = self.function(self.member)
        except BaseException as error:
            self.error = error
            self.member.meeting.abort()
        finally:
            self.end.release()

    def wait(self) -> None:
        """Until it has been executed; may be called again."""
        with self.end:
            pass


class _Worker(threading.Thread):
    def __init__(self, rank: int) -> None:
        super().__init__(name=f"cnn-shard-{rank}", daemon=True)
        self.inbox: queue.SimpleQueue[_Task[Any] | None] = queue.SimpleQueue()

    def run(self) -> None:
        while (task := self.inbox.get()) is not None:
            task.execute()
            del task  # hold nothing while waiting


def _dismiss(workers: list[_Worker]) -> None:
    """Let the threads end as soon as they have done what they are at."""
    for worker in workers:
        worker.inbox.put(None)


def _results(tasks: list[_Task[T]]) -> list[T]:
    """The results, or the first error that is not merely another member's abort."""
    errors = _errors(tasks)
    try:
        if errors:
            raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
        return [task.result for task in tasks]  # type: ignore[misc]
    finally:
        del errors  # this frame is part of the error's traceback


def _errors(tasks: list[_Task[T]]) -> list[BaseException]:
    """What went wrong, taken from the tasks: an error knows its frames, and those know their task.

    Were it the other way round, too, they would keep each other, and every array in those frames, for a long while.
    """
    errors = [task.error for task in tasks if task.error is not None]
    for task in tasks:
        task.error = None
    return errors
