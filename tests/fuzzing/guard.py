"""What a reader does besides reading its file: the interpreter tells it by audit events."""

from __future__ import annotations

import contextlib
import functools
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *(
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.fork",
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.symlink",
    ),
    *("subprocess.Popen", "socket.", "pickle.find_class", "ctypes.", "shutil.", "webbrowser."),
)
"""Audit events that no reader may cause; docs.python.org/3/library/audit_events.html."""

OWN = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2] / "src"), "<frozen")
"""Where modules lie, some of which are imported when they are first needed."""


class Guard:
    """Notes what happens while it is armed."""

    def __init__(self) -> None:
        self.path, self.seen, self.armed = "", list[str](), False
        sys.addaudithook(self._hook)  # which stays for as long as the interpreter does

    @contextlib.contextmanager
    def watching(self, path: Path) -> Iterator[list[str]]:
        """What is done in the body besides reading this file; the first few of it."""
        self.path, self.seen, self.armed = str(path), [], True
        try:
            yield self.seen
        finally:
            self.armed = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed or len(self.seen) > 3:
            return
        if event == "open":
            if str(arguments[0]) != self.path and not str(arguments[0]).startswith(OWN):
                self.seen.append(f"open {arguments[0]}")
        elif event in ("exec", "compile"):
            source = str(arguments[0].co_filename if event == "exec" else arguments[1])
            if not source.startswith(OWN):
                self.seen.append(f"{event} of {source}")
        elif event.startswith(FORBIDDEN):
            self.seen.append(event)


@functools.cache
def guard() -> Guard:
    """The one of this process."""
    return Guard()


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail if the body holds more than this many bytes at any time, besides what was there before."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= size, f"{peak} bytes were held, more than {size}"
