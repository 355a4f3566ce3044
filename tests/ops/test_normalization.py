"""Batch, layer and group normalization climb the ladder."""

from __future__ import annotations

import itertools
import threading

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
    frozen,
    layouts,
)

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    batch_norm_backward,
    batch_norm_forward,
    channels,
    group_norm_backward,
    group_norm_forward,
    is_hwnc,
    layer_norm_backward,
    layer_norm_forward,
    to_hwnc,
)

ORDERS = [np.ascontiguousarray, to_hwnc]


def train(x, weight=None, bias=None, **options):
    return batch_norm_forward(x, weight, bias, None, None, train=True, **options)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_batch_norm_by_hand():
    # channel 0: 1 3 5 7, mean 4, variance (9 + 1 + 1 + 9) / 4 = 5, and eps = 4 makes the root 3
    # channel 1: 2 2 2 2, mean 2, variance 0, and eps = 4 makes the root 2
    x = np.array([[[1.0, 3.0], [2.0, 2.0]], [[5.0, 7.0], [2.0, 2.0]]])  # (N, C, L) = (2, 2, 2)
    weight, bias = np.array([3.0, 8.0]), np.array([10.0, 20.0])
    running_mean, running_var = np.array([0.0, 2.0]), np.array([1.0, 1.0])
    y, cache = batch_norm_forward(x, weight, bias, running_mean, running_var, train=True, momentum=0.25, eps=4.0)
    np.testing.assert_allclose(y, [[[7, 9], [20, 20]], [[11, 13], [20, 20]]])
    np.testing.assert_allclose(cache.running_mean, [0.25 * 4, 2])
    # the running variance is unbiased: 20 / 3 and 0
    np.testing.assert_allclose(cache.running_var, [0.75 + 0.25 * 20 / 3, 0.75])
    # dy = 1 for the first value of channel 0: mean(dy) = 1/4, xhat = -1 -1/3 1/3 1, mean(dy * xhat) = -1/4,
    # dx = weight / 3 * (dy - 1/4 + xhat / 4) = 1 - 1/4 - 1/4, -1/4 - 1/12, -1/4 + 1/12, -1/4 + 1/4
    dx, dweight, dbias = batch_norm_backward(np.eye(1, 8).reshape(2, 2, 2), cache)
    np.testing.assert_allclose(dx, [[[1 / 2, -1 / 3], [0, 0]], [[-1 / 6, 0], [0, 0]]], atol=1e-15)
    np.testing.assert_allclose(dweight, [-1, 0])
    np.testing.assert_allclose(dbias, [1, 0])


def test_batch_norm_in_evaluation_by_hand():
    # (x - 1) / sqrt(8 + 1) * 6 + 5 = 2 * (x - 1) + 5; a gradient goes through times 2
    x, one = np.array([[1.0], [4.0]]), np.ones(1)
    y, cache = batch_norm_forward(x, 6 * one, 5 * one, one, 8 * one, train=False, eps=1.0)
    np.testing.assert_allclose(y, [[5], [11]])
    assert cache.running_mean is None
    assert cache.running_var is None
    dx, dweight, dbias = batch_norm_backward(np.array([[10.0], [1.0]]), cache)
    np.testing.assert_allclose(dx, [[20], [2]])
    np.testing.assert_allclose(dweight, [10 * 0 + 1 * 1])
    np.testing.assert_allclose(dbias, [11])


