"""Softmax and log-softmax climb the ladder: by hand, by their definition, by finite differences, by PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from ladder import Case, assert_forward, assert_gradient, assert_gradients_match, conformance, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    is_hwnc,
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)

PAIRS = {"softmax": (softmax_forward, softmax_backward), "log_softmax": (log_softmax_forward, log_softmax_backward)}
both = pytest.mark.parametrize("name", PAIRS)


def test_softmax_by_hand():
    # exp(log 1), exp(log 3) are 1 and 3, and their sum is 4
    y, cache = softmax_forward(np.log([[1.0, 3.0]]))
    np.testing.assert_allclose(y, [[0.25, 0.75]], rtol=1e-15)
    # the mean of dy = (4, 0) under y is 1; dx = y * (dy - 1)
    np.testing.assert_allclose(softmax_backward(np.array([[4.0, 0.0]]), cache), [[0.75, -0.75]], rtol=1e-15)


def test_log_softmax_by_hand():
    y, cache = log_softmax_forward(np.log([[1.0, 3.0]]))
    np.testing.assert_allclose(y, np.log([[0.25, 0.75]]), rtol=1e-15)
    # dx = dy - y * sum(dy) = (4 - 1, 0 - 3)
    np.testing.assert_allclose(log_softmax_backward(np.array([[4.0, 0.0]]), cache), [[3, -3]], rtol=1e-15)


@both
@settings(max_examples=50, deadline=None)
@given(data=st.data(), shape=array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4), seed=st.integers(0, 2**16))
def test_any_axis_follows_the_definition(name, data, shape, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    assume(shape[axis] > 0)
    (x,) = frozen(np.random.default_rng(seed).normal(0, 3, shape))
    forward, backward = PAIRS[name]
    y, cache = forward(x, axis=axis)
    rows = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
    expected = [[math.exp(v) / sum(math.exp(u) for u in row) for v in row] for row in rows.tolist()]
    probabilities = np.exp(y) if name == "log_softmax" else y
    np.testing.assert_allclose(
        np.moveaxis(probabilities, axis, -1).reshape(rows.shape), np.reshape(expected, rows.shape)
    )
    dx = backward(y, cache)
    assert y.shape == dx.shape == x.shape
    np.testing.assert_allclose(dx.sum(axis), 0, atol=1e-12)  # a constant added to x changes nothing


@both
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_gradients_by_finite_differences(name, axis):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 4, 5)), rng.standard_normal((3, 4, 5))
    forward, backward = PAIRS[name]
    gradients = {"x": backward(dy, forward(x, axis=axis)[1])}
    assert_gradients_match(lambda x: forward(x, axis=axis)[0], {"x": x}, gradients, dy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("softmax_loss", "softmax", "log_softmax"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    forward, backward = PAIRS[case.op]
    y, cache = forward(case["x"], **case.attrs)
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(backward(case["dy"], cache), case["dx"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_scores(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [-np.inf, 0, 0]], dtype)
    third, log3 = dtype(1 / 3), dtype(-math.log(3))
    half, log2 = dtype(0.5), dtype(-math.log(2))
    np.testing.assert_array_equal(softmax_forward(x)[0], [[1, 0, 0], [third] * 3, [0, half, half]])
    y, cache = log_softmax_forward(x)
    np.testing.assert_allclose(y, [[0, -2e4, -1e4], [log3] * 3, [-np.inf, log2, log2]], rtol=1e-6)
    assert np.isfinite(log_softmax_backward(np.ones_like(x), cache)).all()


@both
def test_rows_without_an_answer_are_nan_and_stay_alone(name):
    x = np.array([[0.0, 0.0], [np.nan, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]])
    y, _ = PAIRS[name][0](x)
    np.testing.assert_array_equal(np.isnan(y).any(1), [False, True, True, True])


@pytest.mark.fault("odd-arrays")
@both
def test_any_layout_gives_the_same_result(name):
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    forward, backward = PAIRS[name]
    y, cache = forward(x, axis=1)
    expected = (y, backward(dy, cache))
    for (label, xs), (_, dys) in zip(layouts(x), layouts(dy), strict=True):
        for upstream in (dy, dys):
            y, cache = forward(xs, axis=1)
            for actual, wanted in zip((y, backward(upstream, cache)), expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-13, atol=1e-15, err_msg=label)
                assert actual.dtype == np.dtype(np.float64)
                assert is_hwnc(actual) == is_hwnc(xs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@both
def test_dtype_in_is_dtype_out(name, dtype):
    x = np.linspace(-2, 2, 12, dtype=dtype).reshape(3, 4)
    forward, backward = PAIRS[name]
    y, cache = forward(x)
    assert y.dtype == backward(x, cache).dtype == dtype


@both
def test_bad_input_is_named(name):
    forward, backward = PAIRS[name]
    x = np.ones((2, 3))
    for axis in (2, -3):
        with pytest.raises(ShapeError) as caught:
            forward(x, axis=axis)
        assert str(caught.value) == f"{name}_forward: axis must be in [-2, 2) for x (2, 3), got {axis}"
    with pytest.raises(TypeError) as caught:
        forward(x, axis=None)
    assert str(caught.value) == f"{name}_forward: axis must be an int, got None"
    with pytest.raises(ShapeError) as caught:
        forward(np.array(1.0))
    assert str(caught.value) == f"{name}_forward: axis must be in [0, 0) for x (), got -1"
    with pytest.raises(ShapeError) as caught:
        forward(np.ones((2, 0)))
    assert str(caught.value) == f"{name}_forward: axis -1 of x (2, 0) is empty, so there is nothing to choose from"
    with pytest.raises(TypeError) as caught:
        forward(np.ones((2, 3), int))
    assert str(caught.value).startswith(f"{name}_forward: x has dtype int64; expected float32 or float64")
    with pytest.raises(ShapeError) as caught:
        backward(np.ones((2, 4)), forward(x)[1])
    assert str(caught.value) == f"{name}_backward: dy must have shape (2, 3), got (2, 4)"
    with pytest.raises(TypeError) as caught:
        backward(np.ones((2, 3), np.float32), forward(x)[1])
    assert str(caught.value) == (
        f"{name}_backward: dy has dtype float32 but the forward pass ran in float64; convert dy"
    )
