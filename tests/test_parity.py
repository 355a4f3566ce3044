"""The page of parity with PyTorch is that of its file, and its figures hold here, too."""

from __future__ import annotations

import importlib.util
import json

import pytest
from ladder import REPOSITORY


@pytest.fixture
def parity(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    spec = importlib.util.spec_from_file_location("parity", REPOSITORY / "benchmarks" / "parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_file(parity):
    committed = json.loads(parity.RESULT.read_text(encoding="utf-8"))
    assert parity.page(committed) == parity.PAGE.read_text(encoding="utf-8")
    assert parity.too_large(committed) == []


def test_every_error_is_within_its_bound(parity):
    result = parity.measure()
    assert parity.too_large(result) == []
    assert len(result["operations"]) >= 25


def test_a_larger_error_would_be_named(parity):
    result = parity.measure()
    result["operations"]["conv"]["gradients, float64"] = 1e-3
    assert parity.too_large(result) == ["conv: 1.0e-03 in gradients in float64, more than 1e-12"]
