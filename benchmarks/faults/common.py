"""What the trials of faults share: the command line in a process of its own, its end, and the record.

    record = write_record("kill_training", fault=["resume"], what="...", how="...", trials=100, survived=100)

writes benchmarks/results/faults/kill_training.json. The command, the date, the machine and the versions are filled in.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # machine.py stands one folder up

from machine import describe

import cnn_from_scratch
from cnn_from_scratch.formats import write_atomically

RESULTS = Path(__file__).resolve().parents[1] / "results" / "faults"
CODE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts it may ignore Ctrl-C, in the background say
from cnn_from_scratch.cli import main
main()
"""
CNN = [sys.executable, "-c", CODE]
"""The command `cnn`, whether or not it is on the path."""


def write_record(
    name: str,
    *,
    fault: Sequence[str],
    what: str,
    how: str,
    trials: int,
    survived: int,
    lost: str = "nothing",
    details: dict[str, Any] | None = None,
    out: Path | None = None,
) -> Path:
    """The JSON of one kind of trial, in benchmarks/results/faults unless `out` names a folder."""
    machine = describe()
    versions = {key: machine.pop(key) for key in ("python", "numpy", "blas")}
    record = {
        "fault": list(fault),
        "what": what,
        "how": how,
        "trials": trials,
        "survived": survived,
        "lost": lost,
        "command": command_line(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine,
        "versions": {"cnn_from_scratch": cnn_from_scratch.__version__, **versions},
        "details": details or {},
    }
    folder = RESULTS if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.json", json.dumps(record, indent=1) + "\n")
    return folder / f"{name}.json"


def command_line() -> str:
    """The command that makes the record again, without options that name a folder of this machine."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if not Path(word.rpartition("=")[2]).is_absolute():
            words.append(word)
        elif "=" not in word and words and words[-1].startswith("--"):
            words.pop()
    return shlex.join(["python", f"benchmarks/faults/{Path(sys.argv[0]).name}", *words])


def start(command: Sequence[str | Path], cwd: Path, output: Path | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A process that leads a group of its own: what it forks can be counted, and ended with it."""
    words = [str(word) for word in command]
    with open(output, "wb") if isinstance(output, Path) else open(os.devnull, "wb") as stream:
        return subprocess.Popen(words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, process_group=0)


def group_members(group: int) -> list[int]:
    """The processes of a group that are there and not merely waiting to be counted out."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has ended meanwhile
        if int(its_group) == group and state not in "ZX":
            members.append(int(stat.parent.name))
    return members


def wait_for_the_end(group: int, seconds: float = 10.0) -> list[int]:
    """Give the rest of a group time to end by itself; who has not by then is ended, waited for, and returned."""
    until = time.monotonic() + seconds
    while (left := group_members(group)) and time.monotonic() < until:
        time.sleep(0.01)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while group_members(group):
        time.sleep(0.01)
    return left


def differing(one: Path, other: Path, names: Iterable[str]) -> list[str]:
    """Those files that are not in both folders with the same bytes."""
    return [name for name in names if _bytes(one / name) != _bytes(other / name) or not (one / name).is_file()]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
