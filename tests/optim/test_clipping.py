"""Clipping: by hand, by PyTorch's vectors, where numbers are huge, tiny or no numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder import Case, assert_gradient, conformance, frozen, layouts

from cnn_from_scratch.optim import clip_grad_norm, clip_grad_value


def test_norm_by_hand():
    # sqrt(1 + 4 + 4 + 16) = 5, and 2.5/5 = 1/2
    grads = {"a": np.array([[1.0, -2.0]]), "b": np.array([2.0, 4.0])}
    norm, clipped = clip_grad_norm(grads, 2.5)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [[0.5, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(clipped["b"], [1.0, 2.0], rtol=1e-6)


def test_value_by_hand():
    clipped = clip_grad_value({"a": np.array([-3.0, -1.0, 0.5, 2.0]), "b": np.array([1.0])}, 1.0)
    np.testing.assert_array_equal(clipped["a"], [-1.0, -1.0, 0.5, 1.0])
    np.testing.assert_array_equal(clipped["b"], [1.0])
    one_sided = clip_grad_value({"low": np.array([-3.0, 0.5]), "high": np.array([3.0, 0.5])}, 1.0)
    np.testing.assert_array_equal(one_sided["low"], [-1.0, 0.5])
    np.testing.assert_array_equal(one_sided["high"], [1.0, 0.5])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("optim", "clip_grad_norm"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    norm, clipped = clip_grad_norm({"a": case["g_a"], "b": case["g_b"]}, case.attrs["max_norm"])
    np.testing.assert_allclose(norm, case["norm"], rtol=1e-6 if dtype == np.float32 else 1e-12)
    for key, grad in clipped.items():
        assert grad.dtype == dtype
        assert_gradient(grad, case[f"out_{key}"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_within_bounds_comes_back_itself(dtype):
    grads = {"a": np.array([3.0], dtype), "b": np.array([4.0], dtype)}
    for clipped in (clip_grad_norm(grads, 5.1)[1], clip_grad_norm(grads, math.inf)[1], clip_grad_value(grads, 4.0)):
        assert clipped is not grads
        assert clipped["a"] is grads["a"]
        assert clipped["b"] is grads["b"]
    partly = clip_grad_value(grads, 3.5)
    assert partly["a"] is grads["a"]
    assert partly["b"].tolist() == [3.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_only_read_and_their_dtype_stays(dtype):
    (a,) = frozen(np.full((2, 3), 7.0, dtype))
    for clipped in (clip_grad_norm({"a": a}, np.float64(1.0))[1], clip_grad_value({"a": a}, np.float64(1.0))):
        assert clipped["a"].dtype == dtype
        assert clipped["a"].max() < 7
    assert type(clip_grad_norm({"a": a}, 1.0)[0]) is float


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    x = np.random.default_rng(0).standard_normal((3, 4, 2, 5))
    norm, clipped = clip_grad_norm({"a": x}, 1.0)
    for label, grad in layouts(x):
        actual_norm, actual = clip_grad_norm({"a": grad}, 1.0)
        assert actual_norm == pytest.approx(norm, rel=1e-14), label
        np.testing.assert_allclose(actual["a"], clipped["a"], rtol=1e-13, err_msg=label)
        np.testing.assert_array_equal(clip_grad_value({"a": grad}, 0.5)["a"], np.clip(x, -0.5, 0.5), err_msg=label)


@given(st.integers(0, 2**16), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_clipped_norm_is_the_bound_and_the_direction_stays(seed, size, bound):
    rng = np.random.default_rng(seed)
    grads = {"a": size * rng.standard_normal((3, 2)), "b": size * rng.standard_normal(4)}
    norm, clipped = clip_grad_norm(grads, bound)
    after, _ = clip_grad_norm(clipped, bound)
    assert after <= bound * (1 + 1e-12)
    assert after == pytest.approx(min(norm, bound), rel=1e-6 / norm + 1e-9)
    for key, grad in grads.items():
        np.testing.assert_allclose(clipped[key] * norm, grad * after, rtol=1e-9)


def test_the_norm_is_added_in_float64():
    # the squares of float32 overflow at 1.8e19 and vanish at 1e-23; and 2^24 ones more than that many add nothing
    assert clip_grad_norm({"a": np.full(4, 1e30, np.float32)}, 1.0)[0] == pytest.approx(2e30, rel=1e-6)
    assert clip_grad_norm({"a": np.full(4, 1e-30, np.float32)}, 1.0)[0] == pytest.approx(2e-30, rel=1e-6)
    many = np.full(200_001, 0.01, np.float32)  # several pieces
    exact = math.sqrt(math.fsum(float(x) ** 2 for x in many[:1]) * len(many))
    assert clip_grad_norm({"a": many}, 1.0)[0] == pytest.approx(exact, rel=1e-12)


def test_nothing_to_clip():
    assert clip_grad_norm({}, 1.0) == (0.0, {})
    assert clip_grad_value({}, 1.0) == {}
    norm, grads = clip_grad_norm({"a": np.zeros((0, 3)), "b": np.zeros(2)}, 1.0)
    assert norm == 0.0
    assert grads["a"].shape == (0, 3)
    assert clip_grad_value({"a": np.zeros((0, 3))}, 1.0)["a"].shape == (0, 3)


def test_nan_and_infinity_go_through_as_in_pytorch():
    nan = {"a": np.array([1.0, np.nan]), "b": np.array([2.0])}
    norm, clipped = clip_grad_norm(nan, 1.0)
    assert math.isnan(norm)
    assert np.isnan([*clipped["a"], *clipped["b"]]).all()
    infinite = {"a": np.array([1.0, -np.inf]), "b": np.array([2.0])}
    norm, clipped = clip_grad_norm(infinite, 1.0)
    assert norm == math.inf
    np.testing.assert_array_equal(clipped["a"], [0.0, np.nan])
    np.testing.assert_array_equal(clipped["b"], [0.0])
    assert clip_grad_norm(infinite, math.inf)[1]["a"] is infinite["a"]
    np.testing.assert_array_equal(clip_grad_value(nan, 0.5)["a"], [0.5, np.nan])
    np.testing.assert_array_equal(clip_grad_value(infinite, 0.5)["a"], [0.5, -0.5])


def test_nan_and_infinity_can_be_an_error():
    for value, name in ((np.nan, "nan"), (np.inf, "inf")):
        with pytest.raises(FloatingPointError) as caught:
            clip_grad_norm({"a": np.ones(2), "b": np.array([1.0, value])}, 1.0, error_if_nonfinite=True)
        assert str(caught.value) == f"clip_grad_norm: the norm of the gradients is {name}; not finite are 'b'"
    assert clip_grad_norm({"a": np.ones(4)}, 1.0, error_if_nonfinite=True)[0] == 2.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: clip_grad_norm({}, -1.0),
            ValueError,
            "clip_grad_norm: max_norm must be a finite number >= 0, got -1.0",
        ),
        (
            lambda: clip_grad_norm({}, math.nan),
            ValueError,
            "clip_grad_norm: max_norm must be a finite number >= 0, got nan",
        ),
        (
            lambda: clip_grad_value({}, -1.0),
            ValueError,
            "clip_grad_value: clip_value must be a finite number >= 0, got -1.0",
        ),
        (
            lambda: clip_grad_norm({"a": np.ones(2, int)}, 1.0),
            TypeError,
            "clip_grad_norm: grads['a'] has dtype int64; expected float32 or float64",
        ),
        (
            lambda: clip_grad_value({"a": [1.0]}, 1.0),
            TypeError,
            "clip_grad_value: grads['a'] must be a NumPy array, got list",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
