"""Dropout climbs the ladder: by hand, by its statistics, by its adjoint, by PyTorch's vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from ladder import Case, assert_forward, assert_gradient, assert_gradients_match, conformance, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import dropout_backward, dropout_forward, is_hwnc


class Drawn(np.random.Generator):
    """A generator that draws what it was given."""

    def __new__(cls, values):
        return super().__new__(cls, np.random.PCG64(0))

    def __init__(self, values):
        super().__init__(np.random.PCG64(0))
        self.values = np.asarray(values, np.float32)

    def random(self, size=None, dtype=np.float64, out=None):
        assert (size, dtype) == (self.values.shape, np.float32)
        return self.values


def test_by_hand():
    # p = 3/4 drops what is drawn below 3/4, and multiplies the rest by 1 / (1 - 3/4) = 4
    x = np.array([1.0, 2.0, 3.0])
    y, cache = dropout_forward(x, p=0.75, train=True, rng=Drawn([0.0, 0.75, 0.99]))
    np.testing.assert_array_equal(y, [0, 8, 12])
    np.testing.assert_array_equal(cache.keep, [False, True, True])
    np.testing.assert_array_equal(dropout_backward(np.array([5.0, 5.0, 5.0]), cache), [0, 20, 20])


@pytest.mark.parametrize("options", [{"train": False, "p": 0.5}, {"train": True, "p": 0.0}])
def test_where_nothing_is_dropped_no_generator_is_needed(options):
    (x,) = frozen(np.ones((2, 3)))
    y, cache = dropout_forward(x, **options, rng=None)
    assert y is x
    assert cache.keep is None
    assert dropout_backward(x, cache) is x


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_keeps_the_mean(p):
    # 200_000 draws: the share kept has a standard deviation of sqrt(p * (1 - p) / 200_000) < 0.0012
    y, cache = dropout_forward(np.ones(200_000), p=p, train=True, rng=np.random.default_rng(0))
    assert abs(cache.keep.mean() - (1 - p)) < 0.006
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - p)])
    assert abs(y.mean() - 1) < 0.006 / (1 - p)


@settings(max_examples=40, deadline=None)
@given(
    shape=array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), p=st.floats(0, 0.99), seed=st.integers(0, 2**16)
)
def test_backward_is_the_adjoint(shape, p, seed):
    rng = np.random.default_rng(seed)
    x, dy = frozen(np.asarray(rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape)))
    y, cache = dropout_forward(x, p=p, train=True, rng=rng)
    dx = dropout_backward(dy, cache)
    assert y.shape == dx.shape == shape
    np.testing.assert_allclose(np.sum(y * dy), np.sum(x * dx), atol=1e-9)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))

    def forward(x):
        return dropout_forward(x, p=0.3, train=True, rng=np.random.default_rng(7))

    gradients = {"x": dropout_backward(dy, forward(x)[1])}
    assert_gradients_match(lambda x: forward(x)[0], {"x": x}, gradients, dy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("linear_misc", "dropout"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    y, cache = dropout_forward(case["x"], p=case.attrs["p"], train=True, rng=Drawn(case["keep"]))
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(dropout_backward(case["dy"], cache), case["dx"])


@pytest.mark.fault("odd-arrays")
def test_one_generator_gives_one_mask_in_any_layout_and_dtype():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    expected, _ = dropout_forward(x, p=0.4, train=True, rng=np.random.default_rng(7))
    for label, xs in layouts(x):
        y, cache = dropout_forward(xs, p=0.4, train=True, rng=np.random.default_rng(7))
        np.testing.assert_array_equal(y, expected, err_msg=label)
        dx = dropout_backward(np.ascontiguousarray(xs), cache)
        np.testing.assert_array_equal(dx, expected, err_msg=label)
        assert y.dtype == dx.dtype == np.dtype(np.float64)
        assert is_hwnc(y) == is_hwnc(dx) == is_hwnc(cache.keep) == is_hwnc(xs)
    y, _ = dropout_forward(x.astype(np.float32), p=0.4, train=True, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(y == 0, expected == 0)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype, train):
    x = np.ones((3, 4), dtype)
    y, cache = dropout_forward(x, p=np.float64(0.5), train=train, rng=np.random.default_rng(0))
    assert y.dtype == dropout_backward(x, cache).dtype == dtype


X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: dropout_forward(X, p=1.0, train=False, rng=None),
            ValueError,
            "dropout_forward: p must be in [0, 1), got 1.0",
        ),
        (
            lambda: dropout_forward(X, p=-0.1, train=True, rng=None),
            ValueError,
            "dropout_forward: p must be in [0, 1), got -0.1",
        ),
        (
            lambda: dropout_forward(X, p=float("nan"), train=True, rng=None),
            ValueError,
            "dropout_forward: p must be in [0, 1), got nan",
        ),
        (
            lambda: dropout_forward(X, p="half", train=True, rng=None),
            TypeError,
            "dropout_forward: p must be a number, got 'half'",
        ),
        (
            lambda: dropout_forward(X, p=0.5, train=True, rng=None),
            TypeError,
            "dropout_forward: rng must be a numpy.random.Generator where train is True and p > 0, got None",
        ),
        (
            lambda: dropout_forward(X.astype(int), p=0.5, train=True, rng=None),
            TypeError,
            "dropout_forward: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: dropout_backward(X.T, dropout_forward(X, p=0.5, train=True, rng=np.random.default_rng(0))[1]),
            ShapeError,
            "dropout_backward: dy must have shape (2, 3), got (3, 2)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
