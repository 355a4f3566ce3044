"""A sum and its ReLU in one: by hand, against the two steps one after the other, by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from ladder import assert_gradients_match, assert_recycles, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import add_relu_backward, add_relu_forward, is_hwnc, relu_backward, relu_forward, to_hwnc


def test_by_hand():
    # 1 + 2 = 3; -3 + 2 < 0; -2 + 2 = 0, where the gradient is 0
    y, cache = add_relu_forward(np.array([1.0, -3.0, -2.0]), np.array([2.0, 2.0, 2.0]))
    np.testing.assert_array_equal(y, [3, 0, 0])
    np.testing.assert_array_equal(add_relu_backward(np.array([5.0, np.inf, 7.0]), cache), [5, 0, 0])


@settings(max_examples=60, deadline=None)
@given(array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4), st.integers(0, 2**16))
def test_any_shape_equals_the_two_steps(shape, seed):
    rng = np.random.default_rng(seed)
    a, b, dy = frozen(*(np.asarray(rng.standard_normal(shape)) for _ in range(3)))
    expected, cache = relu_forward(np.asarray(a + b))
    y, own = add_relu_forward(a, b)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(add_relu_backward(dy, own), relu_backward(dy, cache))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_of_several_pieces_in_any_order(dtype):
    rng = np.random.default_rng(0)
    a, b, dy = (rng.standard_normal((3, 5, 151, 160)).astype(dtype) for _ in range(3))
    for first in (np.asarray, to_hwnc):
        for second in (np.asarray, to_hwnc):
            y, cache = add_relu_forward(first(a), second(b))
            dx = add_relu_backward(second(dy), cache)
            np.testing.assert_array_equal(y, np.maximum(a + b, 0))
            np.testing.assert_array_equal(dx, dy * (a + b > 0))
            assert is_hwnc(y) == is_hwnc(dx) == (first is to_hwnc)
            assert y.dtype == dx.dtype == dtype


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 3, 4, 6)), rng.standard_normal((2, 3, 4, 6))
    for label, xs in layouts(a):
        for _, others in layouts(b):
            y, cache = add_relu_forward(xs, others)
            np.testing.assert_array_equal(y, np.maximum(a + b, 0), err_msg=label)
            np.testing.assert_array_equal(add_relu_backward(others, cache), b * (a + b > 0), err_msg=label)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    inputs = {"a": rng.standard_normal((3, 4, 5)), "b": rng.standard_normal((3, 4, 5))}
    dy = rng.standard_normal((3, 4, 5))
    d = add_relu_backward(dy, add_relu_forward(**inputs)[1])
    assert_gradients_match(lambda **v: add_relu_forward(**v)[0], inputs, {"a": d, "b": d}, dy)


def test_memory_is_recycled():
    x = to_hwnc(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))

    def run():
        y, cache = add_relu_forward(x, x)
        add_relu_backward(y, cache)

    assert_recycles(run, x.nbytes / 8)


X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: add_relu_forward(X, X[0]), ShapeError, "add_relu_forward: b must have shape (2, 3), got (3,)"),
        (
            lambda: add_relu_backward(X.T, add_relu_forward(X, X)[1]),
            ShapeError,
            "add_relu_backward: dy must have shape (2, 3), got (3, 2)",
        ),
        (
            lambda: add_relu_forward(X, X.astype(np.float32)),
            TypeError,
            "add_relu_forward: arguments have different dtypes (a float64, b float32); convert them to one",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
