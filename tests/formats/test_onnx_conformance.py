"""ONNX's own tests: as many pass as ever did, and what judges them can tell right from wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import cnn_from_scratch

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[test]'")

CONFORMANCE = Path(__file__).resolve().parents[2] / "benchmarks" / "conformance"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cnn_from_scratch.__file__).parents[1])}
FLOOR = json.loads((CONFORMANCE / "floor.json").read_text())


def conformance(*arguments):
    """Run it; gives what it prints."""
    command = [sys.executable, str(CONFORMANCE), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def judged(folder, *arguments):
    """The outcome of every case, by its name."""
    conformance("--out", folder, *arguments)
    result = json.loads((folder / "onnx-conformance.json").read_text())
    return {case["name"]: (case["status"], case["reason"]) for case in result["cases"]}, result


# --- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    metadata.version("onnx") != FLOOR["onnx"], reason=f"onnx {FLOOR['onnx']} is not installed: pip install '.[test]'"
)
def test_no_fewer_pass_than_before(tmp_path):
    """The count may only rise: python benchmarks/conformance --raise-floor."""
    _, result = judged(tmp_path)
    passed = dict.fromkeys(FLOOR["passed"], 0)
    for case in result["cases"]:
        passed[case["suite"]] += case["status"] == "passed"
    lost = [f"{c['name']}: {c['reason']}" for c in result["cases"] if c["status"] in ("failed", "unsupported")]
    assert all(passed[suite] >= count for suite, count in FLOOR["passed"].items()), "\n".join(lost)
    judging = [case for case in result["cases"] if case["status"] in ("passed", "failed", "unsupported")]
    assert sum(passed.values()) >= 0.97 * len(judging)
    assert sum(case["suite"] == "pytorch-converted" for case in judging) == 82
    page = (tmp_path / "onnx-conformance.md").read_text()
    assert f"| node | {passed['node']} |" in page


def test_the_documentation_shows_the_floor():
    page = (CONFORMANCE.parents[1] / "docs" / "onnx.md").read_text()
    assert f"## Conformance with onnx {FLOOR['onnx']}" in page
    for suite, count in FLOOR["passed"].items():
        assert f"| {suite} | {count} |" in page


# --- what judges them -----------------------------------------------------------------------------------------------


def write_case(root, name, expected, *, node=("Relu", {}), suite="node", elem=None, own=None):
    """A case of one node for the input [-1, 0.5, 2]."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    folder = root / suite / name / "test_data_set_0"
    folder.mkdir(parents=True)
    x, elem = np.array([-1, 0.5, 2], np.float32), elem or onnx.TensorProto.FLOAT
    values = [helper.make_tensor_value_info("x", elem, [3]), helper.make_tensor_value_info("y", elem, None)]
    graph = helper.make_graph([helper.make_node(node[0], ["x"], ["y"], **node[1])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (folder.parent / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "input_0.pb").write_bytes(numpy_helper.from_array(x).SerializeToString())
    for i, array in enumerate(expected):
        (folder / f"output_{i}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    if own:
        (folder.parent / "data.json").write_text(json.dumps(own))


def test_right_is_told_from_wrong(tmp_path):
    right, cases = np.array([0, 0.5, 2], np.float32), tmp_path / "cases"
    write_case(cases, "test_right", [right])
    write_case(cases, "test_near", [right + np.float32([0, 4e-4, 1e-3])])
    write_case(cases, "test_far", [right + np.float32([0, 0, 3e-3])])
    write_case(cases, "test_not_zero", [right + np.float32([1e-6, 0, 0])])
    write_case(cases, "test_wide_tolerance", [right + np.float32([0, 0, 3e-3])], own={"rtol": 2e-3})
    write_case(cases, "test_shape", [right[None]])
    write_case(cases, "test_dtype", [right.astype(np.float64)])
    write_case(cases, "test_two_outputs", [right, right])
    write_case(cases, "test_nothing_to_compare_with", [])
    write_case(cases, "test_nan", [np.float32([0, np.nan, 2])])
    write_case(cases, "test_version_that_is_not_known", [right], node=("Selu", {"gamma": "a"}))
    write_case(cases, "test_half", [right], elem=onnx.TensorProto.BFLOAT16)
    write_case(cases, "test_other", [right], node=("Acosh", {}))
    write_case(cases, "test_relu_expanded", [right], suite="node")
    write_case(cases, "test_resize_downsample_scales_linear_align_corners", [right])
    found, result = judged(tmp_path / "out", "--cases", cases)
    assert {name for name, (status, _) in found.items() if status == "passed"} == {
        "test_right",
        "test_near",
        "test_wide_tolerance",
        "test_relu_expanded",
    }
    assert found["test_half"] == ("left out", "BFLOAT16: not a type of NumPy's arrays")
    assert found["test_resize_downsample_scales_linear_align_corners"][0] == "excluded"
    assert (found["test_far"][0], found["test_not_zero"][0], found["test_nan"][0]) == ("failed",) * 3
    assert "number of outputs" in found["test_two_outputs"][1]
    assert "number of outputs" in found["test_nothing_to_compare_with"][1]
    assert "shape" in found["test_shape"][1]
    assert "dtype" in found["test_dtype"][1]
    assert found["test_version_that_is_not_known"][0] in ("failed", "unsupported")
    assert result["others"] == 1
    assert {case["suite"] for case in result["cases"]} == {"node", "node, expanded"}
    page = (tmp_path / "out" / "onnx-conformance.md").read_text()
    assert "| node | `test_far` | failed | AssertionError: Not equal to tolerance rtol=0.001, atol=1e-07" in page
    assert "| node, expanded | 1 | – | – | – | – | 100.0 % |" in page


def run_code(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=CONFORMANCE, timeout=60, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_case_neither_waits_for_ever_nor_ends_the_others(tmp_path):
    write_case(tmp_path, "test_right", [np.array([0, 0.5, 2], np.float32)])
    code = f"""
import os, sys
sys.path.insert(0, ".")
import trial
from scope import Case
from pathlib import Path
case = Case("node", Path({str(tmp_path)!r}) / "node" / "test_right")
print(trial.run_apart(case))
if trial.HOW == "fork":
    trial.run_here = lambda folder: __import__("time").sleep(60)
    trial.SECONDS = 0.2
    print(trial.run_apart(case))
    trial.SECONDS, trial.run_here = 20.0, lambda folder: os._exit(7)
    print(trial.run_apart(case))
"""
    first, *others = run_code(code)
    assert first == "Outcome(status='passed', reason='')"
    assert others in (
        [],
        [
            "Outcome(status='failed', reason='took more than 0 s')",
            "Outcome(status='failed', reason='its process ended with 7')",
        ],
    )


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "onnx.reference", "onnx.reference.ops"])
def test_nobody_else_can_be_asked(name):
    code = f"""
import sys
sys.path.insert(0, ".")
import blocked
blocked.block()
try:
    import {name}
except ImportError as error:
    print(error)
sys.modules[{name.rpartition(".ops")[0] or name!r}] = sys
try:
    blocked.require_unused()
except RuntimeError as error:
    print(error)
"""
    blocked, used = run_code(code)
    assert blocked == f"{'onnx.reference' if 'reference' in name else name} is blocked while conformance is tested"
    assert used.endswith("must not be imported while conformance is tested")
