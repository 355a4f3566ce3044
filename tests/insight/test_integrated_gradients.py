"""The shares add up to the difference of the scores, the better the more steps are taken; linear models are exact."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import integrated_gradients, saliency
from cnn_from_scratch.layers import Flatten, Layer, Linear, Sequential, Softplus


class Cube(Layer):
    """y = x^3"""

    def forward(self, x, ctx):
        return x**3, x

    def backward(self, dy, cache, *, need_dx=True):
        return 3 * cache**2 * dy, {}


def summed(weights):
    """score = <weights, x>"""
    model = Linear(len(weights), 1, bias=False).astype(np.float64)
    model.params["weight"] = np.array([weights], np.float64)
    return model


def test_a_linear_model_is_exact_and_equals_gradient_times_input():
    model = Sequential(Flatten(), Linear(64, 10, rng=0)).astype(np.float64)
    x, target = images(3).astype(np.float64), np.array([0, 4, 9])
    start = np.random.default_rng(1).standard_normal((1, 8, 8))
    for steps, rule in ((1, "midpoint"), (1, "gauss-legendre"), (7, "midpoint"), (7, "gauss-legendre")):
        for baseline in (0.0, start):
            found = integrated_gradients(model, x, target, baseline=baseline, steps=steps, rule=rule)
            np.testing.assert_allclose(found.attribution, saliency(model, x, target) * (x - baseline), rtol=1e-12)
            np.testing.assert_allclose(found.gap, 0, atol=1e-12)


def test_rules_by_hand():
    """score = x0^3 + x1^3 from 0 to (2, 1): the gradient along the way is 3 t^2 (4, 1), its integral (4, 1)."""
    model = Sequential(Cube(), summed([1, 1]))
    x = np.array([[2.0, 1.0]])
    exact = integrated_gradients(model, x, steps=2)  # degree 2 <= 2 * 2 - 1
    np.testing.assert_allclose(exact.attribution, [[8, 1]], rtol=1e-14)
    np.testing.assert_allclose(exact.gap, 0, atol=1e-14)
    # midpoint, 2 steps: 3 * mean(1/16, 9/16) = 15/16 of it
    halves = integrated_gradients(model, x, steps=2, rule="midpoint")
    np.testing.assert_allclose(halves.attribution, [[7.5, 15 / 16]], rtol=1e-14)
    np.testing.assert_allclose(halves.gap, [9 * 15 / 16 - 9], rtol=1e-14)


def test_the_gap_is_what_the_sum_misses():
    model, x = network().astype(np.float64), images(4).astype(np.float64)
    found = integrated_gradients(model, x, 3, steps=5, baseline=0.5)
    difference = (model.predict(x) - model.predict(np.full_like(x, 0.5)))[:, 3]
    np.testing.assert_allclose(found.attribution.sum((1, 2, 3)) - found.gap, difference, rtol=1e-12)


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre"])
def test_completeness_comes_with_the_steps(rule):
    model, x = network().astype(np.float64), images(8).astype(np.float64)
    gaps = [np.abs(integrated_gradients(model, x, steps=s, rule=rule, baseline=0.0).gap).max() for s in (4, 32, 256)]
    sizes = np.abs(integrated_gradients(model, x, steps=4, baseline=0.0).attribution).sum((1, 2, 3)).max()
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    assert gaps[2] < 1e-3 * sizes


def test_smooth_networks_converge_fast():
    model = Sequential(Flatten(), Linear(64, 8, rng=0), Softplus(), Linear(8, 2, rng=1)).astype(np.float64)
    gap = integrated_gradients(model, images(3).astype(np.float64), steps=8).gap
    np.testing.assert_allclose(gap, 0, atol=1e-9)


def test_the_baseline_is_the_darkest_colour_of_each_image_and_channel():
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 4))
    x[1] += 5
    model = Sequential(Flatten(), Linear(32, 4, rng=0)).astype(np.float64)
    darkest = x.min((2, 3), keepdims=True)
    found = integrated_gradients(model, x, 1)
    np.testing.assert_array_equal(found.attribution, integrated_gradients(model, x, 1, baseline=darkest).attribution)
    assert ((found.attribution == 0) >= (x == darkest)).all()  # and what is as dark has no share
    flat = Linear(4, 2, rng=0).astype(np.float64)
    for_numbers = integrated_gradients(flat, x[:, 0, 0], 1).attribution
    np.testing.assert_allclose(for_numbers, x[:, 0, 0] * flat.params["weight"][1], rtol=1e-12)


def test_the_class_is_that_of_x_and_not_of_the_way():
    model = Linear(2, 2, bias=False)  # scores x0 and x1
    model.params["weight"] = np.eye(2, dtype=np.float32)
    found = integrated_gradients(model, np.array([[1.0, 2.0]], np.float32), baseline=np.array([9.0, 0.0]), steps=4)
    np.testing.assert_allclose(found.attribution, [[0, 2]])


def test_batches_memory_and_dtype():
    model, x = network(), images(3)
    x.flags.writeable = False
    a, b = (integrated_gradients(model, x, steps=9, batch_size=size) for size in (100, 2))
    np.testing.assert_allclose(a.attribution, b.attribution, rtol=1e-4, atol=1e-6)
    assert {array.dtype for array in (*a, *b)} == {np.dtype(np.float32)}
    assert a.attribution.flags.c_contiguous
    empty = integrated_gradients(model, images(0))
    assert empty.attribution.shape == (0, 1, 8, 8)
    assert empty.gap.shape == (0,)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "integrated_gradients: steps must be an int >= 1, got 0"),
        (
            {"rule": "simpson"},
            ValueError,
            "integrated_gradients: rule must be 'gauss-legendre' or 'midpoint', got 'simpson'",
        ),
        (
            {"baseline": np.zeros((8, 9))},
            ShapeError,
            "integrated_gradients: baseline (8, 9) does not broadcast to x (2, 1, 8, 8)",
        ),
        (
            {"baseline": "black"},
            TypeError,
            "integrated_gradients: baseline must be a number, an array or None, got 'black'",
        ),
        ({"target": 10}, ValueError, "integrated_gradients: target must be in 0..9, got 10"),
        ({"batch_size": 0}, ValueError, "integrated_gradients: batch_size must be an int >= 1, got 0"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error) as caught:
        integrated_gradients(network(), images(2), **options)
    assert str(caught.value) == message
