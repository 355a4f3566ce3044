"""The recipe for a layer of one's own runs as it is printed, and such a layer is like any other."""

from __future__ import annotations

import re
import runpy
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from ladder import REPOSITORY

from cnn_from_scratch.layers import Context, Linear, Sequential

EXAMPLE = REPOSITORY / "examples" / "own_layer.py"


@pytest.fixture(scope="module")
def example():
    with redirect_stdout(StringIO()) as printed:
        return runpy.run_path(str(EXAMPLE)) | {"printed": printed}


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 60


def test_the_example_runs_and_learns(example):
    printed = example["printed"].getvalue()
    assert len(re.findall(r"^d\w+: by backward", printed, re.MULTILINE)) == 2
    assert "(1): LearnedSwish(16)" in printed
    assert float(re.search(r"reads ([\d.]+)%", printed)[1]) > 90


def test_the_gradient_check_of_the_example_can_fail(example):
    class Wrong(example["LearnedSwish"]):
        def backward(self, dy, cache, *, need_dx=True):
            dx, grads = super().backward(dy, cache, need_dx=need_dx)
            return dx * 1.001, grads

    with pytest.raises(AssertionError):
        example["check_gradients"](Wrong(3).astype(np.float64), np.random.default_rng(1).standard_normal((2, 3, 4, 5)))


def test_an_own_layer_is_like_any_other(example):
    layer = example["LearnedSwish"](2)
    assert repr(layer) == "LearnedSwish(2)"
    assert layer.config() == {"channels": 2}
    assert layer.output_shape((2, 5, 5)) == (2, 5, 5)  # said nothing, so shapes stay
    model = Sequential({"own": layer}).freeze("own.beta")
    y, cache = model.forward(np.ones((1, 2, 3, 3), np.float32), Context())
    assert model.backward(y, cache)[1] == {}
    assert model.summary((2, 3, 3)).rows[0].frozen == 2
    assert model.unfreeze("*").astype(np.float64).dtype == np.float64
    assert Sequential(layer, Linear(3, 3)).dtype == np.float64