def test_layer_and_group_norm_by_hand():
    # channels 0 and 1: 1 3 5 7, mean 4, root 3 with eps = 4, as above; channels 2 and 3: 2 2 2 2
    x = np.array([[[1.0, 3.0], [5.0, 7.0], [2.0, 2.0], [2.0, 2.0]]])  # (N, C, L) = (1, 4, 2)
    weight, bias = np.array([3.0, 6.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 9.0])
    y, cache = group_norm_forward(x, weight, bias, num_groups=2, eps=4.0)
    np.testing.assert_allclose(y, [[[-3, -1], [2, 6], [0, 0], [9, 9]]])
    dx, dweight, dbias = group_norm_backward(np.eye(1, 8).reshape(1, 4, 2), cache)
    np.testing.assert_allclose(dx, [[[1 / 2, -1 / 3], [-1 / 6, 0], [0, 0], [0, 0]]], atol=1e-15)
    np.testing.assert_allclose(dweight, [-1, 0, 0, 0])
    np.testing.assert_allclose(dbias, [1, 0, 0, 0])
    # one row of four: the same numbers
    y, cache = layer_norm_forward(x[0, :2].reshape(1, 4), weight[[0, 0, 1, 1]], None, normalized_shape=4, eps=4.0)
    np.testing.assert_allclose(y, [[-3, -1, 2, 6]])
    dx, dweight, dbias = layer_norm_backward(np.eye(1, 4), cache)
    np.testing.assert_allclose(dweight, [-1, 0, 0, 0])
    np.testing.assert_allclose(dx, [[1 / 2, -1 / 3, -1 / 6, 0]], atol=1e-15)
    assert dbias is None


# --- oracles and shapes ---------------------------------------------------------------------------------------------


def plain_batch_norm(x, weight, bias, mean=None, var=None, eps=1e-5):
    """The formula, channel by channel."""
    y = np.empty(x.shape)
    for c in range(x.shape[1]):
        m, v = (x[:, c].mean(), x[:, c].var()) if mean is None else (mean[c], var[c])
        y[:, c] = (x[:, c] - m) / np.sqrt(v + eps)
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def plain_layer_norm(x, weight, bias, normalized_shape, eps=1e-5):
    """The formula, example by example."""
    y = np.empty(x.shape)
    for place in np.ndindex(x.shape[: x.ndim - len(normalized_shape)]):
        one = x[place]
        y[place] = (one - one.mean()) / np.sqrt(one.var() + eps)
        y[place] = y[place] * (1 if weight is None else weight) + (0 if bias is None else bias)
    return y


def plain_group_norm(x, weight, bias, num_groups, eps=1e-5):
    """The formula, group by group."""
    y = np.empty(x.shape)
    width = x.shape[1] // num_groups
    for n, g in np.ndindex(len(x), num_groups):
        part = x[n, g * width : (g + 1) * width]
        y[n, g * width : (g + 1) * width] = (part - part.mean()) / np.sqrt(part.var() + eps)
    for c in range(x.shape[1]):
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


sizes = st.integers(1, 4)
shapes = st.one_of(
    st.tuples(st.integers(0, 5), sizes),
    st.tuples(st.integers(0, 5), sizes, sizes),
    st.tuples(st.integers(0, 5), sizes, sizes, sizes),
    st.tuples(st.integers(0, 3), sizes, sizes, sizes, sizes),
)
flags = st.tuples(st.booleans(), st.booleans())
seeds = st.integers(0, 2**16)


def draw_arrays(shape, vector_shape, given_vectors, seed):
    """x, weight or None, bias or None, dy: read-only."""
    rng = np.random.default_rng(seed)
    x, dy = 2 * rng.standard_normal(shape) + 10 * rng.standard_normal(), rng.standard_normal(shape)
    weight, bias = (rng.standard_normal(vector_shape) if present else None for present in given_vectors)
    return frozen(x, weight, bias, dy)


