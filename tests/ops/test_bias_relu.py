"""Bias and ReLU in one: by hand, against the two operations one after the other, by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, assert_recycles, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    bias_relu_backward,
    bias_relu_forward,
    is_hwnc,
    max_pool_forward,
    relu_backward,
    relu_forward,
    to_hwnc,
)


def one_after_the_other(x, bias, dy):
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    y, cache = relu_forward(x + bias.reshape(-1, *(1,) * (x.ndim - 2)))
    dx = relu_backward(dy, cache)
    return y, dx, dx.sum(axes)


def test_by_hand():
    # 1 + 3 = 4 and -4 + 3 < 0 in channel 0; 2 - 3 < 0 and 3 - 3 = 0, where the gradient is 0, in channel 1
    y, cache = bias_relu_forward(np.array([[1.0, 2.0], [-4.0, 3.0]]), np.array([3.0, -3.0]))
    np.testing.assert_array_equal(y, [[4, 0], [0, 0]])
    dx, dbias = bias_relu_backward(np.array([[5.0, 6.0], [7.0, 8.0]]), cache)
    np.testing.assert_array_equal(dx, [[5, 0], [0, 0]])
    np.testing.assert_array_equal(dbias, [5, 0])


shapes = st.one_of(
    st.tuples(st.integers(0, 4), st.integers(0, 5)),
    st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
)


@settings(max_examples=100, deadline=None)
@given(shapes, st.integers(0, 2**16))
def test_any_shape_equals_the_two_operations(shape, seed):
    rng = np.random.default_rng(seed)
    x, bias, dy = frozen(*(rng.standard_normal(s) for s in (shape, shape[1], shape)))
    expected = one_after_the_other(x, bias, dy)
    for order in (np.asarray, to_hwnc) if len(shape) == 4 else (np.asarray,):
        y, cache = bias_relu_forward(order(x), bias)
        y.flags.writeable = False
        np.testing.assert_array_equal(y, expected[0])
        dx, dbias = bias_relu_backward(order(dy), cache)
        np.testing.assert_array_equal(dx, expected[1])
        np.testing.assert_allclose(dbias, expected[2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order", [np.asarray, to_hwnc])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_of_several_pieces(order, dtype):
    rng = np.random.default_rng(0)
    x, dy = (order(rng.standard_normal((3, 5, 151, 160)).astype(dtype)) for _ in range(2))
    bias = rng.standard_normal(5).astype(dtype)
    y, cache = bias_relu_forward(x, bias)
    dx, dbias = bias_relu_backward(dy, cache)
    expected = one_after_the_other(x, bias, dy)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(dx, expected[1])
    size = np.abs(expected[1]).sum((0, 2, 3), dtype=np.float64)  # rounding is relative to what was added up
    exact = expected[1].sum((0, 2, 3), dtype=np.float64)
    np.testing.assert_array_less(np.abs(dbias - exact), 4 * np.finfo(dtype).eps * size)
    assert y.dtype == dx.dtype == dbias.dtype == dtype


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((3, 4, 3, 3)), "bias": rng.standard_normal(4)}
    dy = rng.standard_normal((3, 4, 3, 3))
    gradients = dict(zip(inputs, bias_relu_backward(dy, bias_relu_forward(**inputs)[1]), strict=True))
    assert_gradients_match(lambda **v: bias_relu_forward(**v)[0], inputs, gradients, dy)


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    rng = np.random.default_rng(1)
    x, bias, dy = rng.standard_normal((2, 3, 4, 6)), rng.standard_normal(3), rng.standard_normal((2, 3, 4, 6))
    expected = one_after_the_other(x, bias, dy)
    for label, xs in layouts(x):
        for (_, dys), (_, biases) in zip(layouts(dy), [*layouts(bias), ("", bias)], strict=True):
            y, cache = bias_relu_forward(xs, biases)
            for actual, wanted in zip((y, *bias_relu_backward(dys, cache)), expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-14, err_msg=label)
                assert actual.dtype == np.dtype(np.float64)
            assert is_hwnc(y) == is_hwnc(xs)


def test_pooling_may_come_first():
    rng = np.random.default_rng(0)
    x, bias = to_hwnc(rng.standard_normal((2, 3, 6, 8))), rng.standard_normal(3)
    last, _ = max_pool_forward(bias_relu_forward(x, bias)[0], 2)
    first, _ = bias_relu_forward(max_pool_forward(x, 2)[0], bias)
    np.testing.assert_array_equal(first, last)


def test_infinite_gradients_stay_in_their_place_and_nan_passes():
    y, cache = bias_relu_forward(np.array([[-1.0], [np.nan], [2.0]]), np.array([0.0]))
    np.testing.assert_array_equal(y.ravel(), [0, np.nan, 2])
    dx, _ = bias_relu_backward(np.array([[np.inf], [3.0], [4.0]]), cache)
    np.testing.assert_array_equal(dx.ravel(), [0, 3, 4])


@pytest.mark.parametrize("order", [np.asarray, to_hwnc])
def test_memory_is_recycled(order):
    x = order(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))
    bias = np.zeros(16, np.float32)

    def run():
        y, cache = bias_relu_forward(x, bias)
        bias_relu_backward(y, cache)

    assert_recycles(run, x.nbytes / 4)


X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: bias_relu_forward(X[0], np.ones(3)),
            ShapeError,
            "bias_relu_forward: x must have shape (N, C, ...), got (3,)",
        ),
        (
            lambda: bias_relu_forward(X, np.ones(2)),
            ShapeError,
            "bias_relu_forward: bias must have shape (3,), got (2,)",
        ),
        (
            lambda: bias_relu_forward(X, np.ones(3, np.float32)),
            TypeError,
            "bias_relu_forward: arguments have different dtypes (x float64, bias float32); convert them to one",
        ),
        (
            lambda: bias_relu_backward(X.T, bias_relu_forward(X, np.ones(3))[1]),
            ShapeError,
            "bias_relu_backward: dy must have shape (2, 3), got (3, 2)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
