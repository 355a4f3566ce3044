"""SmoothGrad is the mean gradient of noisy copies; the noise depends on the seed and the place in the batch alone."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch.insight import saliency, smoothgrad
from cnn_from_scratch.layers import Flatten, Layer, Linear, Sequential
from cnn_from_scratch.randomness import derive


class Square(Layer):
    """y = x^2 / 2"""

    def forward(self, x, ctx):
        return x**2 / 2, x

    def backward(self, dy, cache, *, need_dx=True):
        return cache * dy, {}


def test_the_definition():
    model, x = network().astype(np.float64), images(2).astype(np.float64)
    target = np.array([3, 7])
    expected = np.zeros_like(x)
    for n in range(2):
        noise = derive(5, "smoothgrad", step=n).standard_normal((6, 1, 8, 8))
        for sample in noise:
            noisy = x[n] + 0.2 * (x[n].max() - x[n].min()) * sample
            expected[n] += saliency(model, noisy[None], int(target[n]))[0] / 6
    np.testing.assert_allclose(smoothgrad(model, x, target, samples=6, noise=0.2, seed=5), expected, rtol=1e-10)


def test_without_noise_it_is_the_gradient():
    model, x = network().astype(np.float64), images(3).astype(np.float64)
    np.testing.assert_allclose(smoothgrad(model, x, noise=0, samples=3), saliency(model, x), rtol=1e-12)


def test_of_a_linear_model_it_is_the_gradient():
    model = Sequential(Flatten(), Linear(64, 10, rng=0)).astype(np.float64)
    x = images(3).astype(np.float64)
    np.testing.assert_allclose(smoothgrad(model, x, 4, samples=4), saliency(model, x, 4), rtol=1e-12)


def test_the_mean_of_a_quadratic_is_its_gradient_within_four_standard_errors():
    """The gradient of sum(x^2) / 2 is x, that of a noisy copy x + e: their mean is x within noise / sqrt(samples)."""
    model = Sequential(Square(), Flatten(), Linear(64, 1, bias=False)).astype(np.float64)
    model.params["2.weight"].fill(1)
    x = images(1).astype(np.float64)
    error = (smoothgrad(model, x, samples=2500, noise=0.1) - x) / (0.1 * (x.max() - x.min()) / 50)
    assert 0.7 < error.std() < 1.3
    assert np.abs(error).max() < 4.5


def test_the_noise_is_repeatable():
    model, x = network(), images(4)
    x.flags.writeable = False
    all_four = smoothgrad(model, x, 2, samples=5, seed=1)
    np.testing.assert_array_equal(all_four, smoothgrad(model, x, 2, samples=5, seed=1))
    np.testing.assert_array_equal(all_four[:2], smoothgrad(model, x[:2], 2, samples=5, seed=1))
    np.testing.assert_allclose(all_four, smoothgrad(model, x, 2, samples=5, seed=1, batch_size=2), rtol=1e-4, atol=1e-6)
    assert not np.array_equal(all_four, smoothgrad(model, x, 2, samples=5, seed=2))
    twice = smoothgrad(model, x[[0, 0]], 2, samples=5)
    assert not np.array_equal(twice[0], twice[1])  # each place has noise of its own
    assert all_four.dtype == np.float32
    assert smoothgrad(model, images(0)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "smoothgrad: samples must be an int >= 1, got 0"),
        ({"noise": -0.1}, "smoothgrad: noise must be at least 0, got -0.1"),
        ({"noise": float("nan")}, "smoothgrad: noise must be at least 0, got nan"),
        ({"seed": -1}, "derive: seed must be an integer >= 0, got -1"),
        ({"target": 11}, "smoothgrad: target must be in 0..9, got 11"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match="must be") as caught:
        smoothgrad(network(), images(2), **options)
    assert str(caught.value) == message