@settings(max_examples=100, deadline=None)
@given(shapes, flags, seeds)
def test_batch_norm_against_the_plain_formula(shape, given_vectors, seed):
    x, weight, bias, dy = draw_arrays(shape, shape[1], given_vectors, seed)
    values = x.size // shape[1]
    if values == 1:
        with pytest.raises(ValueError, match="more than one value per channel"):
            train(x, weight, bias)
        return
    for order in ORDERS if x.ndim == 4 else ORDERS[:1]:
        old_mean, old_var = frozen(np.zeros(shape[1]), np.ones(shape[1]))
        y, cache = batch_norm_forward(order(x), weight, bias, old_mean, old_var, train=True)
        dx, dweight, dbias = batch_norm_backward(dy, cache)
        assert dx.shape == x.shape
        assert (dweight is None) == (weight is None)
        assert (dbias is None) == (bias is None)
        if not values:
            np.testing.assert_array_equal(cache.running_mean, old_mean)
            np.testing.assert_array_equal(cache.running_var, old_var)
            continue
        others = (0, *range(2, x.ndim))
        np.testing.assert_allclose(y, plain_batch_norm(x, weight, bias), atol=1e-9)
        np.testing.assert_allclose(cache.running_mean, 0.1 * x.mean(others), atol=1e-12)
        np.testing.assert_allclose(cache.running_var, 0.9 + 0.1 * x.var(others, ddof=1), atol=1e-12)
        # what leaves through dx cannot move the mean, nor the variance where eps is small
        np.testing.assert_allclose(dx.sum(others), 0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(shapes, flags, seeds)
def test_batch_norm_in_evaluation_against_the_plain_formula(shape, given_vectors, seed):
    x, weight, bias, dy = draw_arrays(shape, shape[1], given_vectors, seed)
    rng = np.random.default_rng(seed)
    mean, var = frozen(10 * rng.standard_normal(shape[1]), rng.uniform(0.5, 2, shape[1]))
    y, cache = batch_norm_forward(x, weight, bias, mean, var, train=False)
    np.testing.assert_allclose(y, plain_batch_norm(x, weight, bias, mean, var), atol=1e-12)
    np.testing.assert_allclose(
        batch_norm_backward(dy, cache)[0], plain_batch_norm(dy, weight, None, 0 * mean, var), atol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(1, 3), flags, seeds)
def test_layer_norm_against_the_plain_formula(shape, count, given_vectors, seed):
    normalized_shape = shape[max(1, len(shape) - count) :]
    x, weight, bias, dy = draw_arrays(shape, normalized_shape, given_vectors, seed)
    for order in ORDERS if x.ndim == 4 else ORDERS[:1]:
        y, cache = layer_norm_forward(order(x), weight, bias, normalized_shape=normalized_shape)
        np.testing.assert_allclose(y, plain_layer_norm(x, weight, bias, normalized_shape), atol=1e-9)
        dx, dweight, dbias = layer_norm_backward(dy, cache)
        axes = tuple(range(len(shape) - len(normalized_shape), len(shape)))
        np.testing.assert_allclose(dx.sum(axes), 0, atol=1e-8)
        assert (dweight is None) == (weight is None)
        assert (dbias is None) == (bias is None)


@settings(max_examples=60, deadline=None)
@given(shapes, sizes, flags, seeds)
def test_group_norm_against_the_plain_formula(shape, num_groups, given_vectors, seed):
    shape = (shape[0], num_groups * shape[1], *shape[2:])
    x, weight, bias, dy = draw_arrays(shape, shape[1], given_vectors, seed)
    for order in ORDERS if x.ndim == 4 else ORDERS[:1]:
        y, cache = group_norm_forward(order(x), weight, bias, num_groups=num_groups)
        np.testing.assert_allclose(y, plain_group_norm(x, weight, bias, num_groups), atol=1e-9)
        dx, dweight, dbias = group_norm_backward(dy, cache)
        per_group = dx.reshape(len(x), num_groups, -1) if len(x) else dx
        np.testing.assert_allclose(per_group.sum(-1), 0, atol=1e-8)
        assert (dweight is None) == (weight is None)
        assert (dbias is None) == (bias is None)


def test_one_group_is_layer_norm_and_one_channel_each_is_instance_norm():
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 3))
    whole = layer_norm_forward(x, None, None, normalized_shape=(4, 3, 3))[0]
    np.testing.assert_allclose(group_norm_forward(x, None, None, num_groups=1)[0], whole, atol=1e-14)
    each = layer_norm_forward(x, None, None, normalized_shape=(3, 3))[0]
    np.testing.assert_allclose(group_norm_forward(x, None, None, num_groups=4)[0], each, atol=1e-14)


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (3, 2, 4), (3, 2, 3, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients_by_finite_differences(shape, training):
    rng = np.random.default_rng(0)
    C = shape[1]
    inputs = {"x": rng.standard_normal(shape) + 3, "weight": rng.standard_normal(C), "bias": rng.standard_normal(C)}
    running = {"running_mean": rng.standard_normal(C), "running_var": rng.uniform(0.5, 2, C)}
    y, cache = batch_norm_forward(**inputs, **running, train=training)
    dy = rng.standard_normal(shape)
    gradients = dict(zip(inputs, batch_norm_backward(dy, cache), strict=True))
    forward = lambda **v: batch_norm_forward(**v, **running, train=training)[0]  # noqa: E731
    assert_gradients_match(forward, inputs, gradients, dy)


@pytest.mark.parametrize(
    ("forward", "backward", "shape", "vector", "options"),
    [
        (layer_norm_forward, layer_norm_backward, (4, 5), 5, {"normalized_shape": 5}),
        (layer_norm_forward, layer_norm_backward, (3, 2, 4), (2, 4), {"normalized_shape": (2, 4)}),
        (layer_norm_forward, layer_norm_backward, (2, 3, 4, 2), (3, 4, 2), {"normalized_shape": (3, 4, 2)}),
        (group_norm_forward, group_norm_backward, (2, 4, 3, 2), 4, {"num_groups": 2}),
        (group_norm_forward, group_norm_backward, (3, 6), 6, {"num_groups": 3}),
    ],
)
def test_layer_and_group_norm_gradients_by_finite_differences(forward, backward, shape, vector, options):
    rng = np.random.default_rng(0)
    inputs = {
        "x": rng.standard_normal(shape),
        "weight": rng.standard_normal(vector),
        "bias": rng.standard_normal(vector),
    }
    y, cache = forward(**inputs, **options)
    dy = rng.standard_normal(shape)
    gradients = dict(zip(inputs, backward(dy, cache), strict=True))
    assert_gradients_match(lambda **v: forward(**v, **options)[0], inputs, gradients, dy)


# --- PyTorch's vectors ----------------------------------------------------------------------------------------------


def run_case(case: Case, order):
    """y, cache, gradients of one reference case, and what the running statistics became."""
    x, weight, bias, attrs = order(case["x"]), case.get("weight"), case.get("bias"), case.attrs
    if case.op == "batch_norm":
        running = case["running_mean_before"], case["running_var_before"]
        options = {"train": attrs["training"], "momentum": attrs["momentum"]}
        y, cache = batch_norm_forward(x, weight, bias, *running, **options, eps=attrs["eps"])
        return y, cache, batch_norm_backward(case["dy"], cache)
    if case.op == "layer_norm":
        y, cache = layer_norm_forward(
            x, weight, bias, normalized_shape=tuple(attrs["normalized_shape"]), eps=attrs["eps"]
        )
        return y, cache, layer_norm_backward(case["dy"], cache)
    y, cache = group_norm_forward(x, weight, bias, num_groups=attrs["num_groups"], eps=attrs["eps"])
    return y, cache, group_norm_backward(case["dy"], cache)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", conformance("norm"))
def test_reference_vectors(case: Case, order, dtype):
    case = case.float32() if dtype == np.float32 else case
    if case["x"].ndim != 4:
        order = np.ascontiguousarray
    y, cache, (dx, dweight, dbias) = run_case(case, order)
    assert {a.dtype for a in (y, dx, dweight, dbias) if a is not None} == {np.dtype(dtype)}
    assert_forward(y, case["y"], case)
    assert_gradient(dx, case["dx"], case)
    if case.attrs["affine"]:
        assert_gradient(dweight, case["dweight"], case)
        assert_gradient(dbias, case["dbias"], case)
    else:
        assert dweight is None
        assert dbias is None
    if case.op == "batch_norm" and case.attrs["training"]:
        assert_forward(cache.running_mean, case["running_mean_after"], case)
        assert_forward(cache.running_var, case["running_var_after"], case)


# --- a mean far above the spread ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("dtype", "mean", "rtol"), [(np.float64, 1e6, 1e-9), (np.float32, 1e4, 1e-5)])
def test_a_mean_far_above_the_spread_does_no_harm(order, dtype, mean, rtol):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((8, 3, 20, 20)) + mean).astype(dtype)  # the mean of one channel is 0
    x[:, 1] -= dtype(mean)
    dy = rng.standard_normal(x.shape).astype(dtype)
    weight, bias = np.ones(3, dtype), np.zeros(3, dtype)
    exact = x.astype(np.longdouble)
    m, v = exact.mean((0, 2, 3), keepdims=True), exact.var((0, 2, 3), keepdims=True)
    xhat = (exact - m) / np.sqrt(v + 1e-5)
    d = dy.astype(np.longdouble)
    expected = {
        "y": xhat,
        "dx": (d - d.mean((0, 2, 3), keepdims=True) - xhat * (d * xhat).mean((0, 2, 3), keepdims=True))
        / np.sqrt(v + 1e-5),
        "dweight": (d * xhat).sum((0, 2, 3)),
        "dbias": d.sum((0, 2, 3)),
    }
    y, cache = train(order(x), weight, bias)
    for actual, (name, wanted) in zip((y, *batch_norm_backward(dy, cache)), expected.items(), strict=True):
        error = np.abs(actual - wanted.astype(np.float64)).max() / np.abs(wanted).max()
        assert error < (rtol if name == "y" else 20 * rtol), f"{name}: {error}"
    for forward in (
        lambda x: layer_norm_forward(x, None, None, normalized_shape=(1, 20, 20))[0],
        lambda x: group_norm_forward(x, None, None, num_groups=1)[0],
    ):
        alone = order(x[:, :1])
        exact = alone.astype(np.longdouble)
        m, v = exact.mean((1, 2, 3), keepdims=True), exact.var((1, 2, 3), keepdims=True)
        wanted = ((exact - m) / np.sqrt(v + 1e-5)).astype(np.float64)
        assert np.abs(forward(alone) - wanted).max() < 3 * rtol


