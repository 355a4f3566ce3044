"""A small training of the command line that is struck at random moments and resumed, and what must come of it.

Everything with a state takes part: dropout, augmentation, Adam, a schedule, an average of the weights, the best
weights, early stopping, validation, and two shards, one of them in a forked process. A checkpoint is written after
every step.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from common import CNN, differing, start, wait_for_the_end

from cnn_from_scratch.cli.job_file import read_job
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats.tensors import read_tensors
from cnn_from_scratch.training.checkpoint import read_checkpoint

OPTIONS = "--epochs 3 --batch-size 128 --shards 2 --checkpoint-every 1 --dropout 0.3 --average 0.9 --validation 0.1"
TRAIN = ["train", "digits", *OPTIONS.split(), "--best-weights", "--early-stopping", "3", "--seed", "7"]
CLOCKS = {"seconds", "images_per_second"}


class Reference(NamedTuple):
    """A training that nobody disturbed."""

    folder: Path
    seconds: float

    @classmethod
    def made_in(cls, folder: Path) -> Reference:
        """Train twice; the second time the system has everything in its memory."""
        for place in (folder / "warm", folder / "undisturbed"):
            place.mkdir()
            began = time.perf_counter()
            process = begin(place / "run")
            if process.wait():
                raise RuntimeError(f"the undisturbed training failed:\n{printed(place / 'run')}")
            wait_for_the_end(process.pid)
        return cls(place / "run", time.perf_counter() - began)

    def complaints(self, run: Path) -> list[str]:
        """What is not as it would have been: files, bit by bit; temporary files that were left."""
        found = [f"{name} differs" for name in differing(self.folder, run, ["model.safetensors"])]
        if without_clocks(run / "history.csv") != without_clocks(self.folder / "history.csv"):
            found.append("history.csv differs")
        if without_seconds(run / "metrics.json") != without_seconds(self.folder / "metrics.json"):
            found.append("metrics.json differs")
        names = [sorted(path.name for path in folder.iterdir()) for folder in (self.folder, run)]
        return found + ([] if names[0] == names[1] else [f"files: {names[1]}"]) + temporary_files(run)


def begin(run: Path) -> Popen[bytes]:
    """Begin the training, or go on with it if there is something to go on with; what it prints goes into a file."""
    command = ["train", "--resume", run.name] if (run / "job.json").exists() else [*TRAIN, "--out", run.name]
    return start([*CNN, *command], run.parent, run.parent.with_suffix(".txt"))


def printed(run: Path) -> str:
    """What the last process said."""
    return run.parent.with_suffix(".txt").read_text()


def last_line(run: Path) -> str:
    """The last line that it said."""
    return (printed(run).splitlines() or [""])[-1]


def without_clocks(path: Path) -> list[list[str]]:
    """The cells of history.csv as they stand there, but for the columns that measure time."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return [[cell for name, cell in zip(rows[0], row, strict=True) if name not in CLOCKS] for row in rows]


def without_seconds(path: Path) -> str:
    """metrics.json, but for the time."""
    found = json.loads(path.read_text())
    del found["seconds"]
    return json.dumps(found)


def temporary_files(run: Path) -> list[str]:
    """Hidden files: what somebody was writing."""
    return [f"left: {path.relative_to(run)}" for path in sorted(run.rglob(".*"))]


def torn_files(run: Path) -> list[str]:
    """Files that are under their names and not whole."""
    torn = []
    for path in run.rglob("*.safetensors"):
        try:
            read_checkpoint(path) if path.parent.name == "checkpoints" else read_tensors(path)
        except FormatError as error:
            torn.append(f"torn: {error}")
    try:
        read_job(run)
    except FormatError as error:
        torn.append(f"torn: {error}")
    return torn
