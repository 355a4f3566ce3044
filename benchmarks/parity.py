"""How far our numbers are from PyTorch's: docs/parity.md and results/parity.json, from the vectors in tests/vectors.

    python benchmarks/parity.py             compute again, write both
    python benchmarks/parity.py --check     fail if an error is beyond its bound, or the page is not that of the file

PyTorch need not be installed: what it answers, in float64, is in the file that scripts/make_vectors.py has made of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from report_tables import table

from cnn_from_scratch import ops

ROOT = Path(__file__).resolve().parents[1]
VECTORS, RESULT, PAGE = (
    ROOT / place for place in ("tests/vectors/torch_float64.npz", "benchmarks/results/parity.json", "docs/parity.md")
)
BOUNDS = {"float64": 1e-12, "float32": 1e-5}
"""Largest error that is allowed, as a share of the largest number in the array."""


def errors_of(case: dict[str, Any], arrays: dict[str, Any], dtype: Any) -> dict[str, float]:
    """The largest difference in y and in every gradient, as a share of the largest number there."""

    def array(name: str) -> Any:
        found = arrays[f"{case['key']}/{name}"]
        return found.astype(dtype) if found.dtype == np.float64 else found

    options = {name: tuple(value) if isinstance(value, list) else value for name, value in case["options"].items()}
    inputs = [None if name is None else array(name) for name in case["inputs"]]
    y, cache = getattr(ops, f"{case['op']}_forward")(*inputs, **options)
    backward, dy = getattr(ops, f"{case['op']}_backward"), array("dy")
    is_loss = hasattr(cache, "reduction")
    gradients = backward(cache, dy if dy.ndim else dy.item()) if is_loss else backward(dy, cache)
    gradients = gradients if type(gradients) is tuple else (gradients,)
    found = {"y": y} | {name: g for name, g in zip(case["gradients"], gradients, strict=False) if g is not None}
    return {name: _error(ours, arrays[f"{case['key']}/{name}"]) for name, ours in found.items()}


def _error(ours: Any, theirs: Any) -> float:
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return float(np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0.0)) / scale


def measure() -> dict[str, Any]:
    """The worst of every operation, over all its cases."""
    with np.load(VECTORS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays.pop("meta").tobytes())
    worst: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    count: dict[str, int] = defaultdict(int)
    for case in meta["cases"]:
        count[case["op"]] += 1
        for name in BOUNDS:
            errors = errors_of(case, arrays, np.dtype(name))
            for what in ("output", "gradients"):
                part = [error for key, error in errors.items() if (key == "y") == (what == "output")]
                key = f"{what}, {name}"
                worst[case["op"]][key] = max(worst[case["op"]][key], *part)
    operations = {op: {"cases": count[op], **worst[op]} for op in sorted(worst)}
    versions = {name: value for name, value in meta.items() if name != "cases"}
    return {"command": "python benchmarks/parity.py", "theirs": versions, "bounds": BOUNDS, "operations": operations,
            "machine": describe()}  # fmt: skip


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    columns = [f"{what}, {name}" for name in BOUNDS for what in ("output", "gradients")]
    rows = [
        [f"`{op}`", str(found["cases"]), *(f"{found[column]:.0e}" if found[column] else "0" for column in columns)]
        for op, found in result["operations"].items()
    ]
    cases = sum(found["cases"] for found in result["operations"].values())
    return f"""\
# Parity with PyTorch

How far our operations are from PyTorch's, output and every gradient: the largest difference anywhere in an array, as a
share of the largest number in it, and of that the worst over all cases of the operation. {cases} cases, with strides,
padding, dilation, groups and the other options; PyTorch computed in float64. In float32 ours is compared with those
float64 answers, so that what is seen is our own rounding. Allowed are {BOUNDS["float64"]:.0e} and
{BOUNDS["float32"]:.0e}.

{table(["operation", "cases", *columns], rows)}

This page is written by `python benchmarks/parity.py` from `tests/vectors`, which `scripts/make_vectors.py` makes with
PyTorch {result["theirs"]["torch"]}. The tests compare the same numbers, and where PyTorch is installed, `tests/peers`
compares many more: layers, whole networks, extreme numbers, files.
"""


def too_large(result: dict[str, Any]) -> list[str]:
    """Errors beyond their bounds."""
    return [
        f"{op}: {found[f'{what}, {name}']:.1e} in {what} in {name}, more than {bound:.0e}"
        for op, found in result["operations"].items()
        for name, bound in BOUNDS.items()
        for what in ("output", "gradients")
        if found[f"{what}, {name}"] > bound
    ]


def main() -> None:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    result = measure()
    if problems := too_large(result):
        sys.exit("\n".join(problems))
    if not check:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(result), encoding="utf-8")
    elif page(json.loads(RESULT.read_text(encoding="utf-8"))) != PAGE.read_text(encoding="utf-8"):
        sys.exit("docs/parity.md is not what results/parity.json makes; run python benchmarks/parity.py")


if __name__ == "__main__":
    main()
