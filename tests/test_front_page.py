"""The figures on the front page are those that the scripts have written."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest
from ladder import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def front_page(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("front_page", BENCHMARKS / "front_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in ("report_tables",):
        sys.modules.pop(name, None)


def test_the_figures_are_current(front_page):
    assert front_page.written(README) == README, "run python benchmarks/front_page.py"


def test_every_block_stands_there_once(front_page):
    assert sorted(re.findall(r"<!-- figures: (\w+) -->", README)) == sorted(front_page.BLOCKS)


def test_another_figure_would_be_noticed(front_page):
    changed = README.replace("99.54", "99.55")
    assert changed != README
    assert front_page.written(changed) == README


def test_no_trial_was_lost(front_page):
    rows = [line.split(" | ") for line in front_page.faults().splitlines()[2:]]
    assert len(rows) >= 5
    for _, trials, survived, lost in rows:
        assert trials == survived
        assert lost == "nothing |"


def test_figures_outside_of_the_blocks_are_those_of_the_results(front_page):
    passed = [case["suite"] for case in front_page.result("onnx-conformance")["cases"] if case["status"] == "passed"]
    node, converted = passed.count("node"), passed.count("pytorch-converted")
    assert f"{node} of nodes, {converted} of {converted} converted" in README
    small = front_page.case("growth-w1", "batch 16")["ratio"]
    assert f"Steps of W1 with 16 images take {small:.2f} times as long" in README
    peers = front_page.case("numpy-peers", "batch 128")
    ours = front_page.median(peers, "ours")
    text = README.replace("\n", " ")
    for name, words in (("fancy", "takes {} times as long"), ("window", "product {} times"), ("DeZero", "DeZero {}")):
        times = next(c["median"] / ours for c in peers["competitors"] if name in c["name"])
        assert words.format(round(times)) in text


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (REPOSITORY / target).exists(), target
