"""Extreme numbers: what can be said in float32 is right, what cannot is infinite or NaN, and no warning escapes.

The oracle is the same operation in float64, whose range holds all of these numbers and their squares.
"""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch import ops
from cnn_from_scratch.errors import NotFiniteError
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.training import fit

LARGEST = float(np.finfo(np.float32).max)
NUMBERS = [LARGEST, 1e38, 1e30, 1e4, 88.0, 20.0, 1.0, 1e-30, 1e-38, 1e-45, 0.0]
EXTREMES = np.array([sign * number for number in NUMBERS for sign in (1, -1)], np.float32)


def rounded(values):
    """float64 as float32 rounds it: to infinity what is beyond."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(values).astype(np.float32)


def assert_near(found, wide, rtol=1e-5, atol=1e-37):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rounded(wide), rtol=rtol, atol=atol)


# --- activations ----------------------------------------------------------------------------------------------------


ACTIVATIONS = {
    "relu": {}, "leaky_relu": {}, "relu6": {}, "elu": {}, "sigmoid": {}, "tanh": {}, "softplus": {}, "silu": {},
    "gelu": {"approximate": "none"},
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*ACTIVATIONS, "gelu-tanh", "softplus-3"])
def test_activations_are_right_for_every_number(name, dtype):
    function, _, option = name.partition("-")
    options = {"": {}, "tanh": {"approximate": "tanh"}, "3": {"beta": 3.0}}[option]
    forward, backward = (getattr(ops, f"{function}_{way}") for way in ("forward", "backward"))
    x = EXTREMES.astype(dtype)
    y, cache = forward(x, **options)
    dx = backward(np.ones_like(x), cache)
    wide, wide_cache = forward(x.astype(np.float64), **options)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert_near(rounded(y), wide, rtol=2e-5)
    assert_near(rounded(dx), backward(np.ones(x.shape), wide_cache), rtol=2e-5, atol=1e-6)


LIMITS = {"relu": (0, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1), "softplus": (0, np.inf), "silu": (0, np.inf),
          "gelu": (0, np.inf), "elu": (-1, np.inf), "relu6": (0, 6), "leaky_relu": (-np.inf, np.inf)}  # fmt: skip


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("name", LIMITS)
def test_activations_at_infinity_and_nan(name):
    y, _ = getattr(ops, f"{name}_forward")(np.array([-np.inf, np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(y, [*LIMITS[name], np.nan])


# --- softmax and losses ---------------------------------------------------------------------------------------------


ROWS = {
    "far apart": [1e4, -1e4, 0], "very far apart": [1e38, -1e38, 0], "beyond the range apart": [LARGEST, -LARGEST, 0],
    "equal": [0, 0, 0], "equal and largest": [LARGEST] * 3, "equal and least": [-LARGEST] * 3,
    "denormal": [1e-45, 0, 0],
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_softmax_and_cross_entropy_of_extreme_scores(row, label_smoothing):
    x = np.array([row], np.float32)
    wide = x.astype(np.float64)
    for forward in (ops.softmax_forward, ops.log_softmax_forward):
        assert_near(forward(x)[0], forward(wide)[0])
    for k in range(3):
        loss, cache = ops.cross_entropy_forward(x, np.array([k]), label_smoothing=label_smoothing)
        expected, wide_cache = ops.cross_entropy_forward(wide, np.array([k]), label_smoothing=label_smoothing)
        dx = ops.cross_entropy_backward(cache)
        assert np.isfinite(dx).all()
        assert_near(dx, ops.cross_entropy_backward(wide_cache), atol=1e-7)
        if label_smoothing and np.isinf(cache.log_probabilities).any():
            assert loss == np.inf  # two logits are further apart than float32 can say, and each has a part
        else:
            assert_near(loss, expected)


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("row", [[np.inf, 0, 0], [np.nan, 0, 0], [-np.inf] * 3, [np.inf, -np.inf, 0]])
def test_scores_that_have_no_softmax_are_nan_in_their_row_alone(row):
    x = np.array([row, [1.0, 2.0, 3.0]], np.float32)
    for forward in (ops.softmax_forward, ops.log_softmax_forward):
        y, _ = forward(x)
        assert np.isnan(y[0]).all()
        np.testing.assert_array_equal(y[1], forward(x[1:])[0][0])
    loss, cache = ops.cross_entropy_forward(x, np.array([0, 1]), reduction="none")
    assert np.isnan(loss[0])
    assert np.isfinite(loss[1])
    assert np.isfinite(ops.cross_entropy_backward(cache)[1]).all()


def test_a_class_that_was_ruled_out_by_minus_infinity():
    loss, cache = ops.cross_entropy_forward(
        np.array([[-np.inf, 0, 0]] * 2, np.float32), np.array([1, 0]), reduction="none"
    )
    np.testing.assert_allclose(loss, [np.log(2), np.inf], rtol=1e-6)
    np.testing.assert_array_equal(ops.cross_entropy_backward(cache), [[0, -0.5, 0.5], [-1, 0.5, 0.5]])


@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_binary_cross_entropy_of_every_number(target):
    y = np.full(EXTREMES.shape, target, np.float32)
    loss, cache = ops.binary_cross_entropy_forward(EXTREMES, y, reduction="none")
    wide, wide_cache = ops.binary_cross_entropy_forward(EXTREMES.astype(np.float64), y, reduction="none")
    assert np.isfinite(loss).all()
    assert_near(loss, wide)
    assert_near(ops.binary_cross_entropy_backward(cache), ops.binary_cross_entropy_backward(wide_cache), atol=1e-7)


@pytest.mark.fault("not-finite")
def test_binary_cross_entropy_at_infinity_says_so_without_a_warning():
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    loss, _ = ops.binary_cross_entropy_forward(x, np.array([0.0, 1.0, 1.0], np.float32), reduction="none")
    assert not np.isfinite(loss).any()


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_of_huge_and_tiny_differences(name, reduction):
    forward, backward = (getattr(ops, f"{name}_{way}") for way in ("forward", "backward"))
    for size in (0, 1e-30, 1e-10, 1.0, 1e15, 1e18, 1e30, 1e38):
        x, y = np.array([size, -size, 0], np.float32), np.zeros(3, np.float32)
        loss, cache = forward(x, y, reduction=reduction)
        wide, wide_cache = forward(x.astype(np.float64), y, reduction=reduction)
        assert_near(loss, wide)  # infinite where float32 ends
        above = np.ones(3) if reduction == "none" else 1.0
        dx = backward(cache, above)
        assert np.isfinite(dx).all()
        assert_near(dx, backward(wide_cache, above))


# --- norms ----------------------------------------------------------------------------------------------------------


def batch_norm(x):
    C = x.shape[1]
    y, cache = ops.batch_norm_forward(
        x, np.ones(C, x.dtype), np.zeros(C, x.dtype), np.zeros(C, x.dtype), np.ones(C, x.dtype), train=True
    )
    return y, cache, ops.batch_norm_backward


def layer_norm(x):
    y, cache = ops.layer_norm_forward(x, None, None, normalized_shape=x.shape[1:])
    return y, cache, ops.layer_norm_backward


def group_norm(x):
    y, cache = ops.group_norm_forward(x, None, None, num_groups=2)
    return y, cache, ops.group_norm_backward


NORMS = {"batch": batch_norm, "layer": layer_norm, "group": group_norm}
NORMAL = np.random.default_rng(0).standard_normal((8, 4, 3, 3))
INPUTS = {
    "constant": np.full(NORMAL.shape, 5.0), "constant and huge": np.full(NORMAL.shape, 1e30),
    "zero": np.zeros(NORMAL.shape), "huge": 1e30 * NORMAL, "at the end of the range": 8e37 * NORMAL,
    "tiny": 1e-20 * NORMAL, "denormal": 1e-40 * NORMAL, "far from zero": 1e4 + 1e-2 * NORMAL,
    "very far from zero": 1e7 + NORMAL, "single pixel": NORMAL[:, :, :1, :1],
    "one of many is huge": np.where(np.arange(8)[:, None, None, None] == 3, 1e30 * NORMAL, NORMAL),
}  # fmt: skip


@pytest.mark.parametrize("order", ["C", "HWNC"])
@pytest.mark.parametrize("what", INPUTS)
@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_extreme_inputs(norm, what, order):
    x = INPUTS[what].astype(np.float32)
    wide, wide_cache, backward = NORMS[norm](x.astype(np.float64))
    y, cache, _ = NORMS[norm](ops.to_hwnc(x) if order == "HWNC" else x)
    assert np.isfinite(y).all()
    assert_near(y, wide, rtol=1e-4, atol=1e-4)
    if what not in ("huge", "at the end of the range", "one of many is huge"):
        dy = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
        dx, expected = backward(dy, cache)[0], backward(dy.astype(np.float64), wide_cache)[0]
        assert np.isfinite(dx).all()
        assert_near(dx, expected, rtol=1e-3, atol=2e-3 * max(1.0, np.abs(expected).max()))


def test_statistics_far_from_zero_are_those_of_float64():
    x = (1e4 + 1e-2 * np.random.default_rng(0).standard_normal((64, 2, 8, 8))).astype(np.float32)
    _, cache, _ = batch_norm(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(cache.mean, exact.mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(1 / cache.inv_std**2 - 1e-5, exact.var((0, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_a_constant_without_eps_is_nan_without_a_warning(norm):
    x = np.full((4, 4, 2, 2), 3.0, np.float32)
    y, _ = {
        "batch": lambda: ops.batch_norm_forward(x, None, None, None, None, train=True, eps=0.0),
        "layer": lambda: ops.layer_norm_forward(x, None, None, normalized_shape=(4, 2, 2), eps=0.0),
        "group": lambda: ops.group_norm_forward(x, None, None, num_groups=2, eps=0.0),
    }[norm]()
    assert np.isnan(y).all()


@pytest.mark.fault("one-value-a-channel")
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_a_channel(shape):
    x, ones, zeros = np.ones(shape, np.float32), np.ones(3, np.float32), np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="batch_norm_forward: training needs more than one value per channel, got x"):
        ops.batch_norm_forward(x, ones, zeros, zeros, ones, train=True)
    y, _ = ops.batch_norm_forward(x, ones, zeros, zeros, ones, train=False)
    np.testing.assert_allclose(y, 1.0, rtol=1e-5)
    np.testing.assert_array_equal(ops.group_norm_forward(x, None, None, num_groups=3)[0], 0)


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("norm", NORMS)
def test_what_is_not_finite_comes_out_as_nan_where_it_has_a_part(norm, bad):
    x = NORMAL.astype(np.float32)
    x[2, 1, 0, 0] = bad
    y, _, _ = NORMS[norm](x)
    touched = {"batch": (slice(None), 1), "layer": 2, "group": (2, slice(0, 2))}[norm]
    assert np.isnan(y[touched]).all()
    others = np.ones(x.shape, bool)
    others[touched] = False
    assert np.isfinite(y[others]).all()


# --- pools ----------------------------------------------------------------------------------------------------------


POOLS = {
    "max": lambda x: ops.max_pool_forward(x, 2), "avg": lambda x: ops.avg_pool_forward(x, 2),
    "avg overlapping": lambda x: ops.avg_pool_forward(x, 3, stride=1, padding=1, count_include_pad=False),
    "adaptive avg": lambda x: ops.adaptive_avg_pool_forward(x, 3), "global avg": ops.global_avg_pool_forward,
    "global max": ops.global_max_pool_forward,
}  # fmt: skip


@pytest.mark.parametrize("size", [3e38, 1e30, 1e-40])
@pytest.mark.parametrize("pool", POOLS)
def test_pools_of_huge_and_tiny_values(pool, size):
    x = (size * np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 4))).astype(np.float32)
    x[0] = size
    y, _ = POOLS[pool](x)
    assert_near(y, POOLS[pool](x.astype(np.float64))[0], atol=1e-6 * size + 3e-45)
    np.testing.assert_allclose(y[0], np.float32(size), rtol=1e-6)


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("pool", POOLS)
def test_pools_hand_on_what_is_not_finite(pool, bad):
    x = np.ones((1, 2, 4, 4), np.float32)
    x[0, 0, 0, 0] = bad
    y, _ = POOLS[pool](x)
    np.testing.assert_array_equal(y[0, 0, 0, 0], bad)
    assert np.isfinite(y[0, 1]).all()


# --- convolution ----------------------------------------------------------------------------------------------------


def images_and_filters(scale):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, 16, 9, 9)) * scale
    return x.astype(np.float32), (0.01 * rng.standard_normal((16, 16, 3, 3))).astype(np.float32)


@pytest.mark.parametrize("algorithm", ["im2col", "winograd2", "winograd4", "auto"])
@pytest.mark.parametrize("scale", [3e36, 1e30, 1.0, 1e-30, 1e-38, 1e-44])
def test_convolutions_of_huge_and_tiny_images(algorithm, scale):
    x, weight = images_and_filters(scale)
    y, _ = ops.conv_forward(x, weight, padding=1, algorithm=algorithm)
    wide, _ = ops.conv_forward(x.astype(np.float64), weight.astype(np.float64), padding=1, algorithm="im2col")
    np.testing.assert_allclose(y, wide, rtol=0, atol=1e-5 * np.abs(wide).max() + 1e-42)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize("scale", [1e37, 1e38, 3e38])
@pytest.mark.filterwarnings("ignore:.*encountered in matmul:RuntimeWarning")
def test_what_overflows_in_winograds_transforms_is_not_finite_and_never_wrong(algorithm, scale):
    """As ops/winograd.py says."""
    x, weight = images_and_filters(scale)
    y, _ = ops.conv_forward(x, weight, padding=1, algorithm=algorithm)
    wide, _ = ops.conv_forward(x.astype(np.float64), weight.astype(np.float64), padding=1, algorithm="im2col")
    said = np.isfinite(y)
    np.testing.assert_allclose(y[said], wide[said], rtol=0, atol=1e-5 * np.abs(wide).max())
    assert said.all() or scale > (3e36 if algorithm == "winograd4" else 8e37)


@pytest.mark.fault("not-finite")
def test_nan_goes_through_convolution_relu_and_pool_up_to_the_error_of_fit():
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 1, 8, 8), dtype=np.float32), rng.integers(0, 3, 8)
    model = Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(36, 3)).initialize(0)
    before = {key: value.copy() for key, value in model.params.items()}
    x[5, 0, 4, 4] = np.nan
    assert np.isnan(model.predict(x)[5]).all()
    assert np.isfinite(model.predict(x)[:5]).all()
    with pytest.raises(NotFiniteError, match="layer '0' is the first to give such numbers"):
        fit(model, (x, y), epochs=1, batch_size=8, progress=False)
    for key, value in before.items():
        np.testing.assert_array_equal(model.params[key], value)
