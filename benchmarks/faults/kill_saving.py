"""Processes that are killed while they write a checkpoint: what stands under the names then.

    python benchmarks/faults/kill_saving.py --trials 200          a few minutes

A process writes checkpoints of 4 MB, one after the other, and says when it begins one and when it has it. It is sent
SIGKILL at a moment spread evenly over a save. A trial is a kill that fell into a save. It is survived if the last
checkpoint that was said to be there is there, if every file under the name of a checkpoint is whole (its SHA-256 says
so, and all its numbers are those of its step), and if the next writer clears away what the killed one could not.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import write_record

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.training import Checkpoint, list_checkpoints, read_checkpoint, write_checkpoint
from cnn_from_scratch.training.saver import prepare_folder

NUMBERS = 1_000_000
WRITER = "import sys; sys.path.insert(0, sys.argv[1]); import kill_saving; kill_saving.write_on(sys.argv[2])"


def checkpoint(step: int) -> Checkpoint:
    """One whose numbers all tell its step."""
    nothing: dict[str, Any] = {"settings": {}, "architecture": None, "constants": {}, "frozen": [], "optimizer": {}}
    weight = {"weight": np.full(NUMBERS, step, np.float32)}
    return Checkpoint(1, step, False, False, model=weight, callbacks=[], meter={}, history=[], **nothing)


def write_on(folder: str) -> None:
    """Write checkpoints until somebody ends it; the last two stay."""
    prepare_folder(folder)
    done = list_checkpoints(folder)
    step = read_checkpoint(done[-1]).steps if done else 0
    while True:
        step += 1
        print(f"begin {step}", flush=True)
        write_checkpoint(folder, checkpoint(step))
        print(f"done {step}", flush=True)
        for old in list_checkpoints(folder)[:-2]:
            old.unlink()


def kill_one(folder: Path, moments: random.Random) -> tuple[str, int]:
    """Let a writer work, kill it at some moment of its third save; its last word."""
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(2)]  # the first save, which is slower
        begin = time.perf_counter()
        said += [writer.stdout.readline() for _ in range(3)]  # the second, and that the third has begun
        time.sleep(moments.random() * (time.perf_counter() - begin))
        writer.kill()
        said += writer.stdout.readlines()
    kind, step = said[-1].split()
    return kind, int(step)


def wrong(folder: Path, done: int) -> str | None:
    """What is not as it should be after a kill; `done` is the last step that was said to be there."""
    steps = []
    for path in list_checkpoints(folder):
        try:
            found = read_checkpoint(path)
        except FormatError as error:
            return str(error)
        if not (found.model["weight"] == found.steps).all():
            return f"{path.name} has numbers of another step"
        steps.append(found.steps)
    return None if done in steps else f"step {done} is lost; there are {steps}"


def try_it(trials: int, seed: int, out: Path | None) -> int:
    """Kill until there have been so many trials; the exit code."""
    moments, found, problems = random.Random(seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while found["in a save"] < trials:
            kind, step = kill_one(folder, moments)
            inside = kind == "begin"
            problem = wrong(folder, step - inside)
            left = [path.name for path in folder.iterdir() if path.name.endswith(".part")]
            prepare_folder(folder)  # what the next training does first
            if problem is None and any(path.name.endswith(".part") for path in folder.iterdir()):
                problem = "a temporary file was not cleared away"
            found["in a save" if inside else "between two saves"] += 1
            found["left a temporary file"] += bool(left)
            found["had the new file, unsaid"] += inside and latest_step(folder) == step
            problems += [problem] if problem else []
            print(f"\r{found['in a save']} of {trials}, {len(problems)} not survived", end="", flush=True)
    print()
    path = write_record(
        "kill_saving",
        fault=["kill-during-save"],
        what="SIGKILL while a checkpoint is written",
        how="a process that writes checkpoints of 4 MB is killed at a moment spread evenly over a save; what stands "
        "under the names of checkpoints is compared with its SHA-256 and with what was to be written",
        trials=found["in a save"],
        survived=trials - len(problems),
        lost="; ".join(problems[:5]) or "nothing",
        details=dict(found),
        out=out,
    )
    print(f"{dict(found)}; written: {path.name}")
    return bool(problems)


def latest_step(folder: Path) -> int:
    """The step of the last checkpoint."""
    return read_checkpoint(list_checkpoints(folder)[-1]).steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="kills that fell into a save")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--out", type=Path, help="folder for the record; otherwise benchmarks/results/faults")
    arguments = parser.parse_args()
    sys.exit(try_it(arguments.trials, arguments.seed, arguments.out))


if __name__ == "__main__":
    main()
