"""Transposed convolution climbs the ladder: by hand, by loops, as an adjoint, by Hypothesis, by PyTorch's vectors."""

from __future__ import annotations

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
    conv_forward,
    conv_transpose_backward,
    conv_transpose_forward,
    is_hwnc,
    to_hwnc,
)


def test_by_hand():
    # x = 1 10, kernel 1 2 / 3 4, stride 1: the copies 1 2 0 / 3 4 0 and 0 10 20 / 0 30 40 add up, bias 100 on top
    x = np.array([1.0, 10.0]).reshape(1, 1, 1, 2)
    weight = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    y, cache = conv_transpose_forward(x, weight, np.array([100.0]))
    np.testing.assert_array_equal(y[0, 0], [[101, 112, 120], [103, 134, 140]])
    # dy = 1 only at the middle of the lower row: it met x[0] through the 4 and x[1] through the 3
    dx, dweight, dbias = conv_transpose_backward(np.array([[0.0, 0, 0], [0, 1, 0]]).reshape(1, 1, 2, 3), cache)
    np.testing.assert_array_equal(dx.ravel(), [4, 3])
    np.testing.assert_array_equal(dweight[0, 0], [[0, 0], [10, 1]])
    np.testing.assert_array_equal(dbias, [1])


def test_padding_cuts_off_and_output_padding_adds():
    # kernel 1 2 3 at every second place of (1, 10): 1 2 13 20 30; padding 1 takes the ends, output_padding 1 gives
    # the last one back
    x = np.array([1.0, 10.0]).reshape(1, 1, 1, 2)
    weight = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    options = {"stride": (1, 2), "padding": (0, 1)}
    np.testing.assert_array_equal(conv_transpose_forward(x, weight, **options)[0].ravel(), [2, 13, 20])
    y, _ = conv_transpose_forward(x, weight, **options, output_padding=(0, 1))
    np.testing.assert_array_equal(y.ravel(), [2, 13, 20, 30])
    # without padding to give back, the added column is reached by no kernel: it holds the bias alone
    y, _ = conv_transpose_forward(x, weight, np.array([0.5]), stride=(1, 2), output_padding=(0, 1))
    np.testing.assert_array_equal(y.ravel(), [1.5, 2.5, 13.5, 20.5, 30.5, 0.5])


def transposed_loops(x, weight, bias, options):
    """The definition: every pixel, times the kernel, added to the place it belongs; then cut."""
    (SH, SW), (DH, DW), (PH, PW) = options["stride"], options["dilation"], options["output_padding"]
    ((top, bottom), (left, right)), G = options["padding"], options["groups"]
    (N, C, H, W), (_, FG, KH, KW) = x.shape, weight.shape
    full = np.zeros((N, FG * G, (H - 1) * SH + DH * (KH - 1) + 1 + PH, (W - 1) * SW + DW * (KW - 1) + 1 + PW))
    for n, c, h, w, f, kh, kw in np.ndindex(N, C, H, W, FG, KH, KW):
        group = c // (C // G)
        full[n, group * FG + f, h * SH + kh * DH, w * SW + kw * DW] += x[n, c, h, w] * weight[c, f, kh, kw]
    y = full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]
    return y if bias is None else y + bias[:, None, None]


