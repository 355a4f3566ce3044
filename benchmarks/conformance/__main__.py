"""ONNX's own backend tests, run with this library: what passes, what fails and why, operator by operator.

    python benchmarks/conformance                       all of them (half a minute), then docs/onnx.md
    python benchmarks/conformance --only Conv           cases with this in their name, shown one by one
    python benchmarks/conformance --out FOLDER          the tables into another folder, docs/onnx.md as it is
    python benchmarks/conformance --raise-floor         what passes now must pass from now on

Needs `pip install onnx==1.22.0`: the cases lie in the wheel, models and the numbers that are expected. Shapes and
dtypes must be those of the file, numbers within ONNX's own tolerances (rtol 1e-3, atol 1e-7, or those of the case).
Every case runs in a process of its own with a time limit, and nothing of onnx.reference, onnxruntime or torch can be
imported.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processes are forked

import argparse
import json
import sys
import time
from pathlib import Path

import blocked
from scope import Case, cases_in, scope_of, wheel
from tables import PAGE, page, summary, write_page
from trial import Status, run_apart

from cnn_from_scratch.formats import write_atomically

ROOT = Path(__file__).resolve().parents[2]
RESULT = "onnx-conformance.json"
FLOOR = Path(__file__).with_name("floor.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", help="cases with this in their name; nothing is written")
    parser.add_argument("--out", type=Path, help="folder for the JSON and the Markdown")
    parser.add_argument("--cases", type=Path, help="another folder of cases than that of the wheel, laid out like it")
    parser.add_argument("--raise-floor", action="store_true", help="write how many pass now; never fewer than before")
    arguments = parser.parse_args()
    blocked.block()
    started = time.perf_counter()
    cases = cases_in(arguments.cases or wheel())
    result = run([case for case in cases if (arguments.only or "") in case.name], bool(arguments.only))
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(summary(result))
    if arguments.only:
        return
    write(result, arguments.out)
    if arguments.raise_floor:
        raise_floor(result)


def run(cases: list[Case], verbose: bool) -> dict:
    """Every case that is in scope, and why the others are not."""
    import onnx

    outcomes, others = [], 0
    for case in cases:
        outcome = scope_of(case) or run_apart(case)
        if verbose:
            print(f"{outcome.status:12} {case.suite:18} {case.name}  {outcome.reason}")
        if outcome.status == Status.OTHER:
            others += 1
        else:
            outcomes.append({**case.described(), **outcome._asdict()})
    return {"onnx": onnx.__version__, "others": others, "cases": outcomes}


def write(result: dict, out: Path | None) -> None:
    """The JSON, and the tables: into the page of the documentation, or both into another folder."""
    folder = out or ROOT / "benchmarks" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RESULT, as_json(result))
    if out is None:
        write_page(ROOT / PAGE, result)
    else:
        write_atomically(out / "onnx-conformance.md", page(result))


def as_json(result: dict) -> str:
    """A line for each case; the same outcomes give the same bytes."""
    cases = ",\n".join(f"  {json.dumps(case)}" for case in result["cases"])
    head = json.dumps({key: value for key, value in result.items() if key not in ("cases", "seconds")})
    return f'{head[:-1]}, "cases": [\n{cases}\n]}}\n'


def raise_floor(result: dict) -> None:
    """Write how many pass; a suite in which fewer pass than before is an error."""
    old = json.loads(FLOOR.read_text())["passed"] if FLOOR.exists() else {}
    new = counts(result)
    if fallen := [suite for suite in old if new.get(suite, 0) < old[suite]]:
        sys.exit(f"fewer pass than before: {', '.join(f'{s} {new.get(s, 0)} < {old[s]}' for s in fallen)}")
    write_atomically(FLOOR, json.dumps({"onnx": result["onnx"], "passed": new}, indent=2) + "\n")


def counts(result: dict) -> dict[str, int]:
    """How many pass, by suite."""
    found: dict[str, int] = {}
    for case in result["cases"]:
        found[case["suite"]] = found.get(case["suite"], 0) + (case["status"] == Status.PASSED)
    return found


if __name__ == "__main__":
    main()
