"""Every reader of files, fed with damaged and hostile ones: coverage-guided by atheris, in a process of its own each.

    python benchmarks/faults/fuzz_readers.py --trials 1200000          # needs `pip install atheris`
    python benchmarks/faults/fuzz_readers.py --only idx,onnx --trials 20000 --out /tmp/fuzz

An input is survived if the reader gives something, or an error of this package that names the file, within 5 seconds of
processor time and 1.5 GiB of memory, and if nothing is run and no other file opened on the way, which an audit hook of
the interpreter watches. All else is an escape; the input is kept in the folder of work. Readers that were run before
keep their rows in the record, so one can be run again by itself after a change.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2] / "tests"), str(HERE.parent)]

WEIGHTS = {
    "idx": 20,
    "idx-gzip": 8,
    "tar": 5,
    "npz": 5,
    "safetensors": 20,
    "saved-model": 3,
    "trace": 1.5,
    "torch-zip": 6,
    "checkpoint": 2,
    "job": 5,
    "torch-legacy": 14,
    "pickle": 30,
    "onnx": 3.5,
}
"""Shares of the inputs: more where reading is fast. Readers that are not here have one."""


def shares(names: list[str], trials: int) -> dict[str, int]:
    """How many inputs each reader gets."""
    total = sum(WEIGHTS.get(name, 1) for name in names)
    return {name: math.ceil(trials * WEIGHTS.get(name, 1) / total) for name in names}


def run(counts: dict[str, int], work: Path, jobs: int) -> dict[str, dict[str, Any]]:
    """A process for each reader, some at a time; what they counted."""
    waiting, running = list(counts), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = _start(name, counts[name], work)
            time.sleep(1)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                print(_line(name, _counted(name, work, code)), flush=True)
    finally:
        for process in running.values():
            process.terminate()
    return {name: _counted(name, work, 0) for name in counts}


def _start(name: str, count: int, work: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE.with_name("fuzz_one.py")), name, str(count), str(work)]
    with (work / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _counted(name: str, work: Path, code: int) -> dict[str, Any]:
    """What a process has counted; one that did not end by itself has met something that ended it."""
    found = {"inputs": 0, "past_header": 0, "read": 0, "escapes": {}, "seconds": 0.0}
    with contextlib.suppress(FileNotFoundError):
        found = json.loads((work / f"{name}.json").read_text())
    if code:
        found["escapes"][f"the process ended with {code}"] = 1
        (work / f"{name}.json").write_text(json.dumps(found))
    return found


def _line(name: str, row: dict[str, Any]) -> str:
    share = row["past_header"] / max(row["inputs"], 1)
    escapes = sum(row["escapes"].values())
    return (
        f"{name:14} {row['inputs']:9,} inputs {share:6.1%} past the header {escapes:5} escapes {row['seconds']:8.0f} s"
    )


def main() -> None:
    from common import RESULTS, write_record
    from fuzzing.readers import READERS

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=1_200_000, help="inputs for all readers together")
    options.add_argument("--only", help="names of readers, with commas between them")
    options.add_argument("--jobs", type=int, default=2, help="processes at a time")
    options.add_argument("--work", type=Path, help="a folder for inputs that were found, and escapes")
    options.add_argument("--out", type=Path, help="another folder for the record")
    given = options.parse_args()
    names = given.only.split(",") if given.only else list(READERS)
    work = given.work or Path(tempfile.mkdtemp(prefix="fuzz-"))
    work.mkdir(parents=True, exist_ok=True)
    print(f"escapes and logs are kept in {work}")
    rows = run(shares(names, given.trials), work, given.jobs)
    record = (given.out or RESULTS) / "fuzz.json"
    before = json.loads(record.read_text())["details"]["readers"] if record.exists() else {}
    rows = {name: row for name in READERS if (row := rows.get(name, before.get(name)))}
    inputs, escapes = (
        sum(row["inputs"] for row in rows.values()),
        sum(sum(row["escapes"].values()) for row in rows.values()),
    )
    sys.argv[1:] = ["--trials", str(inputs)]  # what makes all of the record again
    write_record(
        "fuzz",
        fault=sorted({row for name in rows for row in READERS[name].fault}),
        what="Damaged and hostile files of every kind that is read here",
        how="mutations of small valid files, guided by coverage (atheris); many keep digests and checksums right",
        trials=inputs,
        survived=inputs - escapes,
        lost="nothing" if not escapes else f"{escapes} escapes",
        details={"atheris": importlib.metadata.version("atheris"), "readers": rows},
        out=given.out,
    )
    print(f"{inputs:,} inputs, {escapes} escapes")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
