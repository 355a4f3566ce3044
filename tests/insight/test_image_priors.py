"""Penalties for what no image has: their values by hand, their gradients by finite differences; the blur by its sum."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import alpha_norm, gaussian_blur, total_variation

PENALTIES = [
    pytest.param(lambda x, k=k: total_variation(x, beta=k), id=f"total variation, beta {k}")
    for k in (0.5, 1.0, 2.0, 3.0)
] + [pytest.param(lambda x, k=k: alpha_norm(x, alpha=k), id=f"alpha norm, alpha {k}") for k in (1.0, 1.5, 2.0, 6.0)]


def some_images(shape, dtype=np.float64):
    """None of the pixels is near 0, where the alpha-norm of 1 has a kink."""
    rng = np.random.default_rng(0)
    x = (rng.uniform(0.1, 1, shape) * rng.choice([-1, 1], shape)).astype(dtype)
    x.setflags(write=False)
    return x


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5), (1, 1, 1, 6), (3, 2, 5, 1)])
def test_gradients_are_those_of_finite_differences(penalty, shape):
    x, step = some_images(shape), 1e-5
    value, gradient = penalty(x)
    assert value.shape == shape[:1]
    assert gradient.shape == shape
    for place in np.ndindex(*shape):
        change = np.zeros(shape)
        change[place] = step
        slope = (penalty(x + change)[0] - penalty(x - change)[0]) / (2 * step)
        np.testing.assert_allclose(slope, np.where(np.arange(shape[0]) == place[0], gradient[place], 0), atol=1e-7)


def test_total_variation_is_the_sum_over_neighbours():
    x = some_images((2, 2, 3, 4))
    value, _ = total_variation(x, beta=2.0)
    across, down = np.diff(x, axis=3) ** 2, np.diff(x, axis=2) ** 2
    np.testing.assert_allclose(value, across.sum((1, 2, 3)) + down.sum((1, 2, 3)))


def test_one_edge_costs_its_height_times_its_length():
    x = np.zeros((1, 1, 6, 6))
    x[..., 3:] = 10  # in each of 6 rows, once sqrt(10^2 + 1e-4) - sqrt(1e-4)
    np.testing.assert_allclose(total_variation(x)[0], [6 * (10 - 0.01)], rtol=1e-6)


def test_an_image_of_one_colour_costs_nothing_and_is_left_alone():
    value, gradient = total_variation(np.full((1, 3, 4, 4), 7.0))
    assert value[0] == 0
    assert not gradient.any()


def test_the_blur_is_a_sum_over_neighbours():
    x, sigma = some_images((1, 2, 5, 4)), 0.8
    bell = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    bell /= bell.sum()
    expected = np.zeros(x.shape)
    for c, h, w in np.ndindex(*x.shape[1:]):
        for i, a in enumerate(bell, -3):
            for j, b in enumerate(bell, -3):
                expected[0, c, h, w] += a * b * x[0, c, np.clip(h + i, 0, 4), np.clip(w + j, 0, 3)]
    np.testing.assert_allclose(gaussian_blur(x, sigma), expected)


def test_the_blur_changes_no_image_of_one_colour_and_by_0_none():
    x = some_images((2, 1, 4, 4))
    np.testing.assert_array_equal(gaussian_blur(x, 0), x)
    assert gaussian_blur(x, 0) is not x
    np.testing.assert_allclose(gaussian_blur(np.full((1, 1, 3, 3), 0.3), 5.0), 0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay_and_batches_may_be_empty(dtype):
    for x in (some_images((2, 1, 3, 3), dtype), np.zeros((0, 1, 3, 3), dtype)):
        for arrays in (total_variation(x), alpha_norm(x), (gaussian_blur(x, 1.0),)):
            assert {array.dtype for array in arrays} == {np.dtype(dtype)}
            assert {len(array) for array in arrays} == {len(x)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: total_variation(x[0]),
            ShapeError,
            "total_variation: x must have 4 axes (N, C, H, W), got shape (1, 2, 2)",
        ),
        (lambda x: total_variation(x, beta=0), ValueError, "total_variation: beta must be above 0, got 0"),
        (lambda x: alpha_norm(x, alpha=0.5), ValueError, "alpha_norm: alpha must be a finite number >= 1, got 0.5"),
        (lambda x: gaussian_blur(x, -1), ValueError, "gaussian_blur: sigma must be a finite number >= 0, got -1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call(np.zeros((1, 1, 2, 2)))
    assert str(caught.value) == message
