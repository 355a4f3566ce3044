"""Trials of what may strike a training at random moments: strike, look at what is left, resume, until it is done."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import NamedTuple

from common import wait_for_the_end, write_record
from cut_off import OPTIONS, Reference, begin, last_line, printed, temporary_files, torn_files

PATIENCE = 120.0
"""Seconds in which a process must have ended that was struck."""

TOO_MANY = 10
"""After so many complaints there is no use in going on."""


class Fault(NamedTuple):
    """What strikes a training, and how that must end."""

    name: str  # of the record
    rows: list[str]  # of docs/faults.toml
    what: str
    how: str
    codes: tuple[int, ...]  # with which the process may end
    strike: Callable[[Popen[bytes], Path, random.Random], str]  # at a process and its run; says how, for the count
    relieve: Callable[[Path], None] = lambda run: None


class Trials:
    """What was tried, and what came of it."""

    def __init__(self, fault: Fault, reference: Reference, seed: int) -> None:
        self.fault, self.reference, self.moments = fault, reference, random.Random(seed)
        self.seconds = reference.seconds  # that a training takes
        self.trials = self.survived = self.runs = 0
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []

    def one_run(self, run: Path) -> None:
        """A training from its start to its end, however often it is cut off."""
        trials, complaints, before = 0, list[str](), Counter(self.counts)
        try:
            while not complaints and (met := self.cut_off(run, complaints)) is not None:
                trials += met
                self.seconds *= 1.2 if trials > 4 else 1  # the machine has more to do than it had
        except KeyboardInterrupt:
            self.counts = before
            raise
        self.seconds *= 0.8 if trials == 0 else 1
        complaints += [] if complaints else self.reference.complaints(run)
        self.runs += 1
        self.trials += trials
        self.survived += 0 if complaints else trials
        self.complaints += [f"run {self.runs}: {complaint}" for complaint in complaints]
        print(f"{self.survived} of {self.trials} survived, {self.runs} trainings", flush=True)

    def cut_off(self, run: Path, complaints: list[str]) -> int | None:
        """Begin or go on, and strike: 1 if there was something to lose, else 0; None if it came to its end."""
        process, struck = begin(run), ""
        try:
            with suppress(TimeoutExpired):
                process.wait(self.moments.uniform(0, self.seconds))
            if process.poll() is None:
                struck = self.fault.strike(process, run, self.moments)
            code = process.wait(PATIENCE)
        finally:
            complaints += [f"process {left} was left" for left in wait_for_the_end(process.pid)]
            self.fault.relieve(run)
        if code == 0:
            return None
        if code not in self.fault.codes:
            complaints.append(f"ended with {code}: {printed(run)[-500:]}")
        if not (run / "job.json").exists():
            self.counts["struck before there was anything to lose"] += 1
            return 0
        self.counts[struck] += 1
        self.look(run, code, complaints)
        return 1

    def look(self, run: Path, code: int, complaints: list[str]) -> None:
        """What was left: whole files; and by a training that could still speak no other and a last line."""
        complaints += torn_files(run)
        if list((run / "checkpoints").glob(".*.part")):
            self.counts["in the middle of a checkpoint"] += 1
        if (run / "model.safetensors").exists():
            self.counts["with the model written, before or then"] += 1
        if code < 0:
            self.counts["ended at once"] += 1
            return
        complaints += temporary_files(run)
        if last_line(run) == f"cnn train --resume {run.name}":
            self.counts["ended with the command that goes on as the last line"] += 1
        else:
            complaints.append(f"the last line was {last_line(run)!r}")

    def record(self, out: Path | None) -> Path:
        """The JSON."""
        details = {
            "options": OPTIONS,
            "trainings": self.runs,
            "seconds of an undisturbed training": round(self.reference.seconds, 2),
            **self.counts,
            "complaints": self.complaints,
        }
        return write_record(
            self.fault.name,
            fault=self.fault.rows,
            what=self.fault.what,
            how=self.fault.how,
            trials=self.trials,
            survived=self.survived,
            lost="; ".join(self.complaints) or "nothing",
            details=details,
            out=out,
        )


def try_it(
    fault: Fault, trials: int, seed: int, out: Path | None, place: Callable[[Path], AbstractContextManager]
) -> int:
    """Train until it was struck often enough, each time in a new place; write the record. The exit status.

    Ctrl-C or SIGTERM leaves out the training that is under way, and records those before.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="cnn-trials-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        done = Trials(fault, Reference.made_in(Path(folder)), seed)
        with suppress(KeyboardInterrupt):
            while done.trials < trials and len(done.complaints) < TOO_MANY:
                with place(Path(folder) / f"place-{done.runs}") as where:
                    done.one_run(where / "run")
    print(done.record(out).name, *done.complaints, sep="\n")
    return int(done.survived != done.trials)


@contextmanager
def on_disk(folder: Path) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
