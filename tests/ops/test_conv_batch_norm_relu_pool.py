"""Pooling before batch norm and ReLU gives what pooling after them gives, whatever the sign of the scale."""

from __future__ import annotations

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
    conv_batch_norm_relu_pool,
    conv_batch_norm_relu_pool_backward,
    conv_batch_norm_relu_pool_forward,
    conv_forward,
    is_hwnc,
    max_pool_backward,
    max_pool_forward,
    to_hwnc,
)
from cnn_from_scratch.parallel import ThreadGroup

ORDERS = [np.ascontiguousarray, to_hwnc]
NAMES = ("y", "dx", "dweight", "dbias", "dbn_weight", "dbn_bias", "running_mean", "running_var")


def apart(x, weight, bias, bn_weight, bn_bias, mean, var, dy, *, train, group=None, **options):
    """All results by name, of the four operations one after the other."""
    z, conv = conv_forward(x, weight, bias, **options)
    a, norm = batch_norm_forward(z, bn_weight, bn_bias, mean, var, train=train, group=group)
    y, pool = max_pool_forward(np.maximum(a, 0), 2)
    da = max_pool_backward(dy, pool)
    dz, *of_scale = batch_norm_backward(np.where(a > 0, da, 0).astype(dy.dtype), norm)
    return dict(zip(NAMES, (y, *conv_backward(dz, conv), *of_scale, norm.running_mean, norm.running_var), strict=True))


def together(*arrays, **options):
    y, cache = conv_batch_norm_relu_pool_forward(*arrays[:-1], **options)
    gradients = conv_batch_norm_relu_pool_backward(arrays[-1], cache)
    return dict(zip(NAMES, (y, *gradients, cache.norm.running_mean, cache.norm.running_var), strict=True))


def draw(x_shape, w_shape, dtype, dy_size, seed=0, mean=0.0):
    """Read-only x, weight, bias, bn_weight (some negative), bn_bias, running mean and variance, dy."""
    rng = np.random.default_rng(seed)
    F = w_shape[0]
    vectors = rng.standard_normal(F), rng.standard_normal(F), rng.standard_normal(F), rng.standard_normal(F)
    arrays = rng.standard_normal(x_shape) + mean, rng.standard_normal(w_shape), *vectors, rng.uniform(0.5, 2, F)
    dy = rng.standard_normal((x_shape[0], F, *dy_size))
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


def test_by_hand():
    # z = 2x = 2 6 10 14 in one window: mean 8, root of 20 + 16 is 6, times -6, plus 1: 7 3 -1 -5, and the largest is 7;
    # dy = 4 goes to the first pixel: xhat = -1 -1/3 1/3 1, mean(d) = 1, mean(d * xhat) = -1,
    # dz = -6 / 6 * (d - 1 + xhat) = -(4 - 2, -4/3, -2/3, 0), dx = 2 * dz
    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 1, 2, 2)
    one = np.ones(1)
    arrays = x, np.full((1, 1, 1, 1), 2.0), None, -6 * one, one, None, None, np.full((1, 1, 1, 1), 4.0)
    result = together(*arrays, train=True, eps=16.0)
    np.testing.assert_allclose(result["y"].ravel(), [7])
    np.testing.assert_allclose(result["dx"].ravel(), [-4, 8 / 3, 4 / 3, 0], atol=1e-15)
    np.testing.assert_allclose((result["dbn_weight"][0], result["dbn_bias"][0]), (-4, 4))
    np.testing.assert_allclose(result["dweight"].item(), np.sum(x.ravel() * np.array([-2, 4 / 3, 2 / 3, 0])))


@st.composite
def cases(draw_one):
    x_shape = draw_one(st.integers(0, 4)), draw_one(st.integers(1, 3)), *(draw_one(st.integers(3, 8)) for _ in range(2))
    K = draw_one(st.integers(1, 2))
    return x_shape, (draw_one(st.integers(1, 4)), x_shape[1], K, K), draw_one(st.booleans())


