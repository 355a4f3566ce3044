"""Upsampling climbs the ladder: by hand, by repetition, by its adjoint, by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, to_hwnc, upsample_backward, upsample_forward


def test_by_hand():
    # 1 2  by (2, 3)  1 1 1 2 2 2
    #                 1 1 1 2 2 2     and every pixel collects the gradient of its own six
    y, cache = upsample_forward(np.array([1.0, 2.0]).reshape(1, 1, 1, 2), (2, 3))
    np.testing.assert_array_equal(y[0, 0], [[1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]])
    dy = np.arange(12.0).reshape(1, 1, 2, 6)  # 0 1 2 3 4 5 / 6 7 8 9 10 11
    np.testing.assert_array_equal(
        upsample_backward(dy, cache).ravel(), [0 + 1 + 2 + 6 + 7 + 8, 3 + 4 + 5 + 9 + 10 + 11]
    )


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_repeats_and_its_adjoint(shape, scale):
    rng = np.random.default_rng(0)
    (x,) = frozen(rng.standard_normal(shape))
    expected = x.repeat(scale[0], axis=2).repeat(scale[1], axis=3)
    for images in (x, to_hwnc(x)):
        y, cache = upsample_forward(images, scale)
        np.testing.assert_array_equal(y, expected)
        (dy,) = frozen(rng.standard_normal(y.shape))
        dx = upsample_backward(dy, cache)
        np.testing.assert_allclose(np.sum(y * dy), np.sum(x * dx), atol=1e-10)  # <up(x), dy> = <x, up*(dy)>


def test_gradient_by_finite_differences():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 5))
    y, cache = upsample_forward(x, (3, 2))
    dy = rng.standard_normal(y.shape)
    assert_gradients_match(lambda x: upsample_forward(x, (3, 2))[0], {"x": x}, {"x": upsample_backward(dy, cache)}, dy)


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result_in_its_own_order():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    expected, cache = upsample_forward(x, 2)
    dx = upsample_backward(expected, cache)
    for label, images in layouts(x):
        y, cache = upsample_forward(images, 2)
        np.testing.assert_array_equal(y, expected, err_msg=label)
        np.testing.assert_array_equal(upsample_backward(y, cache), dx, err_msg=label)
        assert is_hwnc(y) == is_hwnc(images), label
        assert is_hwnc(upsample_backward(y, cache)) == is_hwnc(images), label


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype):
    y, cache = upsample_forward(np.ones((1, 2, 3, 3), dtype), 2)
    assert y.dtype == upsample_backward(y, cache).dtype == dtype


X = np.ones((2, 3, 4, 5))


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: upsample_forward(X[0], 2),
            ShapeError,
            "upsample_forward: x must have 4 axes (N, C, H, W), got shape (3, 4, 5)",
        ),
        (
            lambda: upsample_forward(X, 0),
            ShapeError,
            "upsample_forward: scale_factor must be an int >= 1 or a pair of them, got 0",
        ),
        (
            lambda: upsample_forward(X, 2, mode="cubic"),
            ValueError,
            "upsample_forward: mode must be 'nearest', got 'cubic'",
        ),
        (
            lambda: upsample_forward(X.astype(int), 2),
            TypeError,
            "upsample_forward: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: upsample_backward(X, upsample_forward(X, 2)[1]),
            ShapeError,
            "upsample_backward: dy must have shape (2, 3, 8, 10), got (2, 3, 4, 5)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
