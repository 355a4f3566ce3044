"""Our operations against PyTorch's answers, from a file that is part of the repository (tests/vectors)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ladder import assert_forward, assert_gradient

from cnn_from_scratch import ops

with np.load(Path(__file__).parent / "vectors" / "torch_float64.npz", allow_pickle=False) as file:
    ARRAYS = {name: file[name] for name in file.files}
CASES = json.loads(ARRAYS.pop("meta").tobytes())["cases"]
LOSSES = ("cross_entropy", "mse", "l1", "huber", "binary_cross_entropy")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES, ids=[f"{c['key']}-{c['op']}" for c in CASES])
def test_pytorch_says_the_same(case, dtype):
    def array(name):
        found = ARRAYS[f"{case['key']}/{name}"]
        return found.astype(dtype) if found.dtype == np.float64 else found

    options = {k: tuple(v) if isinstance(v, list) else v for k, v in case["options"].items()}
    inputs = [None if name is None else array(name) for name in case["inputs"]]
    y, cache = getattr(ops, f"{case['op']}_forward")(*inputs, **options)
    assert y.dtype == dtype
    assert_forward(y, array("y"))
    backward = getattr(ops, f"{case['op']}_backward")
    if case["op"] in LOSSES:
        dy = array("dy")
        gradients = (backward(cache, dy if dy.ndim else dy.item()),)
    else:
        gradients = backward(array("dy"), cache)
        gradients = gradients if type(gradients) is tuple else (gradients,)
    for gradient, name in zip(gradients, case["gradients"], strict=False):
        assert gradient.dtype == dtype
        assert_gradient(gradient, array(name))


def test_every_kind_of_operation_is_there():
    assert len(CASES) >= 30
    assert {"conv", "conv_transpose", "max_pool", "batch_norm", "cross_entropy", "gelu"} <= {c["op"] for c in CASES}
