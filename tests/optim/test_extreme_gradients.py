"""Optimizers and clipping with gradients of every size: no NaN, no warning, and a step as long as float64 takes it."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.optim import SGD, Adam, AdamW, RMSprop, clip_grad_norm, clip_grad_value

OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, 0.9, nesterov=True),
    "Adam": Adam,
    "amsgrad": lambda: Adam(amsgrad=True),
    "AdamW": AdamW,
    "RMSprop": RMSprop,
    "centered": lambda: RMSprop(centered=True, momentum=0.9),
}
SQUARES = [name for name in OPTIMIZERS if name not in ("SGD", "momentum")]


def steps(name, size, dtype=np.float32, count=4):
    """A parameter that starts at 1, after so many steps with gradients of this size."""
    optimizer, params = OPTIMIZERS[name](), {"weight": np.ones(3, dtype)}
    grad = np.array([size, -size, 0], dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # as in `fit`
        for n in range(count):
            optimizer.step(params, {"weight": grad if n % 2 else 0.5 * grad})
    return params["weight"]


@pytest.mark.parametrize("size", [0, 1e-45, 1e-38, 1e-30, 1e-23, 1e-19, 1e-10, 1e-4, 1.0, 1e10, 1e18])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_float64(name, size):
    """Squares below the range of float32 are 0 there; eps, which is far above their roots, makes it all the same."""
    found, wide = steps(name, size), steps(name, size, np.float64)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wide, rtol=2e-5 if name != "centered" else 0.1, atol=1e-6)


@pytest.mark.parametrize("size", [1e20, 1e30, 1e38])
@pytest.mark.parametrize("name", SQUARES)
def test_where_the_square_of_a_gradient_is_beyond_float32_its_number_stands_still(name, size):
    """As the docstrings say; and nothing becomes NaN."""
    found = steps(name, size)
    decayed = (1 - 1e-3 * 1e-2) ** 4 if name == "AdamW" else 1.0
    np.testing.assert_allclose(found, decayed, rtol=1e-6)


@pytest.mark.parametrize("name", SQUARES)
def test_clipping_keeps_gradients_from_coming_to_that(name):
    optimizer, params = OPTIMIZERS[name](), {"weight": np.ones(3, np.float32)}
    norm, grads = clip_grad_norm({"weight": np.array([1e30, -1e30, 0], np.float32)}, 1.0)
    optimizer.step(params, grads)
    assert norm == pytest.approx(2**0.5 * 1e30, rel=1e-6)
    assert params["weight"][0] < 1 < params["weight"][1]
    assert np.isfinite(params["weight"]).all()


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 1e38), (np.float32, 1e-40), (np.float64, 1e200), (np.float64, 1e-200), (np.float64, 1e307)],
)
def test_the_norm_is_right_where_squares_are_beyond_the_range(dtype, size):
    grads = {"a": np.full(3, size, dtype), "b": np.full((2, 3), -size, dtype), "none": np.zeros((0, 2), dtype)}
    size = float(grads["a"][0])
    norm, clipped = clip_grad_norm(grads, 0.5)
    assert norm == pytest.approx(3 * size, rel=1e-6)
    expected = min(size, 0.5 / 3)
    np.testing.assert_allclose(clipped["a"], expected, rtol=1e-5)
    np.testing.assert_allclose(clipped["b"], -expected, rtol=1e-5)


def test_nothing_to_clip_has_norm_zero():
    assert clip_grad_norm({"a": np.zeros(3, np.float32)}, 0.0)[0] == 0.0
    assert clip_grad_norm({}, 1.0) == (0.0, {})


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_norm_of_what_is_not_finite_is_not(bad):
    norm, _ = clip_grad_norm({"a": np.array([1.0, bad], np.float32)}, 1.0)
    np.testing.assert_equal(norm, bad)


def test_values_are_clipped_at_every_size():
    grad = np.array([1e38, -1e38, 1e-45, np.inf, -np.inf], np.float32)
    found = clip_grad_value({"a": grad}, 2.0)["a"]
    np.testing.assert_array_equal(found, np.array([2, -2, 1e-45, 2, -2], np.float32))
