"""Padding climbs the ladder: by hand, by loops, by the adjoint, by Hypothesis, by PyTorch's vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import (
    Case,
    assert_forward,
    assert_gradient,
    assert_gradients_match,
    conformance,
    layouts,
)

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, pad_backward, pad_forward, to_hwnc
from cnn_from_scratch.ops.padding import MODES

SIDES = ((1, 2), (0, 3))


def source(i, size, mode):
    """Which pixel is seen at place i of an axis, counted from the image's first pixel; None is the constant."""
    if 0 <= i < size:
        return i
    if mode == "constant":
        return None
    if mode == "replicate":
        return 0 if i < 0 else size - 1
    return -i if i < 0 else 2 * (size - 1) - i


def pad_loops(x, dy, sides, mode, value):
    """y and dx pixel by pixel."""
    (H, W), ((top, _), (left, _)) = x.shape[2:], sides
    y, dx = np.full(dy.shape, value), np.zeros_like(x)
    for i, j in np.ndindex(*dy.shape[2:]):
        h, w = source(i - top, H, mode), source(j - left, W, mode)
        if h is not None and w is not None:
            y[:, :, i, j] = x[:, :, h, w]
            dx[:, :, h, w] += dy[:, :, i, j]
    return y, dx


def test_by_hand():
    # 1 2    replicate with one row on top and one column at the right:   1 2 2
    # 3 4                                                                 1 2 2
    #                                                                     3 4 4
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    y, cache = pad_forward(x, ((1, 0), (0, 1)), mode="replicate")
    np.testing.assert_array_equal(y[0, 0], [[1, 2, 2], [1, 2, 2], [3, 4, 4]])
    # dy = 1 2 3 / 4 5 6 / 7 8 9: pixel 1 gets 1 + 4, pixel 2 gets 2 + 3 + 5 + 6, pixel 3 gets 7, pixel 4 gets 8 + 9
    dx = pad_backward(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), cache)
    np.testing.assert_array_equal(dx[0, 0], [[5, 16], [7, 17]])


