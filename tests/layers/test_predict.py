"""Prediction: any batch size, any number of shards, one answer."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, ReLU, Sequential
from cnn_from_scratch.layers.predict import predict

MODEL = Sequential(Conv2d(2, 4, 3), BatchNorm2d(4), ReLU(), Dropout(), Flatten(), Linear(36, 5)).initialize(0)
X = np.random.default_rng(0).standard_normal((70, 2, 5, 5)).astype(np.float32)


@pytest.mark.parametrize("shards", [None, 1, 2, 3, 80])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_shards_and_batches_change_nothing(shards, batch_size):
    expected = predict(MODEL, X, shards=1, batch_size=1000)
    found = predict(MODEL, X, batch_size=batch_size, shards=shards)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.shape == (70, 5)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous


def test_images_come_out_contiguous():
    y = Sequential(Conv2d(2, 4, 3)).predict(X)
    assert y.shape == (70, 4, 3, 3)
    assert y.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.dtype(">f4")])
def test_any_float_is_cast_to_the_model(dtype):
    y = MODEL.predict(X.astype(dtype))
    assert y.dtype == np.dtype(np.float32)
    np.testing.assert_allclose(y, MODEL.predict(X), atol=2e-2)


def test_nothing_is_written():
    before = {key: array.copy() for key, array in (MODEL.params | MODEL.buffers).items()}
    frozen = X.copy()
    frozen.flags.writeable = False
    MODEL.predict(frozen)
    np.testing.assert_equal(MODEL.params | MODEL.buffers, before)


def test_none_in_none_out():
    assert MODEL.predict(X[:0]).shape == (0, 5)


class Failing(Layer):
    def forward(self, x, ctx):
        raise ZeroDivisionError("in a shard")


def test_an_error_in_a_shard_comes_out():
    with pytest.raises(ZeroDivisionError, match="in a shard"):
        Sequential(Failing()).predict(X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: MODEL.predict((X[:2] * 255).astype(np.uint8)),
            TypeError,
            "predict: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
        (lambda: MODEL.predict(X.tolist()), TypeError, "predict: x must be a NumPy array, got list"),
        (
            lambda: Linear(3, 2).predict(np.ones(3)),
            ShapeError,
            "predict: x must be a batch with at least 2 axes, got shape (3,)",
        ),
        (
            lambda: MODEL.predict(X[:, :1]),
            ShapeError,
            "layer '0' = Conv2d(2, 4, 3) does not take (1, 5, 5): Conv2d: expects 2 channels, got 1",
        ),
        (lambda: MODEL.predict(X, batch_size=0), ValueError, "predict: batch_size must be an int >= 1, got 0"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
