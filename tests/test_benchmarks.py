"""The benchmarks measure what they say: figures, ratios and tables from samples, and the same network on all sides."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The scripts import one another by their file names; nothing of that stays behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def entry(name, median, samples):
    return {"name": name, "median": median, "quartiles": [median, median], "samples": samples}


def step_result(ratio_entries):
    from speed import compared
    from workloads import WORKLOADS

    peers = WORKLOADS["w1-step"].cases()[0].competitors
    case = {"label": "batch 128", "x": 0, "shape": [128, 1, 28, 28], "unit": "ms", "competitors": ratio_entries}
    case |= compared(ratio_entries, peers)
    machine = {"processor": "P", "cores": 2, "system": "S", "python": "3", "numpy": "2", "blas": "b"}
    return {
        "workload": "w1-step", "title": "W1", "quick": False, "date": "2026-01-01 00:00 UTC", "machine": machine,
        "per_image": False, "cases": [case],
    }  # fmt: skip


def test_a_ratio_is_that_of_the_medians_against_the_fastest_pytorch():
    entries = [
        entry("ours", 3.0, [2.0, 3.0, 4.0, 3.0]),
        entry("PyTorch NCHW", 6.0, [6.0, 6.0, 6.0, 6.0]),
        entry("PyTorch channels_last", 4.0, [4.0, 4.0, 4.0, 8.0]),
        entry("JAX jit", 1.0, [1.0, 1.0, 1.0, 1.0]),  # a peer, but no PyTorch
        {"name": "PyTorch compile", "unavailable": "no compiler"},
    ]
    case = step_result(entries)["cases"][0]
    assert (case["ours"], case["best_torch"], case["ratio"]) == ("ours", "PyTorch channels_last", 0.75)
    # by rounds: 2/4, 3/4, 4/4, 3/8; sorted 0.375, 0.5, 0.75, 1, of which the second and the third
    assert case["ratio_quartiles"] == [0.5, 0.75]


def test_without_pytorch_there_is_no_ratio():
    case = step_result([entry("ours", 3.0, [3.0]), {"name": "PyTorch NCHW", "unavailable": "torch is not installed"}])
    assert "ratio" not in case["cases"][0]


def test_summary_and_rounding():
    from timing import short, summary

    assert summary([5.0, 1.0, 2.0, 4.0, 3.0]) == {"median": 3.0, "quartiles": [2.0, 4.0]}
    assert [short(v) for v in (0.000123456, 12.3456, 98765.4)] == [0.0001235, 12.35, 98770.0]


def test_differences_are_relative_to_the_largest_element():
    from timing import difference

    reference = {"loss": np.array(2.0), "weight": np.array([0.0, -4.0])}
    values = {"loss": np.array(2.0), "weight": np.array([1.0, -4.0])}
    assert difference(values, reference) == {"largest": 0.25, "where": "weight"}
    assert difference({"loss": np.array(2.0)}, reference)["largest"] == float("inf")


def test_the_report_is_made_of_what_there_is(tmp_path):
    from report import write_report

    result = step_result(
        [
            entry("ours", 3.0, [3.0, 3.0]),
            entry("PyTorch NCHW", 4.0, [4.0, 4.0]),
            {"name": "JAX jit", "unavailable": "jax is not installed"},
        ]
    )
    (tmp_path / "speed-w1-step.json").write_text(json.dumps(result))
    page = write_report(tmp_path, tmp_path).read_text()
    assert "| W1 step | 3 ms | 4 ms | PyTorch NCHW | **0.75** (0.75–0.75) |" in page
    assert "- JAX jit: jax is not installed (W1 step)" in page
    assert "## Inference" not in page
    assert (tmp_path / "benchmarks" / "ratios.png").exists()
    assert "](benchmarks/ratios.png)" in page


def test_json_keeps_lists_of_numbers_on_one_line():
    from speed import _compact

    result = {"samples": [1.5, 2e-05, 3.0], "names": ["a [1,\n2]"], "empty": []}
    text = _compact(json.dumps(result, indent=1))
    assert json.loads(text) == result
    assert '"samples": [1.5, 2e-05, 3.0]' in text


def test_every_workload_puts_ours_first_and_the_best_of_it_against_pytorch():
    from workloads import WORKLOADS

    for name, workload in WORKLOADS.items():
        cases = workload.cases()
        assert len({case.label for case in cases}) == len(cases), name
        for case in cases:
            names = [peer.name for peer in case.competitors]
            assert case.competitors[0].module == "ours", name
            assert len(set(names)) == len(names), name
            assert any(peer.module == "torch_peer" for peer in case.competitors), name


@pytest.mark.parametrize("way", ["fancy", "sliding"])
@pytest.mark.parametrize(("net", "shape"), [("mnist_cnn", (4, 1, 28, 28)), ("vgg_small", (2, 3, 8, 8))])
def test_the_textbook_network_has_our_gradients(net, shape, way):
    from competitors import ours, textbook
    from tasks import Competitor, Task
    from timing import difference

    task = Task("train", net, shape, dtype="float64")
    with closing(ours.build(task, Competitor("ours", "ours", threads=1))) as runner:
        expected = runner.values()
    found = textbook.build(task, Competitor("textbook", "textbook", way)).values()
    assert difference(found, expected)["largest"] < 1e-10


@pytest.mark.parametrize("variant", ["predict", "compile"])
def test_our_runner_predicts_what_the_model_does(variant):
    from competitors import ours
    from nets import our_model
    from tasks import Competitor, Task, batch

    task = Task("infer", "resnet20", (2, 3, 8, 8))
    with closing(ours.build(task, Competitor("ours", "ours", variant))) as runner:
        found = runner.values()["output"]
    from cnn_from_scratch.layers import Context

    expected, _ = our_model("resnet20").forward(batch(task)[0], Context())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_resnet56_has_the_layers_of_the_paper():
    from nets import weights_of

    kernels = [key for key, w in weights_of("resnet56").items() if w.ndim == 4 and "downsample" not in key]
    assert len(kernels) == 55  # and a linear layer


def test_one_convolution_on_two_halves_is_that_of_the_whole():
    from competitors import ours
    from tasks import Competitor, Convolution, Task, batch, filters_of, output_gradient

    from cnn_from_scratch.ops import conv_backward, conv_forward

    task = Task("backward", "", (3, 4, 6, 6), Convolution(5, 3, 2, 1), dtype="float64")
    with closing(ours.build(task, Competitor("ours", "ours"))) as runner:
        found = runner.values()
    y, cache = conv_forward(batch(task)[0], filters_of(task), stride=2, padding=1)
    dx, dweight, _ = conv_backward(output_gradient(y.shape, "float64"), cache)
    np.testing.assert_allclose(found["dx"], dx, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found["dweight"], dweight, rtol=1e-12, atol=1e-12)


def test_a_child_that_cannot_says_why():
    from child import Child
    from tasks import Competitor, Task, Unavailable

    with pytest.raises(Unavailable, match="not written"):
        Child(Competitor("textbook", "textbook", "fancy"), Task("train", "resnet20", (1, 3, 8, 8)))


def test_turns_go_round_and_who_fails_is_out():
    from tasks import Unavailable
    from timing import Effort, _take_turns

    asked = []

    class Fake:
        def __init__(self, name, seconds, dies_at=None):
            self.name, self.seconds, self.dies_at, self.runs = name, seconds, dies_at, 0

        def run(self, calls):
            asked.append(self.name)
            self.runs += 1
            if self.runs == self.dies_at:
                raise Unavailable("the process ended with code -9")
            return [self.seconds] * calls

    entries = [{"name": "ours"}, {"name": "PyTorch"}]
    children = [(Fake("ours", 0.25), entries[0]), (Fake("PyTorch", 0.5, dies_at=3), entries[1])]
    _take_turns(children, Effort(rounds=3, burst=1.0, budget=100))
    assert asked == ["ours", "PyTorch", "ours", "PyTorch", "ours", "PyTorch", "ours"]
    assert entries[0]["samples"] == [250.0] * 3
    assert (entries[0]["median"], entries[0]["calls"]) == (250.0, 4)
    assert entries[1]["unavailable"] == "the process ended with code -9"
    assert "median" not in entries[1]


def test_what_the_same_code_has_measured_is_kept(tmp_path, monkeypatch):
    import speed
    from tasks import Task
    from workloads import Case, Workload

    measured = []

    def pretend(workload, case, quick):
        measured.append(case.label)
        return {"label": case.label, "unit": "ms", "competitors": []}

    task = Task("train", "mnist_cnn", (1, 1, 28, 28))
    workload = Workload("w1-step", "W1", lambda: [Case(label, task, ()) for label in ("a", "b")])
    monkeypatch.setattr(speed, "_use_two_cores", lambda: None)
    monkeypatch.setattr(speed, "_measure_case", pretend)
    path = speed.measure(workload, tmp_path, quick=False, resume=True)
    unfinished = json.loads(path.read_text())
    path.write_text(json.dumps(unfinished | {"cases": unfinished["cases"][:1]}))  # as if stopped after the first
    speed.measure(workload, tmp_path, quick=False, resume=True)
    assert measured == ["a", "b", "b"]
    assert [case["label"] for case in json.loads(path.read_text())["cases"]] == ["a", "b"]

    speed.measure(workload, tmp_path, quick=True, resume=True)  # a quick figure is no figure
    monkeypatch.setattr(speed, "fingerprint", lambda: "other code")
    speed.measure(workload, tmp_path, quick=True, resume=True)
    assert measured == ["a", "b", "b"] + 2 * ["a", "b"]


# --- size ------------------------------------------------------------------------------------------------------------


def test_an_installation_is_as_large_as_its_files_and_those_it_requires():
    from installed_size import installed

    alone, both = installed("NumPy", "numpy"), installed("pandas", "pandas")
    assert list(alone.distributions) == [f"numpy {np.__version__}"]
    files = [Path(np.__file__).parent / name for name in ("__init__.py", "version.py")]
    assert sum(file.stat().st_size for file in files) < alone.size < 1 << 28
    assert both.size == sum(both.distributions.values())
    assert both.distributions[f"numpy {np.__version__}"] == alone.size  # what it requires, and this requires, is there
    assert any(name.startswith("python-dateutil ") for name in both.distributions)
    assert not any(name.startswith(("pytest", "hypothesis")) for name in both.distributions)  # these are for extras
