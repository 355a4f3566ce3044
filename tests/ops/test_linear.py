"""The linear operation climbs the ladder: by hand, by loops, by finite differences, by PyTorch's vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from ladder import (
    Case,
    assert_forward,
    assert_gradient,
    assert_gradients_match,
    assert_recycles,
    conformance,
    frozen,
    layouts,
)

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, linear_backward, linear_forward


def test_by_hand():
    # y = 1*1 + 2*3 = 7,  1*2 - 2*1 = 0, and the bias
    y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[1.0, 3.0], [2.0, -1.0]]), np.array([10.0, 20.0]))
    np.testing.assert_array_equal(y, [[17, 20]])
    # dx = 1 * (1, 3) + 10 * (2, -1), dweight[o] = dy[o] * x
    dx, dweight, dbias = linear_backward(np.array([[1.0, 10.0]]), cache)
    np.testing.assert_array_equal(dx, [[21, -7]])
    np.testing.assert_array_equal(dweight, [[1, 2], [10, 20]])
    np.testing.assert_array_equal(dbias, [1, 10])


@settings(max_examples=60, deadline=None)
@given(
    lead=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 2**16),
)
def test_any_shape_follows_the_definition(lead, sizes, seed):
    O, I = sizes  # noqa: E741
    rng = np.random.default_rng(seed)
    x, weight, bias, dy = frozen(*(rng.standard_normal(s) for s in ((*lead, I), (O, I), (O,), (*lead, O))))
    y, cache = linear_forward(x, weight, bias)
    dx, dweight, dbias = linear_backward(dy, cache)
    expected = np.zeros((*lead, O)), np.zeros_like(x), np.zeros((O, I)), np.zeros(O)
    for n in np.ndindex(lead):
        for o in range(O):
            expected[0][n][o] = bias[o] + sum(x[n][i] * weight[o, i] for i in range(I))
            expected[3][o] += dy[n][o]
            for i in range(I):
                expected[1][n][i] += dy[n][o] * weight[o, i]
                expected[2][o, i] += dy[n][o] * x[n][i]
    for actual, wanted in zip((y, dx, dweight, dbias), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-13)
        assert actual.shape == wanted.shape


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((4, 5)), "weight": rng.standard_normal((3, 5)), "bias": rng.standard_normal(3)}
    dy = rng.standard_normal((4, 3))
    gradients = dict(zip(inputs, linear_backward(dy, linear_forward(**inputs)[1]), strict=True))
    assert_gradients_match(lambda **v: linear_forward(**v)[0], inputs, gradients, dy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("linear_misc", "linear"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    y, cache = linear_forward(case["x"], case["w"], case.get("b"))
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    dx, dweight, dbias = linear_backward(case["dy"], cache)
    assert_gradient(dx, case["dx"])
    assert_gradient(dweight, case["dw"])
    if case.attrs["bias"]:
        assert_gradient(dbias, case["db"])
    else:
        assert dbias is None


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5)])
def test_any_layout_gives_the_same_result(shape):
    rng = np.random.default_rng(1)
    x, weight, bias = rng.standard_normal(shape), rng.standard_normal((3, 5)), rng.standard_normal(3)
    dy = rng.standard_normal((*shape[:-1], 3))
    y, cache = linear_forward(x, weight, bias)
    expected = (y, *linear_backward(dy, cache))
    for (label, xs), (_, dys) in zip(layouts(x), layouts(dy), strict=True):
        for (_, ws), (_, bs) in zip(layouts(weight), layouts(bias), strict=True):
            y, cache = linear_forward(xs, ws, bs)
            actual = (y, *linear_backward(dys, cache))
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, e, atol=1e-13, err_msg=label)
                assert a.dtype == np.dtype(np.float64)
            assert is_hwnc(y) == is_hwnc(actual[1]) == is_hwnc(xs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype):
    y, cache = linear_forward(np.ones((2, 3), dtype), np.ones((4, 3), dtype), np.ones(4, dtype))
    assert {a.dtype for a in (y, *linear_backward(y, cache))} == {np.dtype(dtype)}


def test_without_dx():
    y, cache = linear_forward(np.ones((2, 3)), np.ones((4, 3)))
    dx, dweight, dbias = linear_backward(y, cache, need_dx=False)
    assert dx is None
    assert dbias is None
    np.testing.assert_array_equal(dweight, np.full((4, 3), 6.0))


@pytest.mark.parametrize(("M", "O"), [(64, 128), (128, 64), (9000, 2)])
def test_large_matrices(M, O):  # noqa: E741
    rng = np.random.default_rng(0)
    x, weight, dy = rng.standard_normal((M, 300)), rng.standard_normal((O, 300)), rng.standard_normal((M, O))
    y, cache = linear_forward(x, weight, np.ones(O))
    np.testing.assert_allclose(y, x @ weight.T + 1, atol=1e-12)
    assert y.flags.c_contiguous
    for actual, wanted in zip(linear_backward(dy, cache), (dy @ weight, dy.T @ x, dy.sum(0)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("M", [64, 512])
def test_memory_is_recycled(M):
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal((rows, 4096)).astype(np.float32) for rows in (M, 256))
    bias = np.ones(256, np.float32)

    def run():
        y, cache = linear_forward(x, weight, bias)
        linear_backward(y, cache)

    assert_recycles(run, x.nbytes / 4)


X, W = np.ones((2, 3)), np.ones((4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: linear_forward(np.ones((2, 5)), W),
            ShapeError,
            "linear_forward: x must have shape (..., 3) for weight (4, 3), got (2, 5)",
        ),
        (
            lambda: linear_forward(np.array(1.0), W),
            ShapeError,
            "linear_forward: x must have shape (..., 3) for weight (4, 3), got ()",
        ),
        (
            lambda: linear_forward(X, W[0]),
            ShapeError,
            "linear_forward: weight must have 2 axes (O, I), got shape (3,)",
        ),
        (
            lambda: linear_forward(X, W, np.ones(3)),
            ShapeError,
            "linear_forward: bias must have shape (4,), got (3,)",
        ),
        (
            lambda: linear_forward(X.astype(np.uint8), W),
            TypeError,
            "linear_forward: x has dtype uint8; expected float32 or float64 (convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: linear_forward(X, W.astype(np.float32)),
            TypeError,
            "linear_forward: arguments have different dtypes (x float64, weight float32); convert them to one",
        ),
        (
            lambda: linear_backward(X, linear_forward(X, W)[1]),
            ShapeError,
            "linear_backward: dy must have shape (2, 4), got (2, 3)",
        ),
        (
            lambda: linear_backward(np.ones((2, 4), np.float32), linear_forward(X, W)[1]),
            TypeError,
            "linear_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
