"""Gradients by the input are finite differences; they are found layer by layer, and nothing is changed."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch import ops
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import feature_maps, input_gradient, saliency
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)


def everything(seed=0):
    """A network for (2, 8, 8) with branches, normalization, a kink and a pool."""
    inner = Sequential(Conv2d(4, 4, 3, padding=1), BatchNorm2d(4), ReLU())
    model = Sequential(
        {
            "stem": Conv2d(2, 4, 3, padding=1),
            "block": Residual(inner),
            "pool": MaxPool2d(2),
            "wide": Concat(Conv2d(4, 3, 1), Sequential(Conv2d(4, 2, 3, padding=1), Tanh())),
            "mean": GlobalAvgPool2d(),
            "flat": Flatten(),
            "fc": Linear(5, 3),
        }
    ).initialize(seed)
    rng = np.random.default_rng(seed)
    for key, buffer in model.buffers.items():
        if buffer.dtype.kind == "f":
            model.buffers[key] = rng.uniform(0.5, 2, buffer.shape).astype(np.float32)
    return model


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def state(model):
    """Everything that a model is, as bytes."""
    arrays = {**model.params, **model.buffers}
    return {key: value.tobytes() for key, value in arrays.items()}, model.frozen, repr(model)


def test_finite_differences():
    model = everything().astype(np.float64)
    x = np.random.default_rng(1).standard_normal((3, 2, 8, 8))
    target = np.array([2, 0, 1])
    dx = input_gradient(model, x, target).dx
    h = 1e-6
    for n, c, i, j in [(0, 0, 0, 0), (0, 1, 3, 4), (1, 0, 7, 7), (1, 1, 2, 5), (2, 0, 4, 1), (2, 1, 6, 6)]:
        up, down = x.copy(), x.copy()
        up[n, c, i, j] += h
        down[n, c, i, j] -= h
        slope = (model.predict(up)[n, target[n]] - model.predict(down)[n, target[n]]) / (2 * h)
        np.testing.assert_allclose(dx[n, c, i, j], slope, rtol=1e-6, atol=1e-9)


def test_saliency_is_that_gradient():
    model, x = everything(), images(5, 2)
    np.testing.assert_array_equal(saliency(model, x, 1), input_gradient(model, x, 1).dx)


@pytest.mark.parametrize("key", ["stem", "block.body.2", "block.body", "block", "pool", "wide.1", "wide", "fc"])
def test_the_gradient_by_a_layer_moves_the_score(key):
    """score(output + h * v) - score(output) = h * <doutput, v>: the layer's output is moved by a layer behind it."""
    model, x = everything().astype(np.float64), images(2, 2).astype(np.float64)
    found = input_gradient(model, x, 1, key=key)
    np.testing.assert_array_equal(found.output, feature_maps(model, x)[key])
    direction = np.random.default_rng(2).standard_normal(found.output.shape)
    scores = [_with_output_moved(model, x, key, h * direction)[:, 1] for h in (1e-6, -1e-6)]
    slopes = (scores[0] - scores[1]) / 2e-6
    expected = (found.doutput * direction).reshape(2, -1).sum(1)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-9)


def _with_output_moved(model, x, key, shift):
    """The model's output where `shift` is added to what one layer gives: the layer is wrapped, on the object itself."""
    *path, name = key.split(".")
    layer = model
    for step in (*path, name):
        layer = layer.children[step]
    forward = layer.forward
    layer.forward = lambda x, ctx: (lambda y, cache: (y + shift, cache))(*forward(x, ctx))
    try:
        return model.forward(x, Context())[0]
    finally:
        del layer.forward


def test_another_score_than_a_logit():
    """The loss by the pixels: <dx, v> is the slope of the loss along v."""
    model, x, y = everything().astype(np.float64), images(4, 2).astype(np.float64), np.array([0, 1, 2, 2])

    def loss(x):
        return ops.cross_entropy_forward(model.predict(x), y, reduction="sum")

    def dlogits(logits):
        return ops.cross_entropy_backward(ops.cross_entropy_forward(logits, y, reduction="sum")[1])

    dx = input_gradient(model, x, dlogits=dlogits).dx
    direction = np.random.default_rng(0).standard_normal(x.shape)
    slope = (loss(x + 1e-6 * direction)[0] - loss(x - 1e-6 * direction)[0]) / 2e-6
    np.testing.assert_allclose((dx * direction).sum(), slope, rtol=1e-6)