def test_reflection_by_hand():
    # 1 2 3 mirrored at 1 and at 3, which are not repeated: 3 2 [1 2 3] 2 1; dy = 1 ... 7 gives 3+7, 2+4+6, 1+5
    y, cache = pad_forward(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3), (0, 2), mode="reflect")
    np.testing.assert_array_equal(y.ravel(), [3, 2, 1, 2, 3, 2, 1])
    dx = pad_backward(np.arange(1.0, 8.0).reshape(1, 1, 1, 7), cache)
    np.testing.assert_array_equal(dx.ravel(), [10, 12, 6])


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)),
    st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2),
    st.sampled_from(MODES),
    st.sampled_from([0.0, -2.5, np.inf]),
    st.integers(0, 2**16),
)
def test_every_mode_agrees_with_the_loops(shape, sides, mode, value, seed):
    if mode == "reflect":
        sides = tuple(tuple(min(p, size - 1) for p in s) for s, size in zip(sides, shape[2:], strict=True))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    dy = rng.standard_normal((*shape[:2], shape[2] + sum(sides[0]), shape[3] + sum(sides[1])))
    y, dx = pad_loops(x, dy, sides, mode, value)
    for order in (np.ascontiguousarray, to_hwnc):
        images, upstream = order(x), order(dy)
        images.flags.writeable = upstream.flags.writeable = False
        actual, cache = pad_forward(images, sides, mode=mode, value=value)
        np.testing.assert_array_equal(actual, y)
        gradient = pad_backward(upstream, cache)
        np.testing.assert_allclose(gradient, dx, atol=1e-14)
        if value == 0:  # then it is linear, and the backward pass its adjoint
            np.testing.assert_allclose(np.sum(actual * dy), np.sum(x * gradient), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("linear_misc", "pad"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    p = case.attrs["pads"]
    sides = (p["top"], p["bottom"]), (p["left"], p["right"])
    y, cache = pad_forward(case["x"], sides, mode=case.attrs["mode"], value=case.attrs["value"])
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(pad_backward(case["dy"], cache), case["dx"])


@pytest.mark.parametrize("mode", MODES)
def test_gradients_by_finite_differences(mode):
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((2, 3, 4, 5))}
    y, cache = pad_forward(**inputs, pads=SIDES, mode=mode, value=2.0)
    dy = rng.standard_normal(y.shape)
    gradients = {"x": pad_backward(dy, cache)}
    assert_gradients_match(lambda x: pad_forward(x, SIDES, mode=mode, value=2.0)[0], inputs, gradients, dy)


def test_pads_are_an_int_a_pair_or_four_sides():
    x = np.ones((1, 1, 2, 2))
    assert pad_forward(x, 1)[0].shape == (1, 1, 4, 4)
    assert pad_forward(x, (1, 2))[0].shape == (1, 1, 4, 6)
    assert pad_forward(x, SIDES)[0].shape == (1, 1, 5, 5)


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("mode", MODES)
def test_any_layout_gives_the_same_result(mode):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 5, 6))
    y, cache = pad_forward(x, SIDES, mode=mode)
    dy = rng.standard_normal(y.shape)
    expected = pad_backward(dy, cache)
    for label, xs in layouts(x):
        for _, dys in layouts(dy):
            before = dys.copy()
            ys, cache = pad_forward(xs, SIDES, mode=mode)
            np.testing.assert_array_equal(ys, y, err_msg=label)
            dx = pad_backward(dys, cache)
            np.testing.assert_allclose(dx, expected, atol=1e-14, err_msg=label)
            assert ys.dtype == dx.dtype == np.dtype(np.float64)
            np.testing.assert_array_equal(dys, before)  # borrowed, not written


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(mode, order):
    y, cache = pad_forward(order(np.random.default_rng(0).standard_normal((2, 3, 5, 6))), SIDES, mode=mode)
    contiguous = (lambda a: a.transpose(2, 3, 0, 1)) if order is to_hwnc else (lambda a: a)
    for result in (y, pad_backward(y, cache)):
        assert is_hwnc(result) == (order is to_hwnc)
        assert contiguous(result).flags.c_contiguous


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(mode, dtype):
    y, cache = pad_forward(np.ones((1, 2, 4, 4), dtype), SIDES, mode=mode)
    assert y.dtype == pad_backward(np.ones_like(y), cache).dtype == np.dtype(dtype)


X = np.ones((2, 3, 4, 2))
PADS = "pad_forward: pads must be an int >= 0, a pair (PH, PW) or ((top, bottom), (left, right)), got"


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: pad_forward(X[0], 1),
            ShapeError,
            "pad_forward: x must have 4 axes (N, C, H, W), got shape (3, 4, 2)",
        ),
        (lambda: pad_forward(X, -1), ShapeError, f"{PADS} -1"),
        (lambda: pad_forward(X, "same"), ShapeError, f"{PADS} 'same'"),
        (lambda: pad_forward(X, (1, 2, 3, 4)), ShapeError, f"{PADS} (1, 2, 3, 4)"),
        (
            lambda: pad_forward(X, ((0, 3), (2, 0)), mode="reflect"),
            ShapeError,
            "pad_forward: pads must be smaller than the image to reflect it, got (2, 0) for width 2",
        ),
        (
            lambda: pad_forward(X[:, :, :0], 1, mode="replicate"),
            ShapeError,
            "pad_forward: x must have at least one pixel to replicate, got shape (2, 3, 0, 2)",
        ),
        (
            lambda: pad_forward(X, 1, mode="wrap"),
            ValueError,
            "pad_forward: mode must be one of constant, reflect, replicate, got 'wrap'",
        ),
        (
            lambda: pad_forward(X.astype(int), 1),
            TypeError,
            "pad_forward: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: pad_backward(X, pad_forward(X, 1)[1]),
            ShapeError,
            "pad_backward: dy must have shape (2, 3, 6, 4), got (2, 3, 4, 2)",
        ),
        (
            lambda: pad_backward(np.ones((2, 3, 6, 4), np.float32), pad_forward(X, 1)[1]),
            TypeError,
            "pad_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
