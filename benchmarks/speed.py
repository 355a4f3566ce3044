"""How fast is this library, beside PyTorch, JAX, onnxruntime and other NumPy code, on two cores of a CPU?

    python benchmarks/speed.py                         everything (an hour), then docs/benchmarks.md and its pictures
    python benchmarks/speed.py --only w1-step shards   some of it
    python benchmarks/speed.py --continue              what has not been measured yet with this very code
    python benchmarks/speed.py --quick                 does everything work? The figures mean nothing
    python benchmarks/speed.py --list

Needs `pip install '.[bench]'`; a peer that is not there is left out, and the table says so. Keep the machine quiet.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory import weigh
from tasks import Competitor
from timing import BRIEF, QUICK, Effort, compete, same_in_float64
from training import race
from workloads import WORKLOADS, Case, Workload

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, metavar="NAME", help="these workloads")
    parser.add_argument("--quick", action="store_true", help="three rounds each: to see that everything works")
    parser.add_argument("--out", type=Path, help="folder for the JSON files, benchmarks/results if not --quick")
    parser.add_argument("--continue", dest="resume", action="store_true", help="keep what this code has measured")
    parser.add_argument("--list", action="store_true", help="names of the workloads")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.only or list(WORKLOADS)
    out = arguments.out or (Path(tempfile.gettempdir()) / "cnn-speed" if arguments.quick else RESULTS)
    if arguments.list:
        print("\n".join(f"{name:20} {workload.title}" for name, workload in WORKLOADS.items()))
    elif arguments.in_this_process:
        for name in names:
            measure(WORKLOADS[name], out, quick=arguments.quick, resume=arguments.resume)
    else:
        options = ["--quick"] * arguments.quick + ["--continue"] * arguments.resume + ["--out", str(out)]
        failed = [name for name in names if not _run_apart(name, options)]
        _report(out)
        if failed:
            sys.exit(f"these workloads failed: {', '.join(failed)}")


def _run_apart(name: str, options: list[str]) -> bool:
    """One workload in a process of its own, which measures nothing itself and starts the competitors."""
    command = [sys.executable, __file__, "--only", name, "--in-this-process", *options]
    return subprocess.run(command).returncode == 0


def _report(folder: Path) -> None:
    """The page and its pictures; into the documentation only from the results that belong to it."""
    from report import write_report

    docs = HERE.parent / "docs" if folder.resolve() == RESULTS else folder
    print(f"-> {write_report(folder, docs)}")


# --- one workload ---------------------------------------------------------------------------------------------------


def measure(workload: Workload, folder: Path, *, quick: bool, resume: bool) -> Path:
    """Measure all cases, and write the JSON file anew after each of them."""
    _use_two_cores()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"speed-{workload.name}.json"
    known = _known_cases(path, quick) if resume else {}
    result = _heading(workload, quick)
    for case in workload.cases():
        print(f"{workload.name}: {case.label}", flush=True)
        entry = known.get(case.label) or _measure_case(workload, case, quick)
        result["cases"].append(entry)
        _write(path, result)
        _print(entry)
    return path


def _measure_case(workload: Workload, case: Case, quick: bool) -> dict[str, Any]:
    start = time.perf_counter()
    entry: dict[str, Any] = {"label": case.label, "x": case.x, "shape": list(case.task.shape)}
    if workload.how == "memory":
        entry["unit"], entry["competitors"] = "MiB", weigh(case.task, case.competitors)
    elif workload.how == "fit":
        task = case.task._replace(epochs=1, examples=2048) if quick else case.task
        entry["unit"], entry["competitors"] = "s", race(task, case.competitors)
    else:
        entry["unit"] = "ms"
        entry["competitors"] = compete(case.task, case.competitors, _effort(workload, quick))
        if case.exact:
            entry["float64"] = _exact_difference(case)
    return entry | compared(entry["competitors"], case.competitors) | {"seconds": round(time.perf_counter() - start)}


def _effort(workload: Workload, quick: bool) -> Effort:
    if quick:
        return QUICK
    return BRIEF if workload.brief else Effort()


def _exact_difference(case: Case) -> dict[str, Any] | None:
    torch = next((peer for peer in case.competitors if peer.module == "torch_peer"), None)
    try:
        return None if torch is None else same_in_float64(case.task, [case.competitors[0], torch])
    except Exception as error:
        return {"unavailable": str(error)}


def compared(entries: Sequence[dict[str, Any]], competitors: Sequence[Competitor]) -> dict[str, Any]:
    """The best PyTorch, the best of ours, and ours / PyTorch: of the medians, and its quartiles over the rounds."""
    modules = {peer.name: peer.module for peer in competitors}
    best = {}
    for module in ("ours", "torch_peer"):
        there = [entry for entry in entries if modules[entry["name"]] == module and "median" in entry]
        if not there:
            return {}
        best[module] = min(there, key=lambda entry: entry["median"])
    ours, torch = best["ours"], best["torch_peer"]
    found = {"ours": ours["name"], "best_torch": torch["name"], "ratio": round(ours["median"] / torch["median"], 4)}
    if "samples" in ours and "samples" in torch:
        rounds = sorted(a / b for a, b in zip(ours["samples"], torch["samples"], strict=True))
        quarter = len(rounds) // 4
        found["ratio_quartiles"] = [round(rounds[quarter], 4), round(rounds[-1 - quarter], 4)]
    return found


# --- files ----------------------------------------------------------------------------------------------------------


def _heading(workload: Workload, quick: bool) -> dict[str, Any]:
    from machine import describe

    return {
        "workload": workload.name,
        "title": workload.title,
        "command": f"benchmarks/speed.py --only {workload.name}{' --quick' if quick else ''}",
        "quick": quick,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "code": fingerprint(),
        "machine": describe(),
        "per_image": workload.per_image,
        "cases": [],
    }


def fingerprint() -> str:
    """Of all code that a figure depends on: this library's and the benchmarks' own."""
    files = sorted([*(HERE.parent / "src" / "cnn_from_scratch").rglob("*.py"), *HERE.rglob("*.py")])
    total = hashlib.sha256()
    for file in files:
        if not file.name.startswith("report"):
            total.update(file.relative_to(HERE.parent).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]


def _known_cases(path: Path, quick: bool) -> dict[str, Any]:
    """What was measured before with the same code."""
    if not path.exists():
        return {}
    before = json.loads(path.read_text())
    same = before["code"] == fingerprint() and before["quick"] == quick
    return {case["label"]: case for case in before["cases"]} if same else {}


def _write(path: Path, result: dict[str, Any]) -> None:
    """The whole file at once, so that a run that is stopped leaves no half of one."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(_compact(json.dumps(result, indent=1)) + "\n")
    unfinished.replace(path)


def _compact(text: str) -> str:
    """Lists of numbers on one line each.

    >>> _compact(json.dumps({"samples": [1.5, 2e-05]}, indent=1))
    '{\\n "samples": [1.5, 2e-05]\\n}'
    """
    return re.sub(
        r"\[[-+.,\de\s]*\]", lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text
    )


def _print(entry: dict[str, Any]) -> None:
    for peer in entry["competitors"]:
        figure = f"{peer['median']:10.4g} {entry['unit']}" if "median" in peer else f"{peer.get('unavailable')}"
        print(f"  {peer['name']:38} {figure}", flush=True)
    if "ratio" in entry:
        print(f"  {entry['ours']} / {entry['best_torch']}: {entry['ratio']:.2f}", flush=True)


def _use_two_cores() -> None:
    """On a larger machine, too: every library then sees two cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


if __name__ == "__main__":
    main()