def test_targets():
    model, x = network(), images(6)
    predicted = model.predict(x).argmax(1)
    expected = input_gradient(model, x, predicted).dx
    np.testing.assert_array_equal(input_gradient(model, x).dx, expected)
    np.testing.assert_array_equal(input_gradient(model, x, predicted.tolist()).dx, expected)
    np.testing.assert_array_equal(input_gradient(model, x, predicted.astype(np.uint8)).dx, expected)
    np.testing.assert_array_equal(input_gradient(model, x, 3).dx, input_gradient(model, x, [3] * 6).dx)
    np.testing.assert_array_equal(input_gradient(model, x, np.int64(3)).dx, input_gradient(model, x, 3).dx)


def test_batches_change_nothing():
    model, x = network().astype(np.float64), images(7).astype(np.float64)
    whole, parts = (input_gradient(model, x, np.arange(7), key="3", batch_size=size) for size in (7, 3))
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
        assert a.flags.c_contiguous
        assert b.flags.c_contiguous


def test_no_example():
    found = input_gradient(network(), images(0), key="3")
    assert [a.shape for a in found] == [(0, 10), (0, 1, 8, 8), (0, 4, 2, 2), (0, 4, 2, 2)]


def test_a_model_of_one_layer():
    model = Linear(2, 3, rng=0)
    found = input_gradient(model, np.ones((1, 2), np.float32), 2, key="")
    np.testing.assert_array_equal(found.dx, model.params["weight"][2:])
    np.testing.assert_array_equal(found.doutput, [[0, 0, 1]])


def test_nothing_is_changed_and_float32_stays():
    model, x = everything().freeze("stem.*"), read_only(images(3, 2))
    before = state(model)
    found = input_gradient(model, x, key="block")
    assert state(model) == before
    assert all(array.dtype == np.float32 for array in found)
    assert saliency(model, x.astype(">f4")).dtype == np.float32


X = images(2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: input_gradient(network(), X.astype(np.uint8)),
            TypeError,
            "input_gradient: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
        (
            lambda: saliency(Conv2d(1, 2, 3, rng=0), X),
            ShapeError,
            "saliency: the model must give one score for each class, (N, K), but gives (N, 2, 6, 6)",
        ),
        (
            lambda: saliency(network(), X, 1.0),
            TypeError,
            "saliency: target must be an int, (N,) ints or None, got 1.0",
        ),
        (
            lambda: saliency(network(), X, True),
            TypeError,
            "saliency: target must be an int, (N,) ints or None, got True",
        ),
        (
            lambda: saliency(network(), X, [1, 2, 3]),
            ShapeError,
            "saliency: target must be one class or one for each of N=2 examples, got shape (3,)",
        ),
        (lambda: saliency(network(), X, [0, 10]), ValueError, "saliency: target must be in 0..9, got 10"),
        (lambda: saliency(network(), X, -1), ValueError, "saliency: target must be in 0..9, got -1"),
        (
            lambda: input_gradient(network(), X, 1, dlogits=np.ones_like),
            ValueError,
            "input_gradient: give target or dlogits, not both",
        ),
        (
            lambda: input_gradient(network(), X, dlogits=lambda logits: logits[:, 0]),
            ShapeError,
            "input_gradient: dlogits(logits) must have shape (2, 10), got (2,)",
        ),
        (
            lambda: input_gradient(network(), X, key="conv"),
            ValueError,
            "input_gradient: no layer has the key 'conv'; those of this model: 0, 1, 2, 3, 4, 5, 6",
        ),
        (
            lambda: input_gradient(network(), X, batch_size=0),
            ValueError,
            "input_gradient: batch_size must be an int >= 1, got 0",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
