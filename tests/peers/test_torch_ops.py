"""Every operation beside PyTorch's, live: random settings, odd sizes, ties, NaN and infinities."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.compare import DTYPES, Array, as_tensor, assert_near, assert_same_distribution, assert_same_op, torch

from cnn_from_scratch import ops
from cnn_from_scratch.errors import ShapeError

F = torch.nn.functional
INF, NAN = np.inf, np.nan
many = settings(max_examples=100, deadline=None)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**16)


def pair_of(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def few_values(seed: int, *shape: int, among: tuple[float, ...] = (-2.0, -1.0, -0.0, 0.0, 1.0)) -> Array:
    """Numbers of which many are equal."""
    return np.random.default_rng(seed).choice(among, shape)


# --- convolution ----------------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """x, weight and bias, and settings under which at least one window fits."""
    kernel, dilation, padding = draw(pair_of(1, 4)), draw(pair_of(1, 3)), draw(pair_of(0, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    H, W = (size + draw(st.integers(0, 4)) for size in least)
    G = draw(st.integers(1, 3))
    N, C, filters, seed = draw(st.integers(0, 2)), G * draw(st.integers(1, 2)), G * draw(st.integers(1, 2)), draw(seeds)
    inputs = {
        "x": normal(seed, N, C, H, W),
        "weight": normal(seed + 1, filters, C // G, *kernel),
        "bias": normal(seed + 2, filters) if draw(st.booleans()) else None,
    }
    return inputs, {"stride": draw(pair_of(1, 4)), "padding": padding, "dilation": dilation, "groups": G}


@many
@given(convolutions(), st.sampled_from(["auto", "loops", "im2col", "im2row"]), dtypes)
def test_convolution(drawn, algorithm, dtype):
    inputs, options = drawn
    peer = lambda x, weight, bias: F.conv2d(x, weight, bias, **options)  # noqa: E731
    assert_same_op("conv", peer, inputs, dtype, **options, algorithm=algorithm)


@many
@given(convolutions(), st.sampled_from(["same", "valid"]), dtypes)
def test_convolution_with_padding_by_name(drawn, padding, dtype):
    inputs, options = drawn
    options |= {"stride": 1, "padding": padding}
    inputs["x"] = normal(0, *inputs["x"].shape[:2], 10, 11)
    peer = lambda x, weight, bias: F.conv2d(x, weight, bias, **options)  # noqa: E731
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")  # the first time it copies
        assert_same_op("conv", peer, inputs, dtype, **options)


@many
@given(convolutions(), pair_of(0, 3), pair_of(0, 3), dtypes)
def test_convolution_with_four_sides(drawn, rows, columns, dtype):
    inputs, options = drawn
    options |= {"padding": 0}
    inputs["x"] = normal(0, *inputs["x"].shape[:2], 10, 11)
    peer = lambda x, weight, bias: F.conv2d(F.pad(x, (*columns, *rows)), weight, bias, **options)  # noqa: E731
    assert_same_op("conv", peer, inputs, dtype, **options | {"padding": (rows, columns)})


@st.composite
def transposed_convolutions(draw):
    kernel, stride, dilation = draw(pair_of(1, 4)), draw(pair_of(1, 4)), draw(pair_of(1, 3))
    H, W = draw(pair_of(1, 4))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip((H, W), stride, dilation, kernel, strict=True)]
    padding = tuple(draw(st.integers(0, (r - 1) // 2)) for r in reach)
    G = draw(st.integers(1, 3))
    N, C, filters, seed = draw(st.integers(0, 2)), G * draw(st.integers(1, 2)), G * draw(st.integers(1, 2)), draw(seeds)
    inputs = {
        "x": normal(seed, N, C, H, W),
        "weight": normal(seed + 1, C, filters // G, *kernel),
        "bias": normal(seed + 2, filters) if draw(st.booleans()) else None,
    }
    options = {"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation, "groups": G}
    return inputs, options


@many
@given(transposed_convolutions(), dtypes)
def test_transposed_convolution(drawn, dtype):
    inputs, options = drawn
    peer = lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, **options)  # noqa: E731
    assert_same_op("conv_transpose", peer, inputs, dtype, **options)


@many
@given(convolutions(), dtypes)
def test_columns_and_back(drawn, dtype):
    inputs, options = drawn
    del options["groups"]
    x, kernel = inputs["x"].astype(dtype), inputs["weight"].shape[2:]
    cols = ops.im2col(x, kernel, **options)
    if len(x):  # PyTorch refuses an empty batch here
        assert_near(cols, F.unfold(as_tensor(x), kernel, **options))
        back = F.fold(as_tensor(cols), x.shape[2:], kernel, **options)
        assert_near(ops.col2im(cols, x.shape, kernel, **options), back)


# --- pooling --------------------------------------------------------------------------------------------------------


@st.composite
def pools(draw):
    """Settings that both accept: PyTorch wants padding of at most half the kernel, and windows that meet a pixel."""
    kernel, stride, ceil_mode = draw(pair_of(1, 4)), draw(st.none() | pair_of(1, 4)), draw(st.booleans())
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    over = [s - 1 if ceil_mode else 0 for s in stride or kernel]  # so much of the first window may hang over
    least = [max(k - 2 * p - o, 1) for k, p, o in zip(kernel, padding, over, strict=True)]
    H, W = (size + draw(st.integers(0, 6)) for size in least)
    shape = draw(st.integers(0, 2)), draw(st.integers(1, 3)), H, W
    return shape, kernel, {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}


def assert_same_max_pool(x, kernel, options, dtype):
    peer = lambda x: F.max_pool2d(x, kernel, **options)  # noqa: E731
    _, cache, _ = assert_same_op("max_pool", peer, {"x": x}, dtype, kernel_size=kernel, **options)
    _, indices = F.max_pool2d(torch.tensor(x), kernel, **options, return_indices=True)
    np.testing.assert_array_equal(ops.max_pool_indices(cache), indices)


@many
@given(pools(), st.booleans(), seeds, dtypes)
def test_max_pool(drawn, ties, seed, dtype):
    shape, kernel, options = drawn
    x = few_values(seed, *shape) if ties else few_values(seed, *shape, among=tuple(range(-50, 50)))
    assert_same_max_pool(x, kernel, options, dtype)


@many
@given(pools(), pair_of(1, 3), seeds, dtypes)
def test_max_pool_with_dilation(drawn, dilation, seed, dtype):
    shape, kernel, options = drawn
    options |= {"padding": 0, "dilation": dilation}  # with padding a window could miss every pixel
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    shape = *shape[:2], shape[2] + reach[0], shape[3] + reach[1]
    assert_same_max_pool(few_values(seed, *shape), kernel, options, dtype)


@many
@given(pools(), seeds, dtypes)
def test_max_pool_of_infinities(drawn, seed, dtype):
    shape, kernel, options = drawn
    assert_same_max_pool(few_values(seed, *shape, among=(-INF, -INF, -INF, 1.0, INF)), kernel, options, dtype)


@many
@given(pools(), seeds, dtypes)
def test_max_pool_keeps_nan(drawn, seed, dtype):
    shape, kernel, options = drawn
    x = few_values(seed, *shape)
    if x.size:
        x.flat[seed % x.size] = NAN  # one: of several, PyTorch lets the last one win, and we the first
    assert_same_max_pool(x, kernel, options, dtype)


@many
@given(pools(), st.booleans(), seeds, dtypes)
def test_average_pool(drawn, include, seed, dtype):
    shape, kernel, options = drawn
    options |= {"count_include_pad": include}
    peer = lambda x: F.avg_pool2d(x, kernel, **options)  # noqa: E731
    assert_same_op("avg_pool", peer, {"x": normal(seed, *shape)}, dtype, kernel_size=kernel, **options)


images = st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
side = st.none() | st.integers(1, 12)


@many
@given(images, st.integers(1, 9) | st.tuples(side, side), seeds, dtypes)
def test_adaptive_pools(shape, size, seed, dtype):
    average, maximum = (lambda x: F.adaptive_avg_pool2d(x, size)), (lambda x: F.adaptive_max_pool2d(x, size))
    assert_same_op("adaptive_avg_pool", average, {"x": normal(seed, *shape)}, dtype, output_size=size)
    assert_same_op("adaptive_max_pool", maximum, {"x": few_values(seed, *shape)}, dtype, output_size=size)


@many
@given(images, seeds, dtypes)
def test_global_pools(shape, seed, dtype):
    average, maximum = (lambda x: x.mean((2, 3), keepdim=True)), (lambda x: F.adaptive_max_pool2d(x, 1))
    assert_same_op("global_avg_pool", average, {"x": normal(seed, *shape)}, dtype)
    assert_same_op("global_max_pool", maximum, {"x": few_values(seed, *shape)}, dtype)


# --- padding and upsampling -----------------------------------------------------------------------------------------


@many
@given(images, pair_of(0, 8), pair_of(0, 8), st.sampled_from(["constant", "reflect", "replicate"]), seeds, dtypes)
def test_pad(shape, rows, columns, mode, seed, dtype):
    if mode == "reflect":
        rows, columns = (tuple(min(n, size - 1) for n in s) for s, size in ((rows, shape[2]), (columns, shape[3])))
    options = {"mode": mode} | ({"value": 1.5} if mode == "constant" else {})
    peer = lambda x: F.pad(x, (*columns, *rows), **options)  # noqa: E731
    assert_same_op("pad", peer, {"x": normal(seed, *shape)}, dtype, pads=(rows, columns), **options)


@many
@given(images, st.integers(1, 4) | pair_of(1, 4), seeds, dtypes)
def test_upsample(shape, scale, seed, dtype):
    peer = lambda x: F.interpolate(x, scale_factor=scale, mode="nearest")  # noqa: E731
    assert_same_op("upsample", peer, {"x": normal(seed, *shape)}, dtype, scale_factor=scale)


# --- linear ---------------------------------------------------------------------------------------------------------


@many
@given(st.lists(st.integers(0, 4), max_size=3), pair_of(1, 5), st.booleans(), seeds, dtypes)
def test_linear(rows, sizes, with_bias, seed, dtype):
    I, O = sizes  # noqa: E741
    inputs = {
        "x": normal(seed, *rows, I),
        "weight": normal(seed + 1, O, I),
        "bias": normal(seed + 2, O) if with_bias else None,
    }
    assert_same_op("linear", F.linear, inputs, dtype)


def test_dropout_keeps_and_scales_as_many():
    x = np.full((100, 100), 3.0)
    for p in (0.0, 0.2, 0.9):
        y, cache = ops.dropout_forward(x, p=p, train=True, rng=np.random.default_rng(0))
        torch.manual_seed(0)
        expected = F.dropout(torch.tensor(x), p, training=True).numpy()
        np.testing.assert_allclose(np.unique(y), np.unique(expected), rtol=1e-15)
        assert abs(np.mean(y != 0) - np.mean(expected != 0)) < 0.02
        np.testing.assert_array_equal(ops.dropout_backward(x, cache), y)


# --- what has no gradient of its own --------------------------------------------------------------------------------


def test_filters_begin_as_he_has_it():
    torch.manual_seed(0)
    ours = ops.initialize_filters(64, 16, 3, 5, rng=0)
    theirs = torch.nn.init.kaiming_normal_(torch.empty(64, 16, 3, 5)).numpy()
    assert_same_distribution(ours, theirs)
    np.testing.assert_array_equal(ops.initialize_bias(3), np.zeros(3, np.float32))


def test_every_operation_meets_its_peer():
    told = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = {name.removesuffix("_forward") for name in ops.__all__ if name.endswith("_forward")}
    missing = {name for name in names if f'"{name}"' not in told and f"{name}_forward" not in told}
    assert not missing


# --- what differs by design -----------------------------------------------------------------------------------------


def test_of_several_nan_the_first_takes_the_gradient():
    # as of several equal maxima; in PyTorch it is the last NaN, but still the first of equal numbers
    x = np.array([1.0, NAN, NAN, 2.0]).reshape(1, 1, 2, 2)
    tensor = as_tensor(x)
    for op, peer, options in (
        ("max_pool", lambda x: F.max_pool2d(x, 2), {"kernel_size": 2}),
        ("adaptive_max_pool", lambda x: F.adaptive_max_pool2d(x, 1), {"output_size": 1}),
    ):
        y, cache = getattr(ops, f"{op}_forward")(x, **options)
        expected = peer(tensor)
        assert_near(y, expected)
        dx = getattr(ops, f"{op}_backward")(np.ones_like(y), cache)
        np.testing.assert_array_equal(dx.ravel(), [0, 1, 0, 0])
        np.testing.assert_array_equal(torch.autograd.grad(expected.sum(), tensor)[0].ravel(), [0, 0, 1, 0])


def test_pool_padding_up_to_the_size_of_the_kernel():
    # PyTorch allows half of it; ONNX asks for more
    x = normal(0, 1, 1, 3, 3)
    with pytest.raises(RuntimeError, match="half of"):
        F.max_pool2d(torch.tensor(x), 3, padding=2)
    padded = F.pad(torch.tensor(x), (2, 2, 2, 2), value=-INF)
    assert_near(ops.max_pool_forward(x, 3, padding=2)[0], F.max_pool2d(padded, 3))


def test_a_transposed_convolution_of_which_nothing_is_left_is_refused():
    # the only pixel is cut off, and output_padding would bring back rows that hold the bias alone
    x, weight, bias = np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1)), np.full(1, 5.0)
    options = {"stride": 3, "padding": 1, "output_padding": 2}
    assert F.conv_transpose2d(*map(torch.tensor, (x, weight, bias)), **options).item() == 5
    with pytest.raises(ShapeError, match="nothing is left"):
        ops.conv_transpose_forward(x, weight, bias, **options)