@st.composite
def transposed_convolutions(draw):
    groups = draw(st.integers(1, 2))
    shape = draw(st.integers(0, 2)), groups * draw(st.integers(1, 2)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride, dilation = ((draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding, extra = [], []
    for axis in range(2):
        full = (shape[2 + axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        before = draw(st.integers(0, min(3, full - 1)))
        padding.append((before, draw(st.integers(0, min(3, full - 1 - before)))))
        extra.append(draw(st.integers(0, max(stride[axis], dilation[axis]) - 1)))
    options = {
        "stride": stride,
        "padding": tuple(padding),
        "output_padding": tuple(extra),
        "dilation": dilation,
        "groups": groups,
    }
    weight = (shape[1], draw(st.integers(1, 2)), *kernel)
    return shape, weight, options, draw(st.booleans()), draw(st.integers(0, 2**16))


@settings(max_examples=150, deadline=None)
@given(transposed_convolutions())
def test_agrees_with_the_loops_and_is_the_adjoint(drawn):
    x_shape, w_shape, options, with_bias, seed = drawn
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    bias = rng.standard_normal(w_shape[1] * options["groups"]) if with_bias else None
    x, weight, bias = frozen(x, weight, bias)
    expected = transposed_loops(x, weight, bias, options)
    (dy,) = frozen(rng.standard_normal(expected.shape))
    for images, upstream in ((x, dy), (to_hwnc(x), to_hwnc(dy))):
        y, cache = conv_transpose_forward(images, weight, bias, **options)
        np.testing.assert_allclose(y, expected, atol=1e-12)
        dx, dweight, dbias = conv_transpose_backward(upstream, cache)
        # y without its bias is linear in x and in weight, so <y, dy> = <x, dx> = <weight, dweight>
        linear = np.sum((y if bias is None else y - bias[:, None, None]) * dy)
        np.testing.assert_allclose([np.sum(x * dx), np.sum(weight * dweight)], linear, atol=1e-10)
        if with_bias:
            np.testing.assert_allclose(dbias, dy.sum((0, 2, 3)), atol=1e-12)
        else:
            assert dbias is None


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": (2, 3), "padding": (1, 0)}, {"stride": 2, "dilation": 2, "padding": ((2, 1), (0, 3)), "groups": 2}],
)
def test_it_is_the_adjoint_of_the_convolution(options):
    rng = np.random.default_rng(0)
    images, weight = rng.standard_normal((2, 4, 9, 10)), rng.standard_normal((6, 4 // options.get("groups", 1), 3, 2))
    convolved, cache = conv_forward(images, weight, **options)
    upstream = rng.standard_normal(convolved.shape)
    size, _ = conv_transpose_forward(upstream, weight, **options)
    missing = tuple(whole - got for whole, got in zip(images.shape[2:], size.shape[2:], strict=True))
    back, _ = conv_transpose_forward(upstream, weight, **options, output_padding=missing)
    assert back.shape == images.shape
    np.testing.assert_allclose(np.sum(convolved * upstream), np.sum(images * back), rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)},
        {"dilation": 2, "padding": ((0, 1), (2, 1)), "output_padding": 1},
        {"groups": 2, "stride": 2},
    ],
)
def test_gradients_by_finite_differences(options):
    rng = np.random.default_rng(0)
    inputs = {
        "x": rng.standard_normal((2, 4, 3, 4)),
        "weight": rng.standard_normal((4, 3, 3, 2)),
        "bias": rng.standard_normal(3 * options.get("groups", 1)),
    }
    y, cache = conv_transpose_forward(**inputs, **options)
    dy = rng.standard_normal(y.shape)
    gradients = dict(zip(inputs, conv_transpose_backward(dy, cache), strict=True))
    assert_gradients_match(lambda **v: conv_transpose_forward(**v, **options)[0], inputs, gradients, dy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("conv_transpose2d"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    options = {n: case.attrs[n] for n in ("stride", "padding", "output_padding", "dilation", "groups")}
    y, cache = conv_transpose_forward(case["x"], case["w"], case.get("b"), **options)
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    dx, dweight, dbias = conv_transpose_backward(case["dy"], cache)
    assert_gradient(dx, case["dx"])
    assert_gradient(dweight, case["dw"])
    if case.attrs["bias"]:
        assert_gradient(dbias, case["db"])
    else:
        assert dbias is None


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((3, 4, 3, 2))
    y, cache = conv_transpose_forward(x, weight, stride=2, padding=1)
    dy = rng.standard_normal(y.shape)
    expected = (y, *conv_transpose_backward(dy, cache)[:2])
    for label, xs in layouts(x):
        for (_, ws), (_, dys) in zip(layouts(weight), layouts(dy), strict=True):
            y, cache = conv_transpose_forward(xs, ws, stride=2, padding=1)
            actual = (y, *conv_transpose_backward(dys, cache)[:2])
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, e, atol=1e-12, err_msg=label)
                assert a.dtype == np.dtype(np.float64)


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(order):
    x = order(np.random.default_rng(0).standard_normal((2, 3, 5, 6)))
    y, cache = conv_transpose_forward(x, np.ones((3, 4, 3, 3)), np.ones(4), padding=1)
    contiguous = (lambda a: a.transpose(2, 3, 0, 1)) if order is to_hwnc else (lambda a: a)
    for upstream in (np.ascontiguousarray(y), to_hwnc(y)):
        dx, _, _ = conv_transpose_backward(upstream, cache)
        assert is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)
        assert contiguous(y).flags.c_contiguous
        assert contiguous(dx).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_in_is_dtype_out(dtype):
    x, weight, bias = np.ones((1, 2, 4, 4), dtype), np.ones((2, 3, 3, 3), dtype), np.ones(3, dtype)
    y, cache = conv_transpose_forward(x, weight, bias)
    assert {a.dtype for a in (y, *conv_transpose_backward(np.ones_like(y), cache))} == {np.dtype(dtype)}


@pytest.mark.fault("empty-batch")
def test_an_empty_batch():
    y, cache = conv_transpose_forward(np.ones((0, 2, 3, 3)), np.ones((2, 4, 2, 2)), np.ones(4), stride=2)
    assert y.shape == (0, 4, 6, 6)
    dx, dweight, dbias = conv_transpose_backward(y, cache)
    assert dx.shape == (0, 2, 3, 3)
    np.testing.assert_array_equal(dweight, np.zeros((2, 4, 2, 2)))
    np.testing.assert_array_equal(dbias, np.zeros(4))


def test_without_dx():
    y, cache = conv_transpose_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    dx, dweight, _ = conv_transpose_backward(y, cache, need_dx=False)
    assert dx is None
    np.testing.assert_array_equal(dweight, conv_transpose_backward(y, cache)[1])


X, W = np.ones((2, 3, 4, 5)), np.ones((3, 2, 3, 3))
SHAPES = "got x (2, 3, 4, 5), weight"


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: conv_transpose_forward(X, W[:2]),
            ShapeError,
            f"conv_transpose_forward: x has C=3 channels but weight expects 2; {SHAPES} (2, 2, 3, 3)",
        ),
        (
            lambda: conv_transpose_forward(X, W, groups=2),
            ShapeError,
            f"conv_transpose_forward: groups=2 must divide C=3; {SHAPES} (3, 2, 3, 3)",
        ),
        (
            lambda: conv_transpose_forward(X, W, groups=0),
            ShapeError,
            "conv_transpose_forward: groups must be an int >= 1, got 0",
        ),
        (
            lambda: conv_transpose_forward(X, W, np.ones(3)),
            ShapeError,
            "conv_transpose_forward: bias must have shape (2,), got (3,)",
        ),
        (
            lambda: conv_transpose_forward(X[0], W),
            ShapeError,
            "conv_transpose_forward: x must have 4 axes (N, C, H, W), got shape (3, 4, 5)",
        ),
        (
            lambda: conv_transpose_forward(X, W[0]),
            ShapeError,
            "conv_transpose_forward: weight must have 4 axes (C, F/G, KH, KW), got shape (2, 3, 3)",
        ),
        (
            lambda: conv_transpose_forward(X, W, stride=0),
            ShapeError,
            "conv_transpose_forward: stride must be an int >= 1 or a pair of them, got 0",
        ),
        (
            lambda: conv_transpose_forward(X, W, dilation=(1, 0)),
            ShapeError,
            "conv_transpose_forward: dilation must be an int >= 1 or a pair of them, got (1, 0)",
        ),
        (
            lambda: conv_transpose_forward(X, W, padding="same"),
            ShapeError,
            "conv_transpose_forward: padding must be an int >= 0, a pair (PH, PW) or ((top, bottom), (left, right)), "
            "got 'same'",
        ),
        (
            lambda: conv_transpose_forward(X, W, output_padding=-1),
            ShapeError,
            "conv_transpose_forward: output_padding must be an int >= 0 or a pair of them, got -1",
        ),
        (
            lambda: conv_transpose_forward(X, W, stride=(2, 1), output_padding=1),
            ShapeError,
            "conv_transpose_forward: output_padding must be smaller than stride or dilation, "
            "got 1 for stride 1 and dilation 1",
        ),
        (
            lambda: conv_transpose_forward(X, W, padding=3),
            ShapeError,
            "conv_transpose_forward: nothing is left: height 4 with kernel 3 becomes 6, but padding takes 3 and 3 away",
        ),
        (
            lambda: conv_transpose_forward(X[:, :, :0], W),
            ShapeError,
            "conv_transpose_forward: nothing is left: height 0 with kernel 3 becomes 2, but padding takes 0 and 0 away",
        ),
        (
            lambda: conv_transpose_forward(X, W[:, :0]),
            ShapeError,
            "conv_transpose_forward: at least one channel and one filter are needed; "
            f"got x {X.shape}, weight {W[:, :0].shape}",
        ),
        (
            lambda: conv_transpose_forward(X.astype(np.float32), W),
            TypeError,
            "conv_transpose_forward: arguments have different dtypes (x float32, weight float64); convert them to one",
        ),
        (
            lambda: conv_transpose_backward(X, conv_transpose_forward(X, W)[1]),
            ShapeError,
            "conv_transpose_backward: dy must have shape (2, 2, 6, 7), got (2, 3, 4, 5)",
        ),
        (
            lambda: conv_transpose_backward(np.ones((2, 2, 6, 7), np.float32), conv_transpose_forward(X, W)[1]),
            TypeError,
            "conv_transpose_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
