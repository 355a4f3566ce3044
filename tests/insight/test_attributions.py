"""What every attribution promises: the model stays as it is, x is read only, and memory is a detail."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import layouts

from cnn_from_scratch.insight import (
    gradcam,
    guided_backpropagation,
    guided_gradcam,
    input_gradient,
    integrated_gradients,
    model_randomization,
    occlusion,
    saliency,
    smoothgrad,
)
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential

METHODS = {
    "saliency": saliency,
    "guided_backpropagation": guided_backpropagation,
    "integrated_gradients": lambda model, x, target=None: integrated_gradients(model, x, target, steps=6).attribution,
    "smoothgrad": lambda model, x, target=None: smoothgrad(model, x, target, samples=6),
    "occlusion": occlusion,
    "gradcam": gradcam,
    "guided_gradcam": guided_gradcam,
    "input_gradient": lambda model, x, target=None: input_gradient(model, x, target, key="block").doutput,
}
methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def network():
    """Everything with a state: batch norm in evaluation, dropout, frozen parameters, a block."""
    block = Residual(Sequential(Conv2d(4, 4, 3, padding=1), BatchNorm2d(4), ReLU()))
    return (
        Sequential(
            {"conv": Conv2d(2, 4, 3, padding=1), "relu": ReLU(), "block": block, "pool": MaxPool2d(2),
             "flat": Flatten(), "drop": Dropout(0.5), "fc": Linear(48, 3)}
        )
        .initialize(0)
        .freeze("conv.*")
    )  # fmt: skip


def batch():
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 8)).astype(np.float32)
    x.flags.writeable = False
    return x


def state(model):
    arrays = {**model.params, **model.buffers}
    return {key: (id(value), value.tobytes()) for key, value in arrays.items()}, model.frozen, repr(model)


@methods
def test_the_model_stays_and_x_is_only_read(method):
    model, x = network(), batch()
    before = state(model)
    found = method(model, x, np.array([2, 0, 1]))
    assert state(model) == before
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.isfinite(found).all()
    assert not np.shares_memory(found, x)


def test_randomization_stays_with_its_copy():
    model, x = network(), batch()
    before = state(model)
    model_randomization(model, x, methods=["saliency"])
    assert state(model) == before


@methods
def test_memory_is_a_detail(method):
    model, x = network(), batch()
    expected = method(model, x, 1)
    for name, other in layouts(x):
        np.testing.assert_allclose(method(model, other, 1), expected, rtol=1e-3, atol=2e-6, err_msg=name)


@methods
def test_no_example_and_one(method):
    model, x = network(), batch()
    assert len(method(model, x[:0])) == 0
    np.testing.assert_allclose(method(model, x[:1], 1), method(model, x, 1)[:1], rtol=1e-3, atol=2e-6)


@methods
def test_float64_models(method):
    x = batch()
    wide = method(network().astype(np.float64), x.astype(np.float64), 1)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(method(network(), x, 1), wide, rtol=2e-2, atol=1e-4)