@settings(max_examples=60, deadline=None)
@given(cases(), st.tuples(*[st.booleans()] * 3), st.integers(0, 2**16))
def test_together_is_what_they_are_apart(drawn, present, seed):
    x_shape, w_shape, train = drawn
    sizes = [(n - w_shape[2] + 1) // 2 for n in x_shape[2:]]
    arrays = list(draw(x_shape, w_shape, np.float64, sizes, seed))
    for i, there in enumerate(present):
        if not there:
            arrays[2 + i] = None  # bias, bn_weight, bn_bias
    for order in ORDERS:
        images = (order(arrays[0]), *arrays[1:])
        actual, wanted = (f(*images, train=train) for f in (together, apart))
        smallest = float((wanted["running_var"] - 0.9 * arrays[6]).min()) if train and x_shape[0] else 1.0
        assert_same(actual, wanted, 1e-10 / min(smallest, 1))


def test_in_float32():
    arrays = draw((16, 32, 13, 14), (32, 32, 3, 3), np.float32, (6, 7))
    exact = apart(*(a.astype(np.float64) for a in arrays), train=True, padding=1)
    actual = together(to_hwnc(arrays[0]), *arrays[1:], train=True, padding=1)
    assert {array.dtype for array in actual.values()} == {np.dtype(np.float32)}
    for name in ("y", "running_mean", "running_var", "dbn_bias"):
        assert np.abs(actual[name] - exact[name]).max() < 1e-4 * np.abs(exact[name]).max(), name
    # a single maximum that falls the other way may change its surroundings, but not the whole
    for name in ("dx", "dweight", "dbn_weight"):
        assert np.linalg.norm(actual[name] - exact[name]) < 1e-2 * np.linalg.norm(exact[name]), name


def test_a_mean_far_above_the_spread():
    arrays = list(draw((8, 2, 10, 10), (2, 2, 1, 1), np.float32, (5, 5), mean=1000.0))
    arrays[1] = np.eye(2, dtype=np.float32)[:, :, None, None]
    exact = apart(*(a.astype(np.float64) for a in arrays), train=True)
    actual = together(to_hwnc(arrays[0]), *arrays[1:], train=True)
    close = {name: array.astype(np.float64) for name, array in actual.items()}
    assert_same(close, exact, 3e-4, ("y", "running_var", "running_mean"))


def test_a_scale_of_zero_gives_the_offset_and_no_gradient():
    arrays = list(draw((2, 1, 4, 4), (2, 1, 1, 1), np.float64, (2, 2)))
    arrays[3], arrays[4] = np.zeros(2), np.array([3.0, -3.0])
    result = together(*arrays, train=True)
    np.testing.assert_array_equal(result["y"][:, 0], 3)
    np.testing.assert_array_equal(result["y"][:, 1], 0)
    np.testing.assert_array_equal(result["dx"], 0)


@pytest.mark.parametrize("train", [True, False])
def test_gradients_by_finite_differences(train):
    arrays = draw((2, 2, 5, 4), (3, 2, 2, 1), np.float64, (2, 2), seed=1)
    inputs = dict(zip(("x", "weight", "bias", "bn_weight", "bn_bias"), arrays, strict=False))
    options = {"running_mean": arrays[5], "running_var": arrays[6], "train": train}
    _, cache = conv_batch_norm_relu_pool_forward(**inputs, **options)
    gradients = dict(zip(inputs, conv_batch_norm_relu_pool_backward(arrays[7], cache), strict=True))
    forward = lambda **v: conv_batch_norm_relu_pool_forward(**v, **options)[0]  # noqa: E731
    assert_gradients_match(forward, inputs, gradients, arrays[7])


@pytest.mark.parametrize("cut", [0, 2, 5])
@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_two_shards_give_what_the_whole_batch_gives(cut, mean):
    x, *vectors, dy = draw((5, 2, 6, 7), (3, 2, 3, 3), np.float64, (2, 2), mean=mean)
    whole = together(x, *vectors, dy, train=True)

    def step(member):
        part = slice(0, cut) if member.rank == 0 else slice(cut, 5)
        return together(to_hwnc(x[part]), *vectors, dy[part], train=True, group=member)

    first, second = ThreadGroup(2).run(step)
    joined = {key: np.concatenate([first[key], second[key]]) for key in ("y", "dx")}
    joined |= {key: first[key] + second[key] for key in ("dweight", "dbias", "dbn_weight", "dbn_bias")}
    joined |= {key: first[key] for key in ("running_mean", "running_var")}
    assert_same(joined, whole, 1e-11)


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    x, weight, *vectors, dy = draw((3, 2, 5, 6), (4, 2, 2, 3), np.float64, (2, 2))
    wanted = together(x, weight, *vectors, dy, train=True)
    for (label, images), (_, filters), (_, gradient) in zip(layouts(x), layouts(weight), layouts(dy), strict=True):
        actual = together(images, filters, *vectors, gradient, train=True)
        for key in NAMES:
            np.testing.assert_allclose(actual[key], wanted[key], atol=1e-12, err_msg=f"{label}: {key}")


@pytest.mark.parametrize("order", ORDERS)
def test_many_pieces_are_one_result_that_lies_as_the_input_does(order, monkeypatch):
    x, *others = draw((3, 2, 9, 7), (4, 2, 2, 2), np.float64, (4, 3))
    wanted = together(order(x), *others, train=True)
    assert is_hwnc(wanted["y"]) == is_hwnc(wanted["dx"]) == (order is to_hwnc)
    monkeypatch.setattr(conv_batch_norm_relu_pool, "PIECE", 1)
    assert_same(together(order(x), *others, train=True), wanted, 1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype):
    result = together(*draw((3, 2, 4, 5), (4, 2, 1, 1), dtype, (2, 2)), train=True)
    assert {array.dtype for array in result.values()} == {np.dtype(dtype)}


def test_without_dx():
    *arrays, dy = draw((3, 2, 4, 5), (4, 2, 1, 1), np.float32, (2, 2))
    _, cache = conv_batch_norm_relu_pool_forward(*arrays, train=True)
    assert conv_batch_norm_relu_pool_backward(dy, cache, need_dx=False)[0] is None


def test_memory_is_used_again():
    x, *others, dy = draw((32, 32, 16, 16), (32, 32, 1, 1), np.float32, (8, 8))  # 1 MiB
    arrays = (to_hwnc(x), *others, to_hwnc(dy))
    assert_recycles(lambda: together(*arrays, train=True), 1 << 19)


@pytest.mark.fault("bad-geometry")
def test_bad_input_is_named():
    x, weight = np.ones((2, 3, 4, 4)), np.ones((5, 3, 4, 4))
    name = "conv_batch_norm_relu_pool"
    with pytest.raises(ShapeError, match=f"{name}_forward: the kernel does not fit: height 1 "):
        conv_batch_norm_relu_pool_forward(x, weight, *[None] * 5, train=True)
    with pytest.raises(ShapeError, match=rf"{name}_forward: bn_weight must have shape \(5,\), got \(4,\)"):
        conv_batch_norm_relu_pool_forward(x, weight[:, :, :1, :1], None, np.ones(4), *[None] * 3, train=True)
    _, cache = conv_batch_norm_relu_pool_forward(x, weight[:, :, :1, :1], *[None] * 5, train=True)
    with pytest.raises(ShapeError, match=rf"{name}_backward: dy must have shape \(2, 5, 2, 2\), got \(2, 3, 4, 4\)"):
        conv_batch_norm_relu_pool_backward(x, cache)
    with pytest.raises(TypeError, match=f"{name}_backward: dy has dtype float32 but the forward pass ran in float64"):
        conv_batch_norm_relu_pool_backward(np.ones((2, 5, 2, 2), np.float32), cache)
