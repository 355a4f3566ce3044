"""Trainings that are ended by a signal at random moments, resumed, ended again ... until they are done.

    python benchmarks/faults/kill_training.py --trials 100                  SIGKILL: ten minutes
    python benchmarks/faults/kill_training.py --signal INT --trials 30      Ctrl-C
    python benchmarks/faults/kill_training.py --signal TERM --trials 30

The moments are spread evenly over the time that an undisturbed training takes, so that they fall into the start, into
steps, into saves and into the pictures at the end. Half of the signals go to the first process alone, the others to all
of its group; shards in forked processes must end by themselves. A trial is a signal that met a training with something
to lose (job.json was written). It is survived if every file that had its name was whole, and the training, resumed as
often as it took, ends with the same model, history and figures as the undisturbed one, bit by bit, and no process and
no temporary file is left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from subprocess import TimeoutExpired
from typing import NamedTuple

from common import wait_for_the_end, write_record
from cut_off import OPTIONS, Reference, begin, last_line, printed, scratch, temporary_files, torn_files


class Kind(NamedTuple):
    """A signal, and how a training must end that it was sent to."""

    name: str  # of the record
    fault: list[str]
    what: str
    code: int


KINDS = {
    "KILL": Kind("kill_training", ["kill-during-save", "resume"], "SIGKILL at random moments of a training", -9),
    "INT": Kind("interrupt_training", ["interrupted", "resume"], "Ctrl-C at random moments of a training", 130),
    "TERM": Kind("terminate_training", ["interrupted", "resume"], "SIGTERM at random moments of a training", 143),
}
HOW = (
    "`cnn train digits` with two shards and a checkpoint after every step is sent the signal at a moment spread evenly "
    "over its run, alone or with its forks, and resumed, again and again until it is done; its model, history and "
    "figures are compared bit by bit with those of an undisturbed run"
)
PATIENCE = 120.0
"""Seconds in which a process must have ended that was asked to."""

TOO_MANY = 10
"""After so many complaints there is no use in going on."""


class Trials:
    """What was tried, and what came of it."""

    def __init__(self, kind: str, reference: Reference, seed: int) -> None:
        self.kind, self.number, self.reference = KINDS[kind], getattr(signal, f"SIG{kind}"), reference
        self.moments = random.Random(seed)
        self.trials = self.survived = self.runs = 0
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []

    def one_run(self, run: Path) -> None:
        """A training from its start to its end, however often it is cut off."""
        trials, complaints = 0, list[str]()
        while not complaints and (met := self.cut_off(run, complaints)) is not None:
            trials += met
        complaints += [] if complaints else self.reference.complaints(run)
        self.runs += 1
        self.trials += trials
        self.survived += 0 if complaints else trials
        self.complaints += [f"run {self.runs}: {complaint}" for complaint in complaints]

    def cut_off(self, run: Path, complaints: list[str]) -> int | None:
        """Begin or go on, and send the signal: 1 if there was something to lose, else 0; None if it came to its end."""
        to_all = bool(self.moments.getrandbits(1))
        process = begin(run)
        try:
            process.wait(self.moments.uniform(0, self.reference.seconds))
        except TimeoutExpired:
            (os.killpg if to_all else os.kill)(process.pid, self.number)
        try:
            code = process.wait(PATIENCE)
        finally:
            complaints += [f"process {left} was left" for left in wait_for_the_end(process.pid)]
        if code == 0:
            return None
        if code not in (self.kind.code, -self.number):
            complaints.append(f"ended with {code}: {printed(run)[-500:]}")
        if not (run / "job.json").exists():
            self.counts["signals before there was anything to lose"] += 1
            return 0
        self.counts["to all processes" if to_all else "to the first process alone"] += 1
        self.look(run, code, complaints)
        return 1

    def look(self, run: Path, code: int, complaints: list[str]) -> None:
        """What was left: whole files; and by a training that was asked to end no other, and a last line."""
        complaints += torn_files(run)
        if list((run / "checkpoints").glob("*.part")):
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
            self.kind.name,
            fault=self.kind.fault,
            what=self.kind.what,
            how=HOW,
            trials=self.trials,
            survived=self.survived,
            lost="; ".join(self.complaints) or "nothing",
            details=details,
            out=out,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", choices=KINDS, default="KILL")
    parser.add_argument("--trials", type=int, default=100, help="at least so many; the last training comes to its end")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--out", type=Path, help="folder for the record; otherwise benchmarks/results/faults")
    arguments = parser.parse_args()
    with scratch() as folder:
        trials = Trials(arguments.signal, Reference.made_in(Path(folder)), arguments.seed)
        while trials.trials < arguments.trials and len(trials.complaints) < TOO_MANY:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                trials.one_run(Path(place) / "run")
            print(f"{trials.survived} of {trials.trials} survived, {trials.runs} trainings", flush=True)
    print(trials.record(arguments.out).name, *trials.complaints, sep="\n")
    sys.exit(trials.survived != trials.trials)


if __name__ == "__main__":
    main()
