"""Activations climb the ladder: by hand, by their definitions, by finite differences, by PyTorch's vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

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
    spaced,
)

from cnn_from_scratch import ops
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, prelu_backward, prelu_forward, to_hwnc

LN2 = math.log(2)


class Activation(NamedTuple):
    """One activation as a table row: its options, its definition on one number, and a case by hand."""

    name: str
    options: dict[str, Any]
    definition: Callable[[float], float]
    by_hand: tuple[tuple[float, float, float], ...]  # (x, y, dy/dx)
    limits: tuple[float, float]  # y at -inf and at +inf

    def __str__(self):
        return "-".join([self.name, *(str(v) for v in self.options.values())])

    def forward(self, x):
        return getattr(ops, f"{self.name}_forward")(x, **self.options)

    def backward(self, dy, cache):
        return getattr(ops, f"{self.name}_backward")(dy, cache)


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v)) if v > 0 else math.exp(v) / (1 + math.exp(v))


def gelu_tanh(v: float) -> float:
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


INF = math.inf
TABLE = [
    # at the kink the slope is that of the negative side, as in PyTorch
    Activation("relu", {}, lambda v: max(v, 0.0), ((-2, 0, 0), (0, 0, 0), (3, 3, 1)), (0, INF)),
    Activation(
        "relu6",
        {},
        lambda v: min(max(v, 0.0), 6.0),
        ((-2, 0, 0), (0, 0, 0), (3, 3, 1), (6, 6, 0), (8, 6, 0)),
        (0, 6),
    ),
    Activation(
        "leaky_relu",
        {"negative_slope": 0.25},
        lambda v: v if v > 0 else 0.25 * v,
        ((-2, -0.5, 0.25), (0, 0, 0.25), (3, 3, 1)),
        (-INF, INF),
    ),
    Activation(
        "leaky_relu",
        {"negative_slope": -2.0},
        lambda v: v if v > 0 else -2 * v,
        ((-2, 4, -2), (3, 3, 1)),
        (INF, INF),
    ),
    # exp(-log 2) = 1/2, so y = 2 * (1/2 - 1) = -1 and its slope is 2 * 1/2 = 1
    Activation(
        "elu",
        {"alpha": 2.0},
        lambda v: v if v > 0 else 2 * math.expm1(v),
        ((-LN2, -1, 1), (0, 0, 2), (3, 3, 1)),
        (-2, INF),
    ),
    # half of all normal numbers are below 0
    Activation("gelu", {}, lambda v: 0.5 * v * math.erfc(-v / math.sqrt(2)), ((0, 0, 0.5),), (0, INF)),
    Activation("gelu", {"approximate": "tanh"}, gelu_tanh, ((0, 0, 0.5),), (0, INF)),
    # sigmoid(log 3) = 3/4: y = 3/4 * log 3, and its slope is 3/4 * (1 + log 3 * 1/4)
    Activation(
        "silu",
        {},
        lambda v: v * sigmoid(v),
        ((0, 0, 0.5), (math.log(3), 0.75 * math.log(3), 0.75 + 0.1875 * math.log(3))),
        (0, INF),
    ),
    # sigmoid(log 3) = 3/4, and its slope is 3/4 * 1/4
    Activation("sigmoid", {}, sigmoid, ((0, 0.5, 0.25), (math.log(3), 0.75, 0.1875)), (0, 1)),
    # tanh(log 2) = (4 - 1) / (4 + 1) = 3/5, and its slope is 1 - 9/25
    Activation("tanh", {}, math.tanh, ((0, 0, 1), (LN2, 0.6, 0.64)), (-1, 1)),
    # log(1 + exp(log 3)) = log 4, with slope sigmoid(log 3)
    Activation(
        "softplus",
        {},
        lambda v: max(v, 0) + math.log1p(math.exp(-abs(v))),
        ((0, LN2, 0.5), (math.log(3), math.log(4), 0.75), (20.5, 20.5, 1)),
        (0, INF),
    ),
    Activation(
        "softplus",
        {"beta": 2.0, "threshold": 3.0},
        lambda v: v if 2 * v > 3 else math.log1p(math.exp(2 * v)) / 2,
        ((0, LN2 / 2, 0.5), (1.6, 1.6, 1)),
        (0, INF),
    ),
]
every_activation = pytest.mark.parametrize("activation", TABLE, ids=str)


@every_activation
def test_by_hand(activation):
    x, y, slope = np.array(activation.by_hand, float).T
    actual, cache = activation.forward(x)
    np.testing.assert_allclose(actual, y, rtol=1e-15)
    np.testing.assert_allclose(activation.backward(np.full_like(x, 2.0), cache), 2 * slope, rtol=1e-15)


@every_activation
@settings(max_examples=25, deadline=None)
@given(shape=array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4), seed=st.integers(0, 2**16))
def test_any_shape_follows_the_definition(activation, shape, seed):
    (x,) = frozen(np.asarray(np.random.default_rng(seed).normal(0, 5, shape)))
    y, cache = activation.forward(x)
    assert isinstance(y, np.ndarray)
    assert y.shape == x.shape
    np.testing.assert_allclose(y.ravel(), [activation.definition(v) for v in x.ravel()], rtol=1e-13, atol=1e-15)
    dx = activation.backward(y, cache)
    assert isinstance(dx, np.ndarray)
    assert dx.shape == x.shape


@every_activation
def test_gradients_by_finite_differences(activation):
    rng = np.random.default_rng(0)
    x = spaced((3, 4, 5), rng)
    x += 0.02  # softplus has a small step where beta*x = threshold, at x = 1.5
    dy = rng.standard_normal(x.shape)
    _, cache = activation.forward(x)
    gradients = {"x": activation.backward(dy, cache)}
    assert_gradients_match(lambda x: activation.forward(x)[0], {"x": x}, gradients, dy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("activations"))
def test_reference_vectors(case: Case, dtype):
    # 1e-300 is 0 in float32, and may be on the other side of the kink there
    kept = (case["x"] == 0) | (case["x"].astype(dtype) != 0)
    case = case.float32() if dtype == np.float32 else case
    options = dict(case.attrs)
    if case.op == "leaky_relu":
        options = {"negative_slope": options["slope"]}
    if case.op == "gelu":
        options = {"approximate": options["approximate"].split()[0]}
    y, cache = getattr(ops, f"{case.op}_forward")(case["x"], **options)
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    dx = getattr(ops, f"{case.op}_backward")(case["dy"], cache)
    assert dx.dtype == dtype
    assert_gradient(dx[kept], case["dx"][kept])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_activation
def test_extreme_numbers_have_their_limits_without_a_warning(activation, dtype):
    largest, smallest = np.finfo(dtype).max, np.finfo(dtype).tiny
    x = np.array([-np.inf, np.inf, -1e4, 1e4, -80, 80, -smallest, smallest, -largest / 4, largest / 4], dtype)
    y, cache = activation.forward(x)
    dx = activation.backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(y[:2], activation.limits)
    assert np.isfinite(y[2:]).all()
    assert np.isfinite(dx).all()


@every_activation
def test_nan_stays_nan_and_stays_alone(activation):
    y, cache = activation.forward(np.array([1.0, np.nan, -1.0]))
    np.testing.assert_array_equal(np.isnan(y), [False, True, False])
    dx = activation.backward(np.array([1.0, np.nan, 1.0]), cache)
    np.testing.assert_array_equal(np.isnan(dx), [False, True, False])


@every_activation
@pytest.mark.parametrize("order", [np.asarray, to_hwnc])
def test_images_of_several_pieces(activation, order):
    rng = np.random.default_rng(0)
    x = order(rng.standard_normal((3, 5, 151, 160)).astype(np.float32))
    some = (slice(None), slice(None), slice(None, None, 30), slice(None, None, 13))
    y, cache = activation.forward(x)
    np.testing.assert_allclose(
        y[some].ravel(), [activation.definition(float(v)) for v in x[some].ravel()], rtol=1e-5, atol=1e-6
    )
    dx = activation.backward(x, cache)
    _, part = activation.forward(x[some].astype(np.float64))
    np.testing.assert_allclose(dx[some], activation.backward(x[some].astype(np.float64), part), rtol=1e-4, atol=1e-5)


def test_infinite_gradients_stay_in_their_place():
    dy = np.array([np.inf, np.inf])
    for name, below in (("relu", 0.0), ("leaky_relu", np.inf)):
        _, cache = getattr(ops, f"{name}_forward")(np.array([-1.0, 1.0]))
        np.testing.assert_array_equal(getattr(ops, f"{name}_backward")(dy, cache), [below, np.inf])


@every_activation
@pytest.mark.parametrize("order", [np.asarray, to_hwnc])
def test_memory_is_recycled(activation, order):
    x = order(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))

    def run():
        y, cache = activation.forward(x)
        activation.backward(y, cache)

    assert_recycles(run, x.nbytes / 2 if activation.name == "gelu" else x.nbytes / 8)  # erf calculates in blocks


@pytest.mark.fault("odd-arrays")
@every_activation
def test_any_layout_gives_the_same_result(activation):
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    y, cache = activation.forward(x)
    expected = (y, activation.backward(dy, cache))
    for (label, xs), (_, dys) in zip(layouts(x), layouts(dy), strict=True):
        for upstream in (dy, dys):
            y, cache = activation.forward(xs)
            for actual, wanted in zip((y, activation.backward(upstream, cache)), expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-14, err_msg=label)
                assert actual.dtype == np.dtype(np.float64)
                assert is_hwnc(actual) == is_hwnc(xs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@every_activation
def test_dtype_in_is_dtype_out(activation, dtype):
    x = np.linspace(-2, 2, 12, dtype=dtype).reshape(3, 4)
    options = {k: v if isinstance(v, str) else np.float64(v) for k, v in activation.options.items()}
    y, cache = activation._replace(options=options).forward(x)
    assert y.dtype == dtype
    assert activation.backward(x, cache).dtype == dtype


# --- PReLU, which has a second gradient -----------------------------------------------------------------------------


def test_prelu_by_hand():
    # channel 0 has slope 1/2, channel 1 has slope 10; x = -2 and 3 in each
    x = np.array([[-2.0, -2.0], [3.0, 3.0]])
    y, cache = prelu_forward(x, np.array([0.5, 10.0]))
    np.testing.assert_array_equal(y, [[-1, -20], [3, 3]])
    # dslope = dy * x where x < 0: 1 * -2 and 2 * -2
    dx, dslope = prelu_backward(np.array([[1.0, 2.0], [3.0, 4.0]]), cache)
    np.testing.assert_array_equal(dx, [[0.5, 20], [3, 4]])
    np.testing.assert_array_equal(dslope, [-2, -4])


@settings(max_examples=60, deadline=None)
@given(
    shape=array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    per_channel=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_prelu_is_a_leaky_relu_in_every_channel(shape, per_channel, seed):
    rng = np.random.default_rng(seed)
    count = shape[1] if per_channel and len(shape) > 1 else 1
    x, dy = np.asarray(rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape))
    x, dy, slope = frozen(x, dy, rng.standard_normal(count))
    y, cache = prelu_forward(x, slope)
    dx, dslope = prelu_backward(dy, cache)
    assert (y.shape, dx.shape, dslope.shape) == (shape, shape, (count,))
    for c in range(count):
        channel = (slice(None), c) if count > 1 else ...
        expected, one = ops.leaky_relu_forward(np.asarray(x[channel]), negative_slope=float(slope[c]))
        np.testing.assert_allclose(y[channel], expected)
        np.testing.assert_allclose(dx[channel], ops.leaky_relu_backward(np.asarray(dy[channel]), one))
        np.testing.assert_allclose(dslope[c], np.sum(dy[channel] * np.minimum(x[channel], 0)))


@pytest.mark.parametrize("slopes", [1, 3])
def test_prelu_gradients_by_finite_differences(slopes):
    rng = np.random.default_rng(0)
    inputs = {"x": spaced((2, 3, 4, 5), rng), "slope": rng.standard_normal(slopes)}
    dy = rng.standard_normal((2, 3, 4, 5))
    gradients = dict(zip(inputs, prelu_backward(dy, prelu_forward(**inputs)[1]), strict=True))
    assert_gradients_match(lambda **v: prelu_forward(**v)[0], inputs, gradients, dy)


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("slope", [np.array([0.25]), np.array([0.5, -1.0, 2.0])])
def test_prelu_in_any_layout(slope):
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    y, cache = prelu_forward(x, slope)
    expected = (y, *prelu_backward(dy, cache))
    for (label, xs), (_, dys) in zip(layouts(x), layouts(dy), strict=True):
        for _, slopes in layouts(slope):
            y, cache = prelu_forward(xs, slopes)
            actual = (y, *prelu_backward(dys, cache))
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, e, rtol=1e-13, err_msg=label)
                assert a.dtype == np.dtype(np.float64)
            assert is_hwnc(y) == is_hwnc(actual[1]) == is_hwnc(xs)


def test_prelu_recycles_memory():
    x = to_hwnc(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))
    slope = np.full(16, 0.25, np.float32)

    def run():
        y, cache = prelu_forward(x, slope)
        prelu_backward(y, cache)

    assert_recycles(run, x.nbytes / 8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_prelu_dtype_in_is_dtype_out(dtype):
    x = np.linspace(-2, 2, 12, dtype=dtype).reshape(2, 3, 2)
    y, cache = prelu_forward(x, np.ones(3, dtype))
    assert {a.dtype for a in (y, *prelu_backward(x, cache))} == {np.dtype(dtype)}


# --- bad input ------------------------------------------------------------------------------------------------------

X = np.ones((2, 3))


@every_activation
def test_bad_arrays_are_named(activation):
    name = activation.name
    with pytest.raises(TypeError) as caught:
        activation.forward(X.astype(int))
    assert str(caught.value) == (
        f"{name}_forward: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))"
    )
    _, cache = activation.forward(X)
    with pytest.raises(ShapeError) as caught:
        activation.backward(X.T, cache)
    assert str(caught.value) == f"{name}_backward: dy must have shape (2, 3), got (3, 2)"
    with pytest.raises(TypeError) as caught:
        activation.backward(X.astype(np.float32), cache)
    assert str(caught.value) == (
        f"{name}_backward: dy has dtype float32 but the forward pass ran in float64; convert dy"
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: prelu_forward(X, np.ones(2)),
            ShapeError,
            "prelu_forward: slope must have shape (1,) or (3,) for x (2, 3), got (2,)",
        ),
        (
            lambda: prelu_forward(X[0], np.ones(3)),
            ShapeError,
            "prelu_forward: slope must have shape (1,) for x (3,), got (3,)",
        ),
        (
            lambda: prelu_forward(X, np.ones((3, 1))),
            ShapeError,
            "prelu_forward: slope must have shape (1,) or (3,) for x (2, 3), got (3, 1)",
        ),
        (
            lambda: prelu_forward(X, np.ones(3, np.float32)),
            TypeError,
            "prelu_forward: arguments have different dtypes (x float64, slope float32); convert them to one",
        ),
        (
            lambda: prelu_backward(X[:1], prelu_forward(X, np.ones(1))[1]),
            ShapeError,
            "prelu_backward: dy must have shape (2, 3), got (1, 3)",
        ),
        (
            lambda: ops.gelu_forward(X, approximate="erf"),
            ValueError,
            "gelu_forward: approximate must be 'none' or 'tanh', got 'erf'",
        ),
        (
            lambda: ops.leaky_relu_forward(X, negative_slope="a"),
            TypeError,
            "leaky_relu_forward: negative_slope must be a number, got 'a'",
        ),
        (lambda: ops.elu_forward(X, alpha=None), TypeError, "elu_forward: alpha must be a number, got None"),
        (
            lambda: ops.softplus_forward(X, beta=0.0),
            ValueError,
            "softplus_forward: beta must be above 0, got 0.0",
        ),
    ],
)
def test_bad_options_are_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
