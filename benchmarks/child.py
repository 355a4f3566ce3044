"""One competitor in a process of its own: it makes its task ready once, and does it whenever it is asked.

Between two requests the process waits at a pipe, so it takes no core from the others.
"""

from __future__ import annotations

import os
import time
import traceback
from contextlib import closing
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from tasks import Competitor, Runner, Task, Unavailable

TUNED_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(8 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}
"""glibc keeps freed memory instead of giving it back to the system page by page."""


PATIENCE = 1800
"""Seconds to wait for an answer: compiling, or a whole training."""


class Ready(NamedTuple):
    """The first answer of a child that is ready."""

    version: str
    imported: float  # MiB of memory after its imports, before anything else


class Child:
    """A competitor at its task.

    Raises
    ------
    Unavailable
        If it cannot do it here.
    """

    def __init__(self, competitor: Competitor, task: Task) -> None:
        self.competitor = competitor
        self._pipe, theirs = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(theirs, competitor, task), daemon=True)
        changes = TUNED_MALLOC if competitor.tuned_malloc else {}
        os.environ.update(changes)  # glibc reads it when the child begins
        try:
            self._process.start()
        finally:
            for name in changes:
                del os.environ[name]
        theirs.close()
        try:
            self.ready: Ready = self._receive()
        except Unavailable:
            self.stop()
            raise

    def run(self, calls: int, *, warm: int = 1) -> list[float]:
        """Seconds of each of so many calls, after `warm` calls that are not timed."""
        return self._ask("run", calls, warm)

    def values(self) -> dict[str, Any]:
        """What the task computes."""
        return self._ask("values")

    def peak(self) -> float:
        """Most memory that the process has ever had, in MiB, and what its forks had over the imports they share."""
        return self._ask("peak")

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._pipe.close()  # the child sees the end of the pipe
            self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, *request: Any) -> Any:
        self._pipe.send(request)
        return self._receive()

    def _receive(self) -> Any:
        try:
            if not self._pipe.poll(PATIENCE):
                self._process.kill()
                raise Unavailable(f"no answer in {PATIENCE} seconds")
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise Unavailable(f"the process ended with code {self._process.exitcode}") from None
        if isinstance(answer, Unavailable):
            raise answer
        return answer


def _serve(pipe: Connection, competitor: Competitor, task: Task) -> None:
    """Life of a child."""
    try:
        module = import_module(f"competitors.{competitor.module}")
        imported = peak_memory()
        runner: Runner = module.build(task, competitor)
        pipe.send(Ready(_version_of(module.VERSION), imported))
        with closing(runner):
            while True:
                pipe.send(_answer(runner, imported, *pipe.recv()))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # the parent is done
    except Unavailable as error:
        pipe.send(error)
    except ModuleNotFoundError as error:
        pipe.send(Unavailable(f"{error.name} is not installed"))
    except Exception as error:
        traceback.print_exc()
        pipe.send(
            Unavailable(f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160] if str(error) else ''}")
        )


def _answer(runner: Runner, imported: float, question: str, calls: int = 0, warm: int = 0) -> Any:
    if question == "values":
        return runner.values()
    if question == "peak":
        return peak_memory() + sum(max(0.0, peak_memory(fork) - imported) for fork in _forks())
    for _ in range(warm):
        runner.run()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        runner.run()
        times.append(time.perf_counter() - start)
    return times


def _forks() -> list[str]:
    """Processes that this one has started and that are still there."""
    return [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]


def peak_memory(process: str = "self") -> float:
    """VmHWM of a process in MiB; 0 where the system does not say."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _version_of(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package
