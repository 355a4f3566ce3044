"""An hour of training and prediction on MNIST: do memory, threads and file handles stay flat?

    python benchmarks/faults/soak.py --minutes 60
    python benchmarks/faults/soak.py --picture      # draw the recorded hour again

One process does the work (soak_work.py, soak_jobs.py), another looks at it every second (soak_watch.py), and after
every round of all jobs, when nothing goes on. Flat means: over all minutes but the first ten the line of least squares
through what is held between the rounds rises by less than the bounds below. Writes results/faults/soak.json, and
docs/faults/soak.png.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, write_record
from soak_jobs import JOBS
from soak_picture import draw
from soak_watch import holdings
from soak_work import work

ROOT = Path(__file__).resolve().parents[2]
RECORD = RESULTS / "soak.json"
PICTURE = ROOT / "docs" / "faults" / "soak.png"

WARM = 10
"""Minutes that do not count."""

BOUNDS = {"memory": 10.0, "threads": 0.5, "handles": 0.5, "forks": 0.5, "mappings": 30.0, "shared": 0.5, "files": 0.5}
"""How much may be added in an hour. 10 MiB is less than a batch of 128 images kept in every seventh of 200 rounds."""


def run(minutes: float, data_dir: str | None) -> dict[str, Any]:
    """Let it work, and look; what was seen."""
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        os.environ["TMPDIR"] = name  # for the process that works
        process = multiprocessing.get_context("spawn").Process(
            target=work, args=(theirs, 60 * minutes, Path(name), data_dir)
        )
        process.start()
        theirs.close()
        try:
            return watch(ours, process.pid, Path(name), minutes)
        finally:
            process.terminate()
            process.join()


def watch(worker: Connection, process: int, folder: Path, minutes: float) -> dict[str, Any]:
    """A look every second, and one at the end of every round; EOFError if the process ends before its time."""
    seen: dict[str, Any] = {"looks": [], "rests": [], "jobs": []}
    kind, what = worker.recv()
    begin = time.monotonic()
    while kind != "end":
        minute = (time.monotonic() - begin) / 60
        if kind == "job":
            seen["jobs"].append({"minute": minute, **what})
        elif kind == "rest":
            now = holdings(process, folder)
            seen["rests"].append({"minute": minute, **what, **now._asdict()})
            worker.send("go on")
            print(f"{minute:5.1f} of {minutes:g} min, round {what['round']}, {now.memory:.0f} MiB", flush=True)
        if worker.poll(max(0.0, begin + len(seen["looks"]) - time.monotonic())):
            kind, what = worker.recv()
        else:
            kind = "look"
            seen["looks"].append({"minute": minute, **holdings(process, folder)._asdict()})
    return seen | what


def verdict(rests: list[dict[str, Any]]) -> dict[str, Any]:
    """For each quantity: its rise in an hour, the bound, and its mean in minutes 10-20 and in the last ten."""
    warm = WARM if rests[-1]["minute"] > 2 * WARM else 0  # a short trial has no minutes to spare
    rests = [rest for rest in rests if rest["minute"] >= warm]
    minute = np.array([rest["minute"] for rest in rests])
    found = {}
    for name, bound in BOUNDS.items():
        values = np.array([rest[name] for rest in rests], float)
        rise = 60 * float(np.polyfit(minute - minute[0], values, 1)[0])
        found[name] = {
            "rise_in_an_hour": round(rise, 3),
            "bound": bound,
            "flat": abs(rise) < bound or rise < 0,
            "minutes_10_to_20": round(float(values[minute < minute[0] + WARM].mean()), 2),
            "last_10_minutes": round(float(values[minute > minute[-1] - WARM].mean()), 2),
            "least": round(float(values.min()), 2),
            "most": round(float(values.max()), 2),
        }
    return found


def thinned(looks: list[dict[str, Any]], seconds: int = 10) -> dict[str, list[float]]:
    """The most of every ten seconds, as columns."""
    groups = [looks[i : i + seconds] for i in range(0, len(looks), seconds)]
    return {name: [round(max(look[name] for look in group), 2) for group in groups] for name in looks[0]}


def record(seen: dict[str, Any]) -> None:
    """Write what was seen in the form of all records of faults."""
    if len(seen["rests"]) < 3:
        raise SystemExit("too short: no three rounds were done in this time, and nothing can be said of a rise")
    found, rests, jobs = verdict(seen["rests"]), seen["rests"], seen["jobs"]
    risen = [name for name, entry in found.items() if not entry["flat"]]
    write_record(
        "soak",
        fault=["interrupted", "many-threads"],
        what="An hour of training and prediction on MNIST: memory, threads, processes and file handles stay flat",
        how=f"rounds of {len(JOBS)} jobs in one process, among them Ctrl-C, errors in callbacks and threads, a fork "
        "killed by SIGKILL and images with NaN; another process looks at it every second and between the rounds",
        trials=len(rests),
        survived=0 if risen else len(rests),
        lost=", ".join(risen) or "nothing",
        details={
            "minutes": round(rests[-1]["minute"], 1),
            "images": sum(job["images"] for job in jobs),
            "jobs": {job.__name__: sum(entry["job"] == job.__name__ for entry in jobs) for job in JOBS},
            "accuracy_at_the_end": seen["accuracy"],
            "between_rounds_after_minute_10": found,
            "looks": len(seen["looks"]),
            "series": {
                "every_10_seconds_the_most": thinned(seen["looks"]),
                "between_rounds": columns(rests),
                "images_per_second": columns(rates(jobs)),
            },
        },
    )


def columns(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {name: [round(row[name], 2) for row in rows] for name in rows[0]}


def rates(jobs: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Images a second in each round, as it was on a machine that others use, too."""
    rounds = [jobs[i : i + len(JOBS)] for i in range(0, len(jobs), len(JOBS))]
    return [
        {"minute": part[-1]["minute"], "rate": sum(j["images"] for j in part) / sum(j["seconds"] for j in part)}
        for part in rounds
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--data-dir", help="where MNIST lies; otherwise $CNN_DATA_DIR")
    parser.add_argument("--picture", action="store_true", help="draw the picture of the recorded hour, do nothing else")
    options = parser.parse_args()
    if not options.picture:
        record(run(options.minutes, options.data_dir))
    result = json.loads(RECORD.read_text())
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    draw(result["details"], PICTURE)
    for name, entry in result["details"]["between_rounds_after_minute_10"].items():
        print(f"{name:10} {entry['rise_in_an_hour']:+9.3f} an hour (bound {entry['bound']:g})")


if __name__ == "__main__":
    main()
