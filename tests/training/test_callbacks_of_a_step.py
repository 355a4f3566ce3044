"""What callbacks are told of a step: its batch, and the error of one whose numbers are no longer finite."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.errors import NotFiniteError
from cnn_from_scratch.layers import Linear, Sequential
from cnn_from_scratch.ops import mse_backward, mse_forward
from cnn_from_scratch.optim import SGD
from cnn_from_scratch.training import Callback, fit


class Ear(Callback):
    def __init__(self):
        self.heard, self.x, self.y = [], [], []

    def on_train_begin(self, progress):
        assert progress.batch is None
        self.heard.append("begin")

    def on_step_end(self, progress, result):
        assert progress.batch.step == progress.step
        assert len(progress.batch.x) == result.examples
        self.x.append(progress.batch.x)
        self.y.append(progress.batch.y)

    def on_not_finite(self, progress, error):
        self.heard.append((progress.epoch, progress.step, error))

    def on_train_end(self, progress):
        self.heard.append("end")


def test_the_batch_of_a_step():
    x, y = np.arange(10, dtype=np.float32).reshape(5, 2), np.array([0, 1, 0, 1, 1])
    ear = Ear()
    model = Sequential(Linear(2, 2, rng=0))
    fit(model, (x, y), epochs=1, batch_size=2, shuffle=False, callbacks=[ear], progress=False, shards=1)
    np.testing.assert_array_equal(np.concatenate(ear.x), x)
    np.testing.assert_array_equal(np.concatenate(ear.y), y)


def blow_up(cache, dloss=1.0):
    return np.full_like(mse_backward(cache, dloss), np.inf)


@pytest.mark.parametrize(
    ("value", "lr", "loss", "key", "step"),
    [
        (np.nan, 0.1, "mse", "0", 0),
        (1.0, 0.1, (mse_forward, blow_up), "0.weight", 0),
        (1.0, 1e40, "mse", "0", 1),
    ],
    ids=["in the data", "in a gradient", "in the weights"],
)
def test_a_step_that_is_not_finite(value, lr, loss, key, step):
    x, y = np.full((8, 2), value, np.float32), np.zeros((8, 2), np.float32)
    ear = Ear()
    model = Sequential(Linear(2, 2, bias=False, rng=0))
    options = {"epochs": 1, "batch_size": 4, "loss": loss, "optimizer": SGD(lr=lr), "progress": False, "shards": 1}
    with pytest.raises(NotFiniteError) as caught:
        fit(model, (x, y), callbacks=[ear], **options)
    begin, (epoch, at, error), end = ear.heard
    assert (begin, end, error) == ("begin", "end", caught.value)
    assert (epoch, at, error.key) == (1, step, key)
