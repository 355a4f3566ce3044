"""Trainings that are ended by a signal at random moments, resumed, ended again ... until they are done.

    python benchmarks/faults/kill_training.py --trials 100                  SIGKILL: a quarter of an hour
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
from pathlib import Path
from subprocess import Popen

from struck import Fault, on_disk, try_it

HOW = (
    "`cnn train digits` with two shards and a checkpoint after every step is sent the signal at a moment spread evenly "
    "over its run, alone or with its forks, and resumed, again and again until it is done; its model, history and "
    "figures are compared bit by bit with those of an undisturbed run"
)
KINDS = {
    "KILL": ("kill_training", ["kill-during-save", "resume"], "SIGKILL at random moments of a training"),
    "INT": ("interrupt_training", ["interrupted", "resume"], "Ctrl-C at random moments of a training"),
    "TERM": ("terminate_training", ["interrupted", "resume"], "SIGTERM at random moments of a training"),
}


def fault_by(kind: str) -> Fault:
    """A signal, and the exit codes that it may lead to: at once, or 128 and its number."""
    number = getattr(signal, f"SIG{kind}")

    def send(process: Popen[bytes], run: Path, moments: random.Random) -> str:
        to_all = bool(moments.getrandbits(1))
        (os.killpg if to_all else os.kill)(process.pid, number)
        return "sent to all processes" if to_all else "sent to the first process alone"

    codes = (-number,) if kind == "KILL" else (-number, 128 + number)
    return Fault(*KINDS[kind], how=HOW, codes=codes, strike=send)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", choices=KINDS, default="KILL")
    parser.add_argument("--trials", type=int, default=100, help="at least so many; the last training comes to its end")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--out", type=Path, help="folder for the record; otherwise benchmarks/results/faults")
    arguments = parser.parse_args()
    sys.exit(try_it(fault_by(arguments.signal), arguments.trials, arguments.seed, arguments.out, on_disk))


if __name__ == "__main__":
    main()
