"""Batch norm with its ReLU is batch norm, then ReLU: forward, backward, alone and in shards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, assert_recycles, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import batch_norm_backward, batch_norm_forward, channels, is_hwnc, to_hwnc
from cnn_from_scratch.ops.batch_norm_relu import batch_norm_relu_backward, batch_norm_relu_forward
from cnn_from_scratch.parallel import ThreadGroup

ORDERS = [np.ascontiguousarray, to_hwnc]


def apart(x, weight, bias, mean, var, dy, **options):
    """(y, dx, dweight, dbias, running_mean, running_var) of the two operations one after the other."""
    z, cache = batch_norm_forward(x, weight, bias, mean, var, **options)
    y = np.maximum(z, 0)
    gradients = batch_norm_backward(np.where(y == 0, 0, dy).astype(dy.dtype), cache)
    return y, *gradients, cache.running_mean, cache.running_var


def together(x, weight, bias, mean, var, dy, **options):
    y, cache = batch_norm_relu_forward(x, weight, bias, mean, var, **options)
    return y, *batch_norm_relu_backward(dy, cache), cache.norm.running_mean, cache.norm.running_var


def arrays(shape, dtype, seed=0, mean=0.0):
    """Read-only x, weight (some negative), bias, running mean and variance, dy."""
    rng = np.random.default_rng(seed)
    C = shape[1]
    x, dy = rng.standard_normal(shape) + mean, rng.standard_normal(shape)
    vectors = rng.standard_normal(C), rng.standard_normal(C), rng.standard_normal(C), rng.uniform(0.5, 2, C)
    return frozen(*(a.astype(dtype) for a in (x, *vectors, dy)))


def assert_same(actual, wanted, tolerance):
    for a, w in zip(actual, wanted, strict=True):
        if w is None:
            assert a is None
        else:
            assert a.dtype == w.dtype
            np.testing.assert_allclose(a, w, rtol=tolerance, atol=tolerance)


def test_by_hand():
    # 1 3 5 7: mean 4, variance 5, and eps = 4 makes the root 3; times 3 plus 1: -2 0 2 4, and the ReLU: 0 0 2 4
    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(4, 1)
    y, cache = batch_norm_relu_forward(x, np.full(1, 3.0), np.ones(1), None, None, train=True, eps=4.0)
    np.testing.assert_allclose(y.ravel(), [0, 0, 2, 4], atol=1e-15)
    # dy = 9 9 0 1 becomes d = 0 0 0 1; xhat = -1 -1/3 1/3 1; mean(d) = 1/4, mean(d * xhat) = 1/4,
    # dx = 3 / 3 * (d - 1/4 - xhat / 4) = -1/4 + 1/4, -1/4 + 1/12, -1/4 - 1/12, 1 - 1/4 - 1/4
    dx, dweight, dbias = batch_norm_relu_backward(np.array([9.0, 9.0, 0.0, 1.0]).reshape(4, 1), cache)
    np.testing.assert_allclose(dx.ravel(), [0, -1 / 6, -1 / 3, 1 / 2], atol=1e-15)
    np.testing.assert_allclose((dweight[0], dbias[0]), (1, 1))


sizes = st.integers(1, 4)
shapes = st.one_of(
    st.tuples(st.integers(0, 5), sizes),
    st.tuples(st.integers(0, 5), sizes, sizes),
    st.tuples(st.integers(0, 5), sizes, sizes, sizes),
)


@settings(max_examples=60, deadline=None)
@given(shapes, st.booleans(), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**16))
def test_together_is_exactly_what_they_are_apart(shape, train, dtype, seed):
    if shape[0] * int(np.prod(shape[2:])) == 1:
        shape = (shape[0] + 1, *shape[1:])
    given_arrays = arrays(shape, dtype, seed)
    for order in ORDERS if len(shape) == 4 else ORDERS[:1]:
        images = (order(given_arrays[0]), *given_arrays[1:])
        for actual, wanted in zip(together(*images, train=train), apart(*images, train=train), strict=True):
            if wanted is None:
                assert actual is None
            else:
                np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_by_finite_differences(training):
    x, weight, bias, mean, var, dy = arrays((3, 2, 3, 4), np.float64, seed=3)
    inputs = {"x": x, "weight": weight, "bias": bias}
    forward = lambda **v: batch_norm_relu_forward(**v, running_mean=mean, running_var=var, train=training)[0]  # noqa: E731
    y, cache = batch_norm_relu_forward(**inputs, running_mean=mean, running_var=var, train=training)
    before_relu, _ = batch_norm_forward(**inputs, running_mean=mean, running_var=var, train=training)
    assert np.abs(before_relu).min() > 1e-4  # no kink within reach
    gradients = dict(zip(inputs, batch_norm_relu_backward(dy, cache), strict=True))
    assert_gradients_match(forward, inputs, gradients, dy)


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    x, *vectors, dy = arrays((3, 4, 3, 5), np.float64)
    wanted = apart(x, *vectors, dy, train=True)
    for (label, images), (_, gradient) in itertools.product(layouts(x), layouts(dy)):
        for actual, expected in zip(together(images, *vectors, gradient, train=True), wanted, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-12, err_msg=label)


@pytest.mark.parametrize("order", ORDERS)
def test_results_lie_as_their_input_does(order):
    x, *vectors, dy = arrays((3, 4, 3, 5), np.float32)
    y, cache = batch_norm_relu_forward(order(x), *vectors, train=True)
    dx, _, _ = batch_norm_relu_backward(dy, cache)
    assert is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)


@pytest.mark.parametrize("order", ORDERS)
def test_many_pieces_are_one_result(order, monkeypatch):
    x, *vectors, dy = arrays((5, 3, 4, 6), np.float64)
    wanted = together(order(x), *vectors, dy, train=True)
    for piece, row in ((50, 16), (1, 1)):
        monkeypatch.setattr(channels, "PIECE", piece)
        monkeypatch.setattr(channels, "ROW", row)
        assert_same(together(order(x), *vectors, dy, train=True), wanted, 1e-13)


@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("cut", [0, 2, 5])
def test_two_shards_give_what_the_whole_batch_gives(cut, mean):
    x, weight, bias, running_mean, var, dy = arrays((5, 3, 4, 2), np.float32, mean=mean)
    whole = together(x, weight, bias, running_mean, var, dy, train=True)

    def step(member):
        part = slice(0, cut) if member.rank == 0 else slice(cut, 5)
        options = {"train": True, "group": member}
        return together(to_hwnc(x[part]), weight, bias, running_mean, var, dy[part], **options)

    ys, dxs, dweights, dbiases, means, variances = zip(*ThreadGroup(2).run(step), strict=True)
    shards = np.concatenate(ys), np.concatenate(dxs), sum(dweights), sum(dbiases), means[0], variances[0]
    assert_same(shards, whole, 2e-4 if mean else 1e-5)
    np.testing.assert_array_equal(means[0], means[1])


def test_nan_goes_the_way_it_goes_through_relu():
    # where y is NaN, dy passes; where y is 0, an infinite dy does not
    x = np.array([-1.0, 1.0, 2.0]).reshape(3, 1)
    dy = np.array([np.inf, 6.0, 7.0]).reshape(3, 1)
    one = np.ones(1)
    x[2] = np.nan
    wanted = apart(x, None, None, one, one, dy, train=False)
    actual = together(x, None, None, one, one, dy, train=False)
    np.testing.assert_array_equal(actual[0], wanted[0])
    np.testing.assert_array_equal(actual[1], wanted[1])


def test_memory_is_used_again():
    x, *vectors, dy = arrays((32, 32, 16, 16), np.float32)  # 1 MiB
    x, dy = to_hwnc(x), to_hwnc(dy)
    assert_recycles(lambda: together(x, *vectors, dy, train=True), 1 << 18)


X = np.ones((2, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: batch_norm_relu_forward(np.ones(4), None, None, None, None, train=True),
            ShapeError,
            "batch_norm_relu_forward: x must have at least 2 axes (N, C, ...), got shape (4,)",
        ),
        (
            lambda: batch_norm_relu_forward(X, np.ones(3), None, None, None, train=True),
            ShapeError,
            "batch_norm_relu_forward: weight must have shape (4,), got (3,)",
        ),
        (
            lambda: batch_norm_relu_forward(X, None, None, None, None, train=False),
            ValueError,
            "batch_norm_relu_forward: evaluation needs running_mean and running_var, got None",
        ),
        (
            lambda: batch_norm_relu_forward(X[:1, :, :1, :1], None, None, None, None, train=True),
            ValueError,
            "batch_norm_relu_forward: training needs more than one value per channel, got x (1, 4, 1, 1)",
        ),
        (
            lambda: batch_norm_relu_backward(X[:1], batch_norm_relu_forward(X, None, None, None, None, train=True)[1]),
            ShapeError,
            "batch_norm_relu_backward: dy must have shape (2, 4, 3, 3), got (1, 4, 3, 3)",
        ),
        (
            lambda: batch_norm_relu_backward(
                X.astype(np.float32), batch_norm_relu_forward(X, None, None, None, None, train=True)[1]
            ),
            TypeError,
            "batch_norm_relu_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
