"""What a process holds, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGESIZE")


class Holdings(NamedTuple):
    """What a process has at one moment."""

    memory: float  # MiB in core
    forks_memory: float  # MiB in core of its child processes; pages that are shared with it count again
    threads: int
    handles: int  # open files, sockets, memory files
    forks: int  # child processes, those that have ended and were not waited for among them
    mappings: int  # segments of memory
    shared: int  # those of them that are shared with other processes
    files: int  # temporary files


def holdings(process: int, folder: Path) -> Holdings:
    """Look at a process, and into the folder that is its place for temporary files."""
    proc = Path("/proc") / str(process)
    forks = children(process)
    segments = (proc / "maps").read_text().splitlines()
    return Holdings(
        resident(process),
        sum(map(resident, forks)),
        len(os.listdir(proc / "task")),
        len(os.listdir(proc / "fd")),
        len(forks),
        len(segments),
        sum(segment.split(maxsplit=2)[1].endswith("s") for segment in segments),
        sum(len(files) for _, _, files in os.walk(folder)),
    )


def resident(process: int) -> float:
    """MiB in core; 0 for a process that has ended meanwhile."""
    try:
        return int((Path("/proc") / str(process) / "statm").read_text().split()[1]) * PAGE / 2**20
    except (OSError, IndexError):
        return 0.0


def children(process: int) -> list[int]:
    """The processes that this one has started and not yet waited for."""
    found: list[int] = []
    for task in (Path("/proc") / str(process) / "task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended meanwhile
            continue
    return found
