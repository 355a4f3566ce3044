"""Adaptive and global pooling climb the ladder: by hand, by loops, by finite differences, by Hypothesis, by PyTorch."""

from __future__ import annotations

import math

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
    layouts,
    spaced,
)

from cnn_from_scratch import ops
from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.ops import is_hwnc, to_hwnc

POOLS = {
    "adaptive_avg": ((2, 3),),
    "adaptive_max": ((2, 3),),
    "global_avg": (),
    "global_max": (),
}
"""What each pool takes beside x."""


def pool_of(name):
    return getattr(ops, f"{name}_pool_forward"), getattr(ops, f"{name}_pool_backward")


def cell_loops(x, dy, output, kind):
    """y and dx by visiting every cell, its borders by the formula with rounded fractions."""
    (N, C, H, W), (OH, OW) = x.shape, output
    y, dx = np.zeros((N, C, OH, OW)), np.zeros_like(x)
    for n, c, oh, ow in np.ndindex(N, C, OH, OW):
        rows = range(math.floor(oh * H / OH), math.ceil((oh + 1) * H / OH))
        columns = range(math.floor(ow * W / OW), math.ceil((ow + 1) * W / OW))
        pixels = [(h, w) for h in rows for w in columns]
        values = [x[n, c, h, w] for h, w in pixels]
        if kind == "max":
            best = values.index(max(values))  # the first one
            y[n, c, oh, ow] = values[best]
            dx[n, c, *pixels[best]] += dy[n, c, oh, ow]
        else:
            y[n, c, oh, ow] = math.fsum(values) / len(values)
            for h, w in pixels:
                dx[n, c, h, w] += dy[n, c, oh, ow] / len(pixels)
    return y, dx


def test_average_by_hand():
    # 5 columns into 2 cells: columns 0-2 and 2-4, the middle one in both: (1+2+6)/3 = 3, (6+7+8)/3 = 7
    x = np.array([1.0, 2.0, 6.0, 7.0, 8.0]).reshape(1, 1, 1, 5)
    y, cache = ops.adaptive_avg_pool_forward(x, (None, 2))
    np.testing.assert_allclose(y.ravel(), [3, 7])
    dx = ops.adaptive_avg_pool_backward(np.array([3.0, 30.0]).reshape(1, 1, 1, 2), cache)
    np.testing.assert_allclose(dx.ravel(), [1, 1, 11, 10, 10])


def test_maximum_by_hand():
    # the same cells (1, 2, 7), (7, 7, 3): both find the middle 7 first, which takes 3 + 30
    x = np.array([1.0, 2.0, 7.0, 7.0, 3.0]).reshape(1, 1, 1, 5)
    y, cache = ops.adaptive_max_pool_forward(x, (1, 2))
    np.testing.assert_array_equal(y.ravel(), [7, 7])
    dx = ops.adaptive_max_pool_backward(np.array([3.0, 30.0]).reshape(1, 1, 1, 2), cache)
    np.testing.assert_array_equal(dx.ravel(), [0, 0, 33, 0, 0])