def test_a_constant_channel_becomes_its_bias():
    x = np.full((4, 2, 3, 3), 0.1, np.float32)
    y, cache = train(x, None, np.array([5, -1], np.float32))
    np.testing.assert_allclose(y[0, :, 0, 0], [5, -1], atol=1e-5)
    assert np.isfinite(batch_norm_backward(y, cache)[0]).all()


# --- layouts and dtypes ---------------------------------------------------------------------------------------------


OPERATIONS = {
    "training": (lambda x, w, b: train(x, w, b), batch_norm_backward),
    "evaluation": (
        lambda x, w, b: batch_norm_forward(x, w, b, np.ones(4), np.full(4, 2.0), train=False),
        batch_norm_backward,
    ),
    "layer": (
        lambda x, w, b: layer_norm_forward(
            x,
            *(v if v is None else np.multiply.outer(v, np.ones((3, 5), v.dtype)) for v in (w, b)),
            normalized_shape=(4, 3, 5),
        ),
        layer_norm_backward,
    ),
    "group": (lambda x, w, b: group_norm_forward(x, w, b, num_groups=2), group_norm_backward),
}


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_layout_gives_the_same_result(name):
    forward, backward = OPERATIONS[name]
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.standard_normal(s) for s in ((3, 4, 3, 5), 4, 4, (3, 4, 3, 5)))
    y, cache = forward(x, weight, bias)
    expected = (y, *backward(dy, cache))
    nhwc = ("N, H, W, C", np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    vectors = [*zip(layouts(weight), layouts(bias), strict=True)] * 2
    for (label, images), ((_, w), (_, b)) in zip([*layouts(x), nhwc], vectors, strict=False):
        for gradient in (dy, to_hwnc(dy), dy[::-1].copy()[::-1]):
            y, cache = forward(images, w, b)
            for actual, wanted in zip((y, *backward(gradient, cache)), expected, strict=True):
                np.testing.assert_allclose(actual, wanted, atol=1e-12, err_msg=label)
                assert actual.dtype == np.dtype(np.float64)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(3, 4, 3, 5), (1, 4, 3, 5)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_lie_as_their_input_does(name, shape, order):
    forward, backward = OPERATIONS[name]
    x = order(np.random.default_rng(0).standard_normal(shape))
    y, cache = forward(x, np.ones(4), np.ones(4))
    dx, _, _ = backward(y, cache)
    assert is_hwnc(x) == is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)
    for result in (y, dx):
        assert (result.transpose(2, 3, 0, 1) if order is to_hwnc else result).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", OPERATIONS)
