"""Shards in processes of their own, where no thread waits for another's interpreter.

Python runs one thread at a time between NumPy's calls, and a thread that wants to go on while another is at it falls
asleep; to be woken takes longer than most of these calls. Two threads of a small network lost a quarter of their time
so. Forked processes have an interpreter each: they compute the same, in the same order, and lose nothing.

A fork is a copy of this process at one moment. So the work is fixed when the group starts, and what changes from run
to run is sent: see `ForkedGroup.run`. Forks hold nothing that would be missed. Whatever goes wrong, they are ended,
and the next run makes new ones.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ..typing import Array
from .channel import Channel
from .group import Member

FOR_THE_FIRST = (signal.SIGINT, signal.SIGTERM)
"""Signals that come to the whole group of processes, by Ctrl-C or from a scheduler: the first process answers them. If
it ends, so do the forks, which notice that their channel is closed."""

Work: TypeAlias = Callable[[Member, Any], Any]
"""work(member, task) -> result: what a fork does again and again."""


def can_fork() -> bool:
    """Whether forks may be made here: on Linux, in the main thread (others may hold locks that a fork would inherit).

    Examples
    --------
    >>> can_fork() in (True, False)
    True
    """
    return (
        sys.platform == "linux"
        and hasattr(os, "memfd_create")
        and threading.current_thread() is threading.main_thread()
    )


class ForkedGroup:
    """Shards in forked processes; the calling process is the first of them.

    Results are those of a `ThreadGroup` of the same size, bit by bit: sums run in the order of the ranks. An exception
    in one member ends the forks and is raised by `run`, with the fork's own traceback as a note.

    Parameters
    ----------
    size : int
        How many shards, at least 2.
    work : callable
        ``work(member, task)``: what a fork does with each task. It is called in the fork, on the fork's copies of
        everything that it refers to.

    Examples
    --------
    >>> group = ForkedGroup(2, lambda member, task: float(member.sum([task])[0][0]))
    >>> group.run([np.ones(1)], here=lambda member: float(member.sum([np.ones(1)])[0][0]))
    [2.0, 2.0]
    >>> group.close()
    """

    def __init__(self, size: int, work: Work) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 2:
            raise ValueError(f"ForkedGroup: size must be an int >= 2, got {size!r}")
        self.size, self._work = size, work
        self._forks: list[_Fork] = []
        self._owner = 0
        weakref.finalize(self, _end, self._forks)  # a group that nobody closed

    def start(self) -> None:
        """Make the forks, unless they are there."""
        if self._owner != os.getpid():  # new, or within a fork: those are not ours to end
            self._forks.clear()
            self._owner = os.getpid()
        while len(self._forks) < self.size - 1:
            self._forks.append(_fork(len(self._forks) + 1, self.size, self._work, self._forks))

    def run(self, tasks: Sequence[Any], *, here: Callable[[Member], Any]) -> list[Any]:
        """Send each fork its task, call ``here(member)`` meanwhile; the results in order of rank.

        Arrays in the results of forks are valid until the next run.

        Raises
        ------
        ChildProcessError
            If a fork has ended, killed by the system for want of memory, say. The next run starts new ones.
        Exception
            What a member raised.
        """
        self.start()
        try:
            for fork, task in zip(self._forks, tasks, strict=True):
                fork.send(task)
            own = here(_First(self.size, self._forks))
            return [own, *(fork.receive("result") for fork in self._forks)]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the forks; the group may be used again and makes new ones."""
        if self._owner == os.getpid():
            _end(self._forks)
        self._forks.clear()


class _First:
    """The member in the calling process, where the sums are made."""

    rank = 0

    def __init__(self, size: int, forks: Sequence[_Fork]) -> None:
        self.size, self._forks = size, forks

    def sum(self, arrays: list[Array]) -> list[Array]:
        """What all have brought, added in the order of their ranks."""
        brought = [arrays, *(fork.receive("sum") for fork in self._forks)]
        totals = [sum(parts[1:], start=parts[0]) for parts in zip(*brought, strict=True)]
        for fork in self._forks:
            fork.send(totals, through_memory=False)  # where the tasks lie that are being worked on
        return [np.array(total) for total in totals]