def test_global_by_hand():
    # 1 5 / 5 1: mean 12 / 4 = 3 and a quarter of dy for each; the upper 5 is the first maximum
    x = np.array([[1.0, 5.0], [5.0, 1.0]]).reshape(1, 1, 2, 2)
    dy = np.full((1, 1, 1, 1), 8.0)
    y, cache = ops.global_avg_pool_forward(x)
    assert y.item() == 3.0
    np.testing.assert_array_equal(ops.global_avg_pool_backward(dy, cache)[0, 0], [[2, 2], [2, 2]])
    y, cache = ops.global_max_pool_forward(x)
    assert y.item() == 5.0
    np.testing.assert_array_equal(ops.global_max_pool_backward(dy, cache)[0, 0], [[0, 8], [0, 0]])


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.none() | st.integers(1, 8), st.none() | st.integers(1, 8)),
    st.sampled_from(sorted(POOLS)),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_every_pool_agrees_with_the_loops(shape, output, pool, ties, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 2, shape).astype(float) if ties else spaced(shape, rng)
    forward, backward = pool_of(pool)
    arguments = (output,) if pool.startswith("adaptive") else ()
    size = tuple(o or s for o, s in zip(output, shape[2:], strict=True)) if arguments else (1, 1)
    dy = rng.standard_normal((*shape[:2], *size))
    y, dx = cell_loops(x, dy, size, pool[-3:])
    for order in (np.ascontiguousarray, to_hwnc):
        images, upstream = order(x), order(dy)
        images.flags.writeable = upstream.flags.writeable = False
        actual, cache = forward(images, *arguments)
        np.testing.assert_allclose(actual, y, atol=1e-13)
        np.testing.assert_allclose(backward(upstream, cache), dx, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("adaptive_global_pool"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    forward, backward = pool_of(case.op.removesuffix("_pool2d"))
    size = case.attrs.get("output_size")
    y, cache = forward(case["x"], size) if size else forward(case["x"])
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(backward(case["dy"], cache), case["dx"])


@pytest.mark.parametrize("pool", POOLS)
def test_gradients_by_finite_differences(pool):
    forward, backward = pool_of(pool)
    rng = np.random.default_rng(0)
    inputs = {"x": spaced((2, 3, 5, 7), rng)}
    y, cache = forward(**inputs, **dict(zip(["output_size"], POOLS[pool], strict=False)))
    dy = rng.standard_normal(y.shape)
    assert_gradients_match(lambda x: forward(x, *POOLS[pool])[0], inputs, {"x": backward(dy, cache)}, dy)


@pytest.mark.parametrize("pool", POOLS)
def test_nan_stays_in_its_cell(pool):
    x = np.ones((1, 2, 4, 6))
    x[0, 0, 0, 1] = np.nan
    y, cache = pool_of(pool)[0](x, *POOLS[pool])
    expected = np.ones_like(y)
    expected[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(y, expected)
    if pool.endswith("max"):
        dx = pool_of(pool)[1](np.ones_like(y), cache)
        assert dx[0, 0, 0, 1] == 1
        assert dx.sum() == y.size


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("pool", POOLS)
def test_any_layout_gives_the_same_result(pool):
    forward, backward = pool_of(pool)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 5, 6))
    y, cache = forward(x, *POOLS[pool])
    dy = rng.standard_normal(y.shape)
    expected = backward(dy, cache)
    for label, xs in layouts(x):
        for _, dys in layouts(dy):
            ys, cache = forward(xs, *POOLS[pool])
            np.testing.assert_allclose(ys, y, atol=1e-14, err_msg=label)
            dx = backward(dys, cache)
            np.testing.assert_allclose(dx, expected, atol=1e-14, err_msg=label)
            assert ys.dtype == dx.dtype == np.dtype(np.float64)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(pool, order):
    forward, backward = pool_of(pool)
    y, cache = forward(order(np.random.default_rng(0).standard_normal((2, 3, 5, 6))), *POOLS[pool])
    dx = backward(y, cache)
    contiguous = (lambda a: a.transpose(2, 3, 0, 1)) if order is to_hwnc else (lambda a: a)
    assert is_hwnc(dx) == (order is to_hwnc)
    assert is_hwnc(y) == (order is to_hwnc) or y.shape[2:] == (1, 1)  # one pixel lies as both do
    assert contiguous(y).flags.c_contiguous
    assert contiguous(dx).flags.c_contiguous


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(pool, dtype):
    forward, backward = pool_of(pool)
    y, cache = forward(np.ones((1, 2, 4, 4), dtype), *POOLS[pool])
    assert y.dtype == backward(np.ones_like(y), cache).dtype == np.dtype(dtype)


@pytest.mark.fault("empty-batch")
@pytest.mark.parametrize("pool", POOLS)
def test_an_empty_batch(pool):
    forward, backward = pool_of(pool)
    y, cache = forward(np.ones((0, 2, 5, 5)), *POOLS[pool])
    assert y.shape == (0, 2, *(POOLS[pool][0] if POOLS[pool] else (1, 1)))
    assert backward(y, cache).shape == (0, 2, 5, 5)


@pytest.mark.parametrize("pool", ["adaptive_avg", "adaptive_max"])
@pytest.mark.parametrize("size", [0, -1, 2.0, True, (1, 0), (1, 2, 3), (1,), "ab"])
def test_bad_output_sizes_are_named(pool, size):
    with pytest.raises(ShapeError) as caught:
        pool_of(pool)[0](np.ones((1, 1, 4, 4)), size)
    assert str(caught.value) == (
        f"{pool}_pool_forward: output_size must be an int >= 1, None or a pair of them, got {size!r}"
    )


@pytest.mark.parametrize("pool", POOLS)
def test_bad_arrays_are_named(pool):
    forward, backward = pool_of(pool)
    x, arguments = np.ones((2, 3, 6, 5)), POOLS[pool]
    y, cache = forward(x, *arguments)
    for call, error, message in (
        (
            lambda: forward(x[0], *arguments),
            ShapeError,
            f"{pool}_pool_forward: x must have 4 axes (N, C, H, W), got shape (3, 6, 5)",
        ),
        (
            lambda: forward(x[:, :, :, :0], *arguments),
            ShapeError,
            f"{pool}_pool_forward: x must have at least one pixel, got shape (2, 3, 6, 0)",
        ),
        (
            lambda: forward(x.astype(bool), *arguments),
            TypeError,
            f"{pool}_pool_forward: x has dtype bool; expected float32 or float64 "
            "(convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: backward(np.ones((2, 3, 4, 4)), cache),
            ShapeError,
            f"{pool}_pool_backward: dy must have shape {y.shape}, got (2, 3, 4, 4)",
        ),
        (
            lambda: backward(y.astype(np.float32), cache),
            TypeError,
            f"{pool}_pool_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


@pytest.mark.fault("absurd-memory")
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_more_cells_than_anybody_means(kind):
    forward = getattr(ops, f"adaptive_{kind}_pool_forward")
    with pytest.raises(LimitError) as caught:
        forward(np.zeros((1, 1, 2, 2)), (1024, 1024))
    said = "output_size must make at most 262144 cells here, got (1024, 1024)"
    assert str(caught.value) == f"adaptive_{kind}_pool_forward: {said}"
    assert forward(np.zeros((1, 1, 600, 600)), None)[0].shape == (1, 1, 600, 600)  # as many as there are pixels