def test_dtype_in_is_dtype_out(name, affine, dtype):
    forward, backward = OPERATIONS[name]
    x = np.arange(60, dtype=dtype).reshape(1, 4, 3, 5)
    vector = np.ones(4, dtype) if affine else None
    y, cache = forward(x, vector, vector)
    assert {a.dtype for a in (y, *backward(y, cache)) if a is not None} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_running_statistics_keep_their_own_dtype(dtype):
    running = np.ones(2, dtype)
    _, cache = batch_norm_forward(np.eye(2, dtype=np.float32), None, None, running, running, train=True)
    assert cache.running_mean.dtype == cache.running_var.dtype == np.dtype(dtype)
    assert cache.running_mean is not running


def test_nothing_is_remembered_where_there_is_nothing_to_remember():
    _, cache = train(np.eye(3))
    assert cache.running_mean is None
    assert cache.running_var is None


def test_the_momentum_of_one_forgets_and_of_zero_keeps():
    x, old = np.array([[1.0], [3.0]]), np.full(1, 7.0)
    for momentum, mean, var in ((1, 2, 2), (0, 7, 7)):
        _, cache = batch_norm_forward(x, None, None, old, old, train=True, momentum=momentum)
        np.testing.assert_allclose((cache.running_mean, cache.running_var), ([mean], [var]))


