"""The error function against `math.erf`, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ladder import layouts

from cnn_from_scratch.ops import erf, is_hwnc


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 5e-7)])
def test_relative_error_everywhere(dtype, tolerance):
    # dense everywhere, denser still where the formulas meet (0.46875), and down to the smallest normal number
    smallest = math.log10(np.finfo(dtype).tiny)
    x = np.concatenate([np.linspace(-8, 8, 40001), np.linspace(0.468, 0.4695, 5001), np.logspace(smallest, 1, 5001)])
    x = x.astype(dtype)
    expected = np.array([math.erf(v) for v in x.tolist()])
    actual = erf(x)
    assert actual.dtype == dtype
    error = np.abs(actual.astype(float) - expected)
    assert np.all(error <= tolerance * np.abs(expected))


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_limits_signs_and_nan(dtype):
    with np.errstate(all="raise", under="ignore"):
        y = erf(np.array([-np.inf, np.inf, -1e30, 1e30, np.nan, 0.0, -0.0], dtype))
    np.testing.assert_array_equal(y, [-1, 1, -1, 1, np.nan, 0, 0])
    np.testing.assert_array_equal(np.signbit(y[-2:]), [False, True])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_never_falls_and_is_odd(dtype):
    x = np.linspace(-7, 7, 100001, dtype=dtype)
    y = erf(x)
    assert np.all(np.diff(y) >= -np.finfo(dtype).eps)  # no fall beyond one rounding
    np.testing.assert_array_equal(erf(-x), -y)


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (70_000,), (2, 3, 4, 5)])
def test_any_shape_and_layout(shape):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape))
    expected = np.array([math.erf(v) for v in x.ravel().tolist()]).reshape(shape)
    for label, xs in layouts(x) if shape else [("as it is", x)]:
        y = erf(xs)
        assert isinstance(y, np.ndarray)
        np.testing.assert_allclose(y, expected, rtol=1e-15, err_msg=label)
        assert y.dtype == np.dtype(np.float64)
        assert is_hwnc(y) == is_hwnc(xs)


@pytest.mark.fault("wrong-dtype")
def test_integers_are_refused():
    with pytest.raises(TypeError) as caught:
        erf(np.arange(3))
    assert str(caught.value) == (
        "erf: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))"
    )