class _Other:
    """A member in a fork."""

    def __init__(self, rank: int, size: int, channel: Channel) -> None:
        self.rank, self.size, self._channel = rank, size, channel

    def sum(self, arrays: list[Array]) -> list[Array]:
        """Bring them to the first member, and take what it makes of them."""
        self._channel.send(("sum", arrays), through_memory=False)
        return [np.array(total) for total in self._channel.receive()]


class _Fork:
    """A forked process as seen from here."""

    def __init__(self, rank: int, process: int, channel: Channel) -> None:
        self.rank, self.process, self.channel, self._owner = rank, process, channel, os.getpid()

    def send(self, message: Any, *, through_memory: bool = True) -> None:
        try:
            self.channel.send(message, through_memory=through_memory)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended() from None

    def receive(self, kind: str) -> Any:
        """What it sends next, which must be of this kind."""
        try:
            got, value = self.channel.receive()
        except (EOFError, ConnectionResetError):
            raise self._ended() from None
        if got == "error":
            try:
                raise _noted(*value, rank=self.rank)
            finally:
                del value  # this frame is part of the error's traceback: they would keep each other
        if got != kind:
            raise RuntimeError(f"shard {self.rank} came with a {got} where the others have a {kind}")
        return value

    def _ended(self) -> ChildProcessError:
        code = self._wait()
        how = "" if code is None else f", killed by signal {-code}" if code < 0 else f" with status {code}"
        return ChildProcessError(f"the process of shard {self.rank} ended unexpectedly{how}; a new run starts it anew")

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.channel.close()
        if self.process and self._owner == os.getpid():
            os.kill(self.process, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int | None:
        """Until the process has ended; how it did, None where somebody else has asked before."""
        process, self.process = self.process, 0
        try:
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        except ChildProcessError:
            return None


def _end(forks: list[_Fork]) -> None:
    for fork in forks:
        fork.end()
    forks.clear()


def _fork(rank: int, size: int, work: Work, others: Sequence[_Fork]) -> _Fork:
    """Make a process that serves until its channel is closed."""
    ours, theirs = Channel.pair()
    with warnings.catch_warnings():
        # Python warns where there are other threads, such as BLAS's: a fork must not wait for them, and this one
        # does not, for it holds BLAS at one thread and uses nothing but NumPy.
        warnings.simplefilter("ignore", DeprecationWarning)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_FIRST)  # until the fork ignores them
        try:
            process = os.fork()
            if not process:
                _serve(rank, size, work, ours, theirs, others)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.hang_up()
    return _Fork(rank, process, ours)


def _serve(rank: int, size: int, work: Work, ours: Channel, theirs: Channel, others: Sequence[_Fork]) -> NoReturn:
    """What a fork does: one task after the other, until the first process closes the channel or ends."""
    try:
        for number in FOR_THE_FIRST:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_FIRST)
        ours.hang_up()  # what is open here, too, would not tell when the first process ends
        for other in others:
            other.channel.close()
        member = _Other(rank, size, theirs)
        while True:
            theirs.send(_reply(work, member, theirs.receive()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        os._exit(0)  # no handlers, no buffers: they belong to the first process


def _reply(work: Work, member: Member, task: Any) -> tuple[str, Any]:
    try:
        return "result", work(member, task)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except BaseException as error:
        return "error", (_sendable(error), traceback.format_exc())


def _noted(error: BaseException, text: str, *, rank: int) -> BaseException:
    """The error, with the fork's own traceback."""
    error.add_note(f"in shard {rank}, a process of its own:\n{text}")
    return error


def _sendable(error: BaseException) -> BaseException:
    """The error itself, or one that says the same where it cannot be sent."""
    try:
        copy = pickle.loads(pickle.dumps(error))
        return copy if type(copy) is type(error) else RuntimeError(repr(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
