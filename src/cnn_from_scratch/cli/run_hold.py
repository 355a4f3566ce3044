"""A run's folder while it is trained in: one training at a time, begun clean, without what a killed one left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..formats.atomic import remove_stale
from .run_folder import CHECKPOINTS, HISTORY, JOB, METRICS, MODEL, PICTURES, PROBE

PATIENCE = 3.0
"""Seconds in which the forks of a training that was killed end by themselves; until then they hold the folder."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder. The system lets go of it when this process ends, however it does.

    Raises
    ------
    BlockingIOError
        If another process is training in it.
    """
    try:
        import fcntl
    except ImportError:  # there are no such locks on Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    reason = "another process is training in this folder; wait for it, or end it"
                    raise BlockingIOError(errno.EAGAIN, reason, str(folder)) from error
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(descriptor)


def clear_run(folder: Path) -> None:
    """Take away an older run, job.json first: what is left of it can no longer be resumed. Other files stay.

    Raises
    ------
    OSError
        If a file cannot be removed.
    """
    remove_leftovers(folder)
    for name in (JOB, METRICS, MODEL, HISTORY, *PICTURES):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / CHECKPOINTS).glob("*.safetensors"):
        path.unlink()


def remove_leftovers(folder: Path) -> None:
    """Take away what killed processes left of files that they were writing."""
    (folder / PROBE).unlink(missing_ok=True)
    for place in (folder, folder / CHECKPOINTS):
        remove_stale(place, "*")
