"""Convolution with batch norm (and ReLU) in one go is the same as one after the other, in all that comes out of it."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, assert_recycles, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    batch_norm_backward,
    batch_norm_forward,
    conv_backward,
    conv_batch_norm_backward,
    conv_batch_norm_forward,
    conv_batch_norm_relu_backward,
    conv_batch_norm_relu_forward,
    conv_forward,
    is_hwnc,
    to_hwnc,
)
from cnn_from_scratch.ops.channel_sums import ChannelSums
from cnn_from_scratch.parallel import ThreadGroup

ORDERS = [np.ascontiguousarray, to_hwnc]
NAMES = ("y", "dx", "dweight", "dbias", "dbn_weight", "dbn_bias", "running_mean", "running_var")
NORM = ("train", "momentum", "eps", "group")
PAIRS = {
    "conv, norm": (conv_batch_norm_forward, conv_batch_norm_backward),
    "conv, norm, relu": (conv_batch_norm_relu_forward, conv_batch_norm_relu_backward),
}


def apart(name, x, weight, bias, bn_weight, bn_bias, mean, var, dy, **options):
    """All results by name, of the operations one after the other."""
    of_norm = {key: value for key, value in options.items() if key in NORM}
    of_conv = {key: value for key, value in options.items() if key not in NORM}
    z, conv = conv_forward(x, weight, bias, **of_conv)
    y, norm = batch_norm_forward(z, bn_weight, bn_bias, mean, var, **of_norm)
    if "relu" in name:
        y = np.maximum(y, 0)
        dy = np.where(y == 0, 0, dy).astype(dy.dtype)
    dz, *of_scale = batch_norm_backward(dy, norm)
    return dict(zip(NAMES, (y, *conv_backward(dz, conv), *of_scale, norm.running_mean, norm.running_var), strict=True))


def together(name, *arrays, **options):
    forward, backward = PAIRS[name]
    y, cache = forward(*arrays[:-1], **options)
    results = (y, *backward(arrays[-1], cache), cache.norm.running_mean, cache.norm.running_var)
    return dict(zip(NAMES, results, strict=True))


def draw(x_shape, w_shape, dtype, seed=0, mean=0.0, dy_shape=None):
    """Read-only x, weight, bias, bn_weight (some negative), bn_bias, running mean and variance, dy."""
    rng = np.random.default_rng(seed)
    F = w_shape[0]
    vectors = rng.standard_normal(F), rng.standard_normal(F), rng.standard_normal(F), rng.standard_normal(F)
    arrays = rng.standard_normal(x_shape) + mean, rng.standard_normal(w_shape), *vectors, rng.uniform(0.5, 2, F)
    dy = rng.standard_normal((x_shape[0], F, *x_shape[2:]) if dy_shape is None else dy_shape)
    return frozen(*(array.astype(dtype) for array in (*arrays, dy)))


def assert_same(actual, wanted, tolerance, names=NAMES):
    """Relative to the largest number of each result, and at least 1."""
    for name in names:
        if wanted[name] is None:
            assert actual[name] is None, name
            continue
        assert actual[name].dtype == wanted[name].dtype, name
        scale = max(1.0, float(np.abs(wanted[name]).max(initial=0)))
        np.testing.assert_allclose(actual[name], wanted[name], rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("name", PAIRS)
def test_by_hand(name):
    # z = 2x + bias = 2 6 10 14 (+ 5): mean 8, variance (36 + 4 + 4 + 36) / 4 = 20, and eps = 16 makes the root 6;
    # times 6, plus 1: -5 -1 3 7; the running mean takes the bias of 5, too: 8 + 5, and 20 * 4/3
    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 1, 2, 2)
    arrays = x, np.full((1, 1, 1, 1), 2.0), np.full(1, 5.0), np.full(1, 6.0), np.ones(1), np.zeros(1), np.ones(1)
    result = together(name, *arrays, np.full((1, 1, 2, 2), 3.0), train=True, eps=16.0, momentum=1.0)
    np.testing.assert_allclose(result["y"].ravel(), [0, 0, 3, 7] if "relu" in name else [-5, -1, 3, 7])
    np.testing.assert_allclose((result["running_mean"][0], result["running_var"][0]), (13, 80 / 3))
    # the same gradient everywhere moves nothing but the offset; behind a ReLU, d = 0 0 3 3 has a mean of 3/2,
    # xhat = -1 -1/3 1/3 1, mean(d * xhat) = 1, dz = 6 / 6 * (d - 3/2 - xhat), dx = 2 * dz
    expected = [-1, -7 / 3, 7 / 3, 1] if "relu" in name else [0, 0, 0, 0]
    np.testing.assert_allclose(result["dx"].ravel(), expected, atol=1e-14)
    assert result["dbias"][0] == 0
    np.testing.assert_allclose(result["dbn_bias"], [6] if "relu" in name else [12])
    np.testing.assert_allclose(result["dbn_weight"], [4] if "relu" in name else [0], atol=1e-14)


@st.composite
def cases(draw_one):
    groups = draw_one(st.sampled_from([1, 1, 2]))
    KH, KW = draw_one(st.integers(1, 3)), draw_one(st.integers(1, 3))
    x_shape = (
        draw_one(st.integers(0, 4)),
        groups * draw_one(st.integers(1, 3)),
        *(draw_one(st.integers(3, 6)) for _ in range(2)),
    )
    w_shape = groups * draw_one(st.integers(1, 3)), x_shape[1] // groups, KH, KW
    options = {"groups": groups, "padding": draw_one(st.integers(0, 1)), "stride": draw_one(st.integers(1, 2))}
    return x_shape, w_shape, options, draw_one(st.booleans()), draw_one(st.integers(0, 2**16))


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(list(PAIRS)), st.tuples(*[st.booleans()] * 3))
def test_together_is_what_they_are_apart(drawn, name, present):
    x_shape, w_shape, options, train, seed = drawn
    arrays = list(draw(x_shape, w_shape, np.float64, seed))
    for i, there in enumerate(present):
        if not there:
            arrays[2 + i] = None  # bias, bn_weight, bn_bias
    y, _ = conv_forward(*arrays[:2], **options)
    if y.size == w_shape[0] and train:
        with pytest.raises(ValueError, match="more than one value per channel"):
            PAIRS[name][0](*arrays[:7], train=True, **options)
        return
    (dy,) = frozen(np.random.default_rng(seed).standard_normal(y.shape))
    for order in ORDERS:
        images = (order(arrays[0]), *arrays[1:7], dy)
        actual, wanted = (f(name, *images, train=train, **options) for f in (together, apart))
        assert_same(actual, wanted, 1e-10 * _spread(wanted, train))
        if train and present[0]:
            np.testing.assert_array_equal(actual["dbias"], 0)


def _spread(wanted, train):
    """How much a channel that happens to be nearly constant magnifies rounding: 1 / its smallest variance."""
    return max(1.0, 1 / float(np.min(wanted["running_var"] - 0.9, initial=1, where=train))) if train else 1.0


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("algorithm", ["im2row", "auto"])
def test_in_float32(name, algorithm):
    # sums of pieces in float32; errors as those of the operations apart
    x, *others = draw((24, 32, 16, 16), (32, 32, 3, 3), np.float32)
    options = {"train": True, "padding": 1}
    exact = apart(name, *(a.astype(np.float64) for a in (x, *others)), **options)
    names = NAMES if "relu" not in name else ("y", "running_mean", "running_var")
    for run in (functools.partial(together, algorithm=algorithm), functools.partial(apart, algorithm=algorithm)):
        result = run(name, to_hwnc(x), *others, **options)
        assert {array.dtype for array in result.values()} == {np.dtype(np.float32)}
        tolerances = {"y": 3e-5, "dx": 3e-5, "dbias": 3e-3}
        for key in names:
            error = np.abs(result[key] - exact[key]).max() / max(1, np.abs(exact[key]).max())
            assert error < tolerances.get(key, 2e-4), f"{key}: {error}"


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mean_far_above_the_spread(name, dtype):
    # a mean of 1000 and a spread of 1 in front of a filter that keeps both
    x, weight, *others = draw((8, 2, 10, 10), (2, 2, 1, 1), dtype, mean=1000.0)
    weight = np.eye(2, dtype=dtype)[:, :, None, None]
    exact = apart(name, *(a.astype(np.float64) for a in (x, weight, *others)), train=True)
    actual = together(name, to_hwnc(x), weight, *others, train=True)
    tolerance = 1e-9 if dtype == np.float64 else 3e-4
    assert_same(
        {key: value.astype(np.float64) for key, value in actual.items()}, exact, tolerance, ("y", "running_var")
    )
    if "relu" not in name:
        close = {key: value.astype(np.float64) for key, value in actual.items()}
        assert_same(close, exact, 10 * tolerance, ("dx", "dbn_weight", "dbn_bias"))


@pytest.mark.parametrize("name", PAIRS)
def test_a_constant_channel_becomes_its_offset(name):
    x, weight = np.full((4, 1, 3, 3), 0.1, np.float32), np.full((2, 1, 1, 1), 3.0, np.float32)
    offset = np.array([5, -1], np.float32)
    forward, backward = PAIRS[name]
    y, cache = forward(x, weight, None, None, offset, None, None, train=True)
    np.testing.assert_allclose(y[0, :, 0, 0], [5, 0] if "relu" in name else [5, -1], atol=1e-5)
    assert all(np.isfinite(array).all() for array in backward(y, cache) if array is not None)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("train", [True, False])
def test_gradients_by_finite_differences(name, train):
    forward, backward = PAIRS[name]
    arrays = draw((2, 2, 4, 5), (3, 2, 3, 2), np.float64, seed=5)
    inputs = dict(zip(("x", "weight", "bias", "bn_weight", "bn_bias"), arrays, strict=False))
    options = {"running_mean": arrays[5], "running_var": arrays[6], "train": train, "padding": 1}
    y, cache = forward(**inputs, **options)
    if "relu" in name:
        assert np.abs(conv_batch_norm_forward(**inputs, **options)[0]).min() > 1e-5  # no kink within reach
    dy = np.random.default_rng(1).standard_normal(y.shape)
    gradients = dict(zip(inputs, backward(dy, cache), strict=True))
    assert_gradients_match(lambda **v: forward(**v, **options)[0], inputs, gradients, dy)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("mean", [0.0, 1000.0])
@pytest.mark.parametrize("cut", [0, 1, 2, 5])
def test_two_shards_give_what_the_whole_batch_gives(name, cut, mean):
    # in one shard the mean may be near the spread, in the other far above it: the totals decide for both
    x, *vectors, dy = draw((5, 2, 6, 6), (3, 2, 3, 3), np.float32)
    x = x.copy()
    x[2:] += np.float32(mean)
    options = {"train": True, "padding": ((0, 0), (0, 0))}
    dy = dy[:, :, :4, :4]
    whole = together(name, x, *vectors, dy, **options)

    def step(member):
        part = slice(0, cut) if member.rank == 0 else slice(cut, 5)
        return together(name, to_hwnc(x[part]), *vectors, dy[part], **options, group=member)

    first, second = ThreadGroup(2).run(step)
    joined = {key: np.concatenate([first[key], second[key]]) for key in ("y", "dx")}
    joined |= {key: first[key] + second[key] for key in ("dweight", "dbias", "dbn_weight", "dbn_bias")}
    joined |= {key: first[key] for key in ("running_mean", "running_var")}
    assert_same(joined, whole, 2e-4)
    for key in ("running_mean", "running_var"):
        np.testing.assert_array_equal(first[key], second[key])


def test_shards_meet_equally_often_though_only_one_of_them_is_far_from_zero():
    class Counting:
        def __init__(self, member):
            self.member, self.meetings = member, 0

        def sum(self, arrays):
            self.meetings += 1
            return self.member.sum(arrays)

    def meetings(mean):
        def step(member):
            group = Counting(member)
            x = np.random.default_rng(0).standard_normal((4, 1, 4, 4), dtype=np.float32)
            if member.rank == 1:
                x += np.float32(mean)
            conv_batch_norm_forward(
                x, np.ones((1, 1, 1, 1), np.float32), None, None, None, None, None, train=True, group=group
            )
            return group.meetings

        return ThreadGroup(2).run(step)

    assert meetings(0.0) == [1, 1]
    assert meetings(30.0) == [1, 1]  # 15 +- 15: not far, as a whole
    both = np.random.default_rng(0).standard_normal((4, 1, 4, 4), dtype=np.float32) + np.float32(30)
    sums = ChannelSums(1)
    sums.add_images(both.transpose(2, 3, 0, 1))
    assert sums.total[0] ** 2 / sums.count > 16 * (sums.products[0] - sums.total[0] ** 2 / sums.count)  # alone it is


def test_evaluation_meets_nobody():
    x, *vectors, dy = draw((2, 2, 3, 3), (2, 2, 1, 1), np.float32)
    for name in PAIRS:
        alone, met = (together(name, x, *vectors, dy, train=False, group=group) for group in (None, object()))
        assert_same(met, alone, 0)


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", PAIRS)
def test_any_layout_gives_the_same_result(name):
    x, weight, *vectors, dy = draw((3, 2, 4, 5), (4, 2, 3, 3), np.float64)
    wanted = together(name, x, weight, *vectors, dy, train=True, padding=1)
    for (label, images), (_, filters), (_, gradient) in zip(layouts(x), layouts(weight), layouts(dy), strict=True):
        actual = together(name, images, filters, *vectors, gradient, train=True, padding=1)
        for key in NAMES:
            np.testing.assert_allclose(actual[key], wanted[key], atol=1e-12, err_msg=f"{label}: {key}")


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("order", ORDERS)
def test_results_lie_as_their_input_does(name, order):
    x, *others = draw((3, 2, 4, 5), (4, 2, 3, 3), np.float32)
    result = together(name, order(x), *others, train=True, padding=1)
    assert is_hwnc(result["y"]) == is_hwnc(result["dx"]) == (order is to_hwnc)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(name, dtype):
    arrays = draw((3, 2, 4, 5), (4, 2, 3, 3), dtype)
    result = together(name, *arrays, train=True, padding=1)
    assert {array.dtype for array in result.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", PAIRS)
def test_without_dx(name):
    forward, backward = PAIRS[name]
    x, *vectors, dy = draw((3, 2, 4, 5), (4, 2, 3, 3), np.float32)
    _, cache = forward(x, *vectors, train=True, padding=1)
    dx, dweight, *_ = backward(dy, cache, need_dx=False)
    assert dx is None
    np.testing.assert_allclose(dweight, backward(dy, cache)[1], rtol=1e-4, atol=1e-4)


def test_sums_of_pieces_with_gaps_are_those_of_their_numbers():
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 5))  # (rows, columns, N, C)
    sums = ChannelSums(5)
    for part in (images[:, :, :3], images[:2, :, 3:], images[2:, :, 3:]):
        sums.add_images(part)
    np.testing.assert_allclose(sums.total, images.sum((0, 1, 2)), atol=1e-13)
    np.testing.assert_allclose(sums.products, np.square(images).sum((0, 1, 2)), rtol=1e-13)
    assert sums.count == 4 * 3 * 8


@pytest.mark.parametrize("name", PAIRS)
def test_memory_is_used_again(name):
    x, *others, dy = draw((32, 32, 16, 16), (32, 32, 1, 1), np.float32)  # 1 MiB
    arrays = (to_hwnc(x), *others, to_hwnc(dy))
    assert_recycles(lambda: together(name, *arrays, train=True), 1 << 19)


X, W = np.ones((2, 3, 4, 4)), np.ones((5, 3, 3, 3))


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, W[:, :2], *[None] * 5), ShapeError, "x has C=3 channels but weight expects 2"),
        ((X, W, None, np.ones(4), *[None] * 3), ShapeError, "bn_weight must have shape (5,), got (4,)"),
        ((X, W, *[None] * 4, np.ones(4)), ShapeError, "running_var must have shape (5,), got (4,)"),
        ((X.astype(np.float32), W, *[None] * 5), TypeError, "arguments have different dtypes"),
        ((X[:1], W[:, :, :1, :1].repeat(4, 2).repeat(4, 3), *[None] * 5), ValueError, "more than one value per"),
    ],
)
def test_bad_input_is_named(name, arguments, error, message):
    forward = PAIRS[name][0]
    with pytest.raises(error) as caught:
        forward(*arguments, train=True)
    assert str(caught.value).startswith(f"{forward.__name__}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", PAIRS)
def test_a_bad_gradient_is_named(name):
    forward, backward = PAIRS[name]
    _, cache = forward(X, W, *[None] * 5, train=True)
    with pytest.raises(ShapeError) as caught:
        backward(X, cache)
    assert str(caught.value) == f"{backward.__name__}: dy must have shape (2, 5, 2, 2), got (2, 3, 4, 4)"
    with pytest.raises(TypeError) as caught:
        backward(np.ones((2, 5, 2, 2), np.float32), cache)
    expected = f"{backward.__name__}: dy has dtype float32 but the forward pass ran in float64; convert dy"
    assert str(caught.value) == expected