@pytest.mark.parametrize("order", ORDERS)
def test_many_pieces_are_one_result(order, monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = order(rng.standard_normal((5, 3, 4, 6))), rng.standard_normal((5, 3, 4, 6))
    results = []
    for piece in (1 << 20, 50, 1):
        monkeypatch.setattr(channels, "PIECE", piece)
        y, cache = train(x, np.ones(3))
        results.append((y, *batch_norm_backward(dy, cache)[:2]))
    for result in results[1:]:
        for actual, wanted in zip(result, results[0], strict=True):
            np.testing.assert_allclose(actual, wanted, atol=1e-13)


# --- shards ---------------------------------------------------------------------------------------------------------


class Shard:
    """One of several threads that meet at a barrier to add what each of them has."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.slots, self.barrier = rank, slots, barrier

    def sum(self, arrays):
        self.slots[self.rank] = arrays
        self.barrier.wait(10)
        totals = [sum(parts[1:], start=parts[0]) for parts in zip(*self.slots, strict=True)]
        self.barrier.wait(10)
        return totals


def on_shards(function, slices):
    """[function(group, slice)] on a thread for each slice; an error in one of them is raised."""
    slots, barrier, results = [None] * len(slices), threading.Barrier(len(slices)), [None] * len(slices)

    def work(rank):
        try:
            results[rank] = function(Shard(rank, slots, barrier), slices[rank])
        except ValueError as error:
            results[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(len(slices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cuts", [(0, 3, 5), (0, 0, 5), (0, 2, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_shards_give_what_the_whole_batch_gives(cuts, dtype, order):
    rng = np.random.default_rng(0)
    x, dy = ((rng.standard_normal((5, 3, 4, 2)) + 10).astype(dtype) for _ in range(2))
    weight, bias, running = (rng.uniform(1, 2, 3).astype(dtype) for _ in range(3))
    y, cache = batch_norm_forward(x, weight, bias, running, running, train=True)
    whole = batch_norm_backward(dy, cache)

    def step(group, part):
        y, cache = batch_norm_forward(order(x[part]), weight, bias, running, running, train=True, group=group)
        return y, cache, batch_norm_backward(order(dy[part]), cache)

    ys, caches, gradients = zip(*on_shards(step, [slice(a, b) for a, b in itertools.pairwise(cuts)]), strict=True)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == np.float64 else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(np.concatenate(ys), y, **tolerance)
    dxs, dweights, dbiases = zip(*gradients, strict=True)
    np.testing.assert_allclose(np.concatenate(dxs), whole[0], **tolerance)
    np.testing.assert_allclose(sum(dweights), whole[1], **tolerance)
    np.testing.assert_allclose(sum(dbiases), whole[2], **tolerance)
    for shard in caches:
        np.testing.assert_allclose(shard.running_mean, cache.running_mean, **tolerance)
        np.testing.assert_allclose(shard.running_var, cache.running_var, **tolerance)
        assert shard.n == 40


@pytest.mark.fault("one-value-a-channel")
def test_one_value_per_channel_is_refused_only_where_all_shards_have_no_more():
    x = np.ones((2, 3))
    one_each = on_shards(lambda group, part: train(x[part], group=group)[0], [slice(0, 1), slice(1, 2)])
    assert [y.shape for y in one_each] == [(1, 3), (1, 3)]
    one_in_all = on_shards(lambda group, part: train(x[part], group=group)[0], [slice(0, 1), slice(2, 2)])
    assert [str(error) for error in one_in_all] == [
        "batch_norm_forward: training needs more than one value per channel, got x (1, 3)",
        "batch_norm_forward: training needs more than one value per channel, got x (0, 3)",
    ]


def test_evaluation_does_not_meet_the_other_shards():
    one = np.ones(3)
    _, cache = batch_norm_forward(np.ones((2, 3)), one, one, one, one, train=False, group=object())
    batch_norm_backward(np.ones((2, 3)), cache)


# --- bad input ------------------------------------------------------------------------------------------------------


X, V = np.ones((2, 4, 3, 3)), np.ones(4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: train(np.ones((1, 4))),
            ValueError,
            "batch_norm_forward: training needs more than one value per channel, got x (1, 4)",
        ),
        (
            lambda: train(np.ones(4)),
            ShapeError,
            "batch_norm_forward: x must have at least 2 axes (N, C, ...), got shape (4,)",
        ),
        (lambda: train(X, V[:3]), ShapeError, "batch_norm_forward: weight must have shape (4,), got (3,)"),
        (lambda: train(X, V, np.ones((4, 1))), ShapeError, "batch_norm_forward: bias must have shape (4,), got (4, 1)"),
        (
            lambda: batch_norm_forward(X, V, V, V[:1], V, train=True),
            ShapeError,
            "batch_norm_forward: running_mean must have shape (4,), got (1,)",
        ),
        (
            lambda: batch_norm_forward(X, V, V, V, np.ones(4, int), train=True),
            TypeError,
            "batch_norm_forward: running_var must be a NumPy array of floats, got int64",
        ),
        (
            lambda: batch_norm_forward(X, V, V, [0.0] * 4, V, train=True),
            TypeError,
            "batch_norm_forward: running_mean must be a NumPy array of floats, got list",
        ),
        (
            lambda: batch_norm_forward(X, V, V, V, None, train=False),
            ValueError,
            "batch_norm_forward: evaluation needs running_mean and running_var, got None",
        ),
        (lambda: train(X, momentum=1.5), ValueError, "batch_norm_forward: momentum must be between 0 and 1, got 1.5"),
        (lambda: train(X, eps=-1.0), ValueError, "batch_norm_forward: eps must be at least 0, got -1.0"),
        (lambda: train(X, eps=np.nan), ValueError, "batch_norm_forward: eps must be finite, got nan"),
        (
            lambda: train(X.astype(np.uint8)),
            TypeError,
            "batch_norm_forward: x has dtype uint8; expected float32 or float64 "
            "(convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: train(X, V.astype(np.float32)),
            TypeError,
            "batch_norm_forward: arguments have different dtypes (x float64, weight float32); convert them to one",
        ),
        (
            lambda: batch_norm_backward(X[:, :, 1:], train(X)[1]),
            ShapeError,
            "batch_norm_backward: dy must have shape (2, 4, 3, 3), got (2, 4, 2, 3)",
        ),
        (
            lambda: batch_norm_backward(X.astype(np.float32), train(X)[1]),
            TypeError,
            "batch_norm_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
        (
            lambda: layer_norm_forward(X, None, None, normalized_shape=(4, 3)),
            ShapeError,
            "layer_norm_forward: x must end in normalized_shape (4, 3), got x (2, 4, 3, 3)",
        ),
        (
            lambda: layer_norm_forward(V, None, None, normalized_shape=(1, 4)),
            ShapeError,
            "layer_norm_forward: x must end in normalized_shape (1, 4), got x (4,)",
        ),
        (
            lambda: layer_norm_forward(X, None, None, normalized_shape=()),
            ShapeError,
            "layer_norm_forward: normalized_shape must be an int >= 1 or several of them, got ()",
        ),
        (
            lambda: layer_norm_forward(X, None, None, normalized_shape=0),
            ShapeError,
            "layer_norm_forward: normalized_shape must be an int >= 1 or several of them, got 0",
        ),
        (
            lambda: layer_norm_forward(X, np.ones((3, 3)), np.ones(3), normalized_shape=(3, 3)),
            ShapeError,
            "layer_norm_forward: bias must have shape (3, 3), got (3,)",
        ),
        (
            lambda: layer_norm_forward(X, None, None, normalized_shape=3, eps=-0.1),
            ValueError,
            "layer_norm_forward: eps must be at least 0, got -0.1",
        ),
        (
            lambda: layer_norm_backward(X[:1], layer_norm_forward(X, None, None, normalized_shape=3)[1]),
            ShapeError,
            "layer_norm_backward: dy must have shape (2, 4, 3, 3), got (1, 4, 3, 3)",
        ),
        (
            lambda: layer_norm_backward(X.astype(np.float32), layer_norm_forward(X, None, None, normalized_shape=3)[1]),
            TypeError,
            "layer_norm_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
        (
            lambda: group_norm_forward(X, None, None, num_groups=3),
            ShapeError,
            "group_norm_forward: num_groups=3 must divide C=4; got x (2, 4, 3, 3)",
        ),
        (
            lambda: group_norm_forward(X, None, None, num_groups=0),
            ShapeError,
            "group_norm_forward: num_groups must be an int >= 1, got 0",
        ),
        (
            lambda: group_norm_forward(V, None, None, num_groups=1),
            ShapeError,
            "group_norm_forward: x must have at least 2 axes (N, C, ...), got shape (4,)",
        ),
        (
            lambda: group_norm_forward(X, V[:2], None, num_groups=2),
            ShapeError,
            "group_norm_forward: weight must have shape (4,), got (2,)",
        ),
        (
            lambda: group_norm_backward(X[:1], group_norm_forward(X, None, None, num_groups=2)[1]),
            ShapeError,
            "group_norm_backward: dy must have shape (2, 4, 3, 3), got (1, 4, 3, 3)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
