"""Convolution climbs the ladder: by hand, by loops, by finite differences, by Hypothesis, by PyTorch's vectors."""

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
    assert_recycles,
    conformance,
    frozen,
    layouts,
)

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    conv_backward,
    conv_first,
    conv_forward,
    conv_geometry,
    conv_pointwise,
    conv_rows,
    is_hwnc,
    to_hwnc,
)
from cnn_from_scratch.ops.conv_algorithms import ALGORITHMS, suits
from cnn_from_scratch.ops.conv_backward import BACKWARD
from cnn_from_scratch.ops.conv_forward import FORWARD, convolve

EVERYWHERE = ("loops", "im2col", "im2row")
SLIDING = [{}, {"stride": (2, 1), "padding": 1}, {"dilation": 2, "padding": ((0, 1), (2, 1))}]
PROBLEMS = [
    *((a, (2, 4, 6, 7), (4, 4, 3, 2), options) for a in EVERYWHERE for options in SLIDING),
    *((a, (2, 4, 6, 7), (4, 2, 3, 2), {"groups": 2}) for a in EVERYWHERE),
    *(("pointwise", (2, 4, 6, 7), (5, 4, 1, 1), options) for options in ({}, {"stride": (2, 3)})),
    ("pointwise", (conv_pointwise.IMAGES, 4, 6, 7), (5, 4, 1, 1), {"stride": (2, 3)}),
    *(("first", (2, 3, 6, 7), (5, 3, 3, 2), options) for options in SLIDING),
    *((a, (2, 4, 6, 7), (5, 4, 3, 3), {"padding": p}) for a in ("winograd2", "winograd4") for p in (0, 1)),
    *(("depthwise", (2, 3, 6, 7), (6, 1, 3, 2), {"groups": 3, **options}) for options in SLIDING),
]
"""For each algorithm what suits it: the shapes of x and weight, and options."""


def options_and_algorithms():
    return pytest.mark.parametrize(("algorithm", "x_shape", "w_shape", "options"), PROBLEMS)


def suiting(x_shape, w_shape, options):
    """All algorithms that can compute this convolution."""
    geometry = conv_geometry("test", x_shape[2:], w_shape[2:], *(options[k] for k in ("stride", "padding", "dilation")))
    return [a for a in ALGORITHMS if suits(a, x_shape, w_shape, geometry, options["groups"])]


def test_every_algorithm_has_its_problems():
    assert {a for a, *_ in PROBLEMS} == set(ALGORITHMS) - {"auto"} == set(FORWARD) == set(BACKWARD)


@pytest.mark.parametrize("algorithm", [*EVERYWHERE, "first", "auto"])
def test_by_hand(algorithm):
    # x = 1 2 3      weight = 1 0     y = 1*1 + 5*2 = 11   2*1 + 6*2 = 14
    #     4 5 6               0 2         4*1 + 8*2 = 20   5*1 + 9*2 = 23   and bias 100 on top
    #     7 8 9
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    weight = np.array([[1.0, 0.0], [0.0, 2.0]]).reshape(1, 1, 2, 2)
    y, cache = conv_forward(x, weight, np.array([100.0]), algorithm=algorithm)
    np.testing.assert_array_equal(y[0, 0], [[111, 114], [120, 123]])
    # dy = 1 at the lower right only: its patch is 5 6 / 8 9, and it sends the weights back to that patch
    dx, dweight, dbias = conv_backward(np.array([[0.0, 0.0], [0.0, 1.0]]).reshape(1, 1, 2, 2), cache)
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 2]])
    np.testing.assert_array_equal(dweight[0, 0], [[5, 6], [8, 9]])
    np.testing.assert_array_equal(dbias, [1])


def test_the_kernel_is_not_flipped():
    # cross-correlation: a one at the upper left of the kernel picks the upper left pixel of the patch
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    weight = np.array([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    assert conv_forward(x, weight)[0].item() == 0.0


@st.composite
def kernels(draw):
    """(KH, KW), dilation, stride, groups, channels and filters of a group: any, and those that fast ways are for."""
    kind = draw(st.sampled_from(["any", "1x1", "3x3", "depthwise"]))
    small = st.integers(1, 3)
    if kind == "1x1":
        return (1, 1), (1, 1), draw(st.sampled_from([(1, 1), (2, 2), (2, 3)])), 1, draw(small), draw(small)
    if kind == "3x3":
        return (3, 3), (1, 1), draw(st.sampled_from([(1, 1), (1, 1), (2, 2)])), 1, draw(small), draw(small)
    two = st.integers(1, 2)
    spread, step = (draw(two), draw(two)), (draw(small), draw(small))
    channels = 1 if kind == "depthwise" else draw(two)
    return (draw(small), draw(small)), spread, step, draw(small), channels, draw(two)


@st.composite
def convolutions(draw):
    (KH, KW), dilation, stride, groups, channels, filters = draw(kernels())
    sides = draw(st.sampled_from([(0,) * 4, (1,) * 4, (0, 1, 1, 0), (2, 0, 1, 2), (0, 2, 2, 1)]))
    shape = (
        draw(st.integers(0, 2)),
        groups * channels,
        max(1, dilation[0] * (KH - 1) + 1 - sides[0] - sides[1]) + draw(st.integers(0, 6)),
        max(1, dilation[1] * (KW - 1) + 1 - sides[2] - sides[3]) + draw(st.integers(0, 6)),
    )
    options = {
        "stride": stride,
        "padding": draw(st.sampled_from(["same", (sides[:2], sides[2:])])),
        "dilation": dilation,
        "groups": groups,
    }
    weight = (groups * filters, channels, KH, KW)
    return shape, weight, options, draw(st.booleans()), draw(st.integers(0, 2**16))


@settings(max_examples=150, deadline=None)
@given(convolutions())
def test_every_algorithm_agrees_with_the_loops(drawn):
    x_shape, w_shape, options, with_bias, seed = drawn
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    bias = rng.standard_normal(w_shape[0]) if with_bias else None
    x, weight, bias = frozen(x, weight, bias)
    expected, cache = conv_forward(x, weight, bias, **options, algorithm="loops")
    (dy,) = frozen(rng.standard_normal(expected.shape))
    gradients = conv_backward(dy, cache)
    for algorithm in suiting(x_shape, w_shape, options):
        for images in (x, to_hwnc(x)):
            y, cache = conv_forward(images, weight, bias, **options, algorithm=algorithm)
            np.testing.assert_allclose(y, expected, atol=1e-12, err_msg=algorithm)
            for actual, wanted in zip(conv_backward(dy, cache), gradients, strict=True):
                if wanted is None:
                    assert actual is None
                else:
                    np.testing.assert_allclose(actual, wanted, atol=1e-12, err_msg=algorithm)
            for actual, wanted in zip(conv_backward(dy, cache, need_dx=False)[1:], gradients[1:], strict=True):
                if wanted is not None:
                    np.testing.assert_allclose(actual, wanted, atol=1e-12, err_msg=algorithm)


@options_and_algorithms()
def test_gradients_by_finite_differences(algorithm, x_shape, w_shape, options):
    rng = np.random.default_rng(0)
    shapes = {"x": x_shape, "weight": w_shape, "bias": w_shape[:1]}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    y, cache = conv_forward(**inputs, **options, algorithm=algorithm)
    dy = rng.standard_normal(y.shape)
    gradients = dict(zip(inputs, conv_backward(dy, cache), strict=True))
    assert_gradients_match(lambda **v: conv_forward(**v, **options, algorithm=algorithm)[0], inputs, gradients, dy)


@options_and_algorithms()
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_every_number_is_finished_once_and_stays(algorithm, x_shape, w_shape, options, order):
    rng = np.random.default_rng(0)
    x, weight = order(rng.standard_normal(x_shape)), rng.standard_normal(w_shape)
    expected, cache = conv_forward(x, weight, **options, algorithm=algorithm)
    pieces = []

    def finish(piece):
        rows, OW, images, F = piece.shape
        assert piece.strides[2:] == (F * 8, 8)
        pieces.append(piece.copy())
        piece += 1000  # a second time would show

    y = convolve(x, weight, cache.geometry, cache.groups, algorithm, finish)
    np.testing.assert_allclose(y - 1000, expected, atol=1e-11)
    assert sum(piece.size for piece in pieces) == y.size
    seen = np.concatenate([piece.ravel() for piece in pieces])
    np.testing.assert_allclose(np.sort(seen), np.sort(expected, axis=None), atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("conv2d"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    a = case.attrs
    padding = ((a["pads"]["top"], a["pads"]["bottom"]), (a["pads"]["left"], a["pads"]["right"]))
    options = {"stride": tuple(a["stride"]), "dilation": tuple(a["dilation"]), "groups": a["groups"]}
    for algorithm in suiting(case["x"].shape, case["w"].shape, options | {"padding": padding}):
        y, cache = conv_forward(case["x"], case["w"], case.get("b"), padding=padding, **options, algorithm=algorithm)
        assert y.dtype == dtype
        assert_forward(y, case["y"])
        dx, dweight, dbias = conv_backward(case["dy"], cache)
        assert_gradient(dx, case["dx"])
        assert_gradient(dweight, case["dw"])
        if a["bias"]:
            assert_gradient(dbias, case["db"])
        else:
            assert dbias is None
    if a["auto_pad"] == "SAME_UPPER":
        same, _ = conv_forward(case["x"], case["w"], case.get("b"), padding="same", **options)
        assert_forward(same, case["y"])


@pytest.mark.fault("odd-arrays")
@options_and_algorithms()
def test_any_layout_gives_the_same_result(algorithm, x_shape, w_shape, options):
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    y, cache = conv_forward(x, weight, **options, algorithm=algorithm)
    dy = rng.standard_normal(y.shape)
    expected = (y, *conv_backward(dy, cache)[:2])
    for label, xs in layouts(x):
        for (_, ws), (_, dys) in zip(layouts(weight), layouts(dy), strict=True):
            y, cache = conv_forward(xs, ws, **options, algorithm=algorithm)
            actual = (y, *conv_backward(dys, cache)[:2])
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, e, atol=1e-12, err_msg=label)
                assert a.dtype == np.dtype(np.float64)


@options_and_algorithms()
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(algorithm, x_shape, w_shape, options, order):
    x = order(np.random.default_rng(0).standard_normal(x_shape))
    y, cache = conv_forward(x, np.ones(w_shape), **options, algorithm=algorithm)
    dx, _, _ = conv_backward(y, cache)
    contiguous = (lambda a: a.transpose(2, 3, 0, 1)) if order is to_hwnc else (lambda a: a)
    assert is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)
    assert contiguous(y).flags.c_contiguous
    assert contiguous(dx).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@options_and_algorithms()
def test_dtype_in_is_dtype_out(dtype, algorithm, x_shape, w_shape, options):
    x, weight, bias = np.ones(x_shape, dtype), np.ones(w_shape, dtype), np.ones(w_shape[0], dtype)
    y, cache = conv_forward(x, weight, bias, **options, algorithm=algorithm)
    assert {a.dtype for a in (y, *conv_backward(np.ones_like(y), cache))} == {np.dtype(dtype)}


@options_and_algorithms()
def test_the_same_numbers_every_time(algorithm, x_shape, w_shape, options):
    rng = np.random.default_rng(2)
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    runs = []
    for _ in range(2):
        y, cache = conv_forward(x, weight, **options, algorithm=algorithm)
        runs.append((y, *conv_backward(y, cache)[:2]))
    for once, again in zip(*runs, strict=True):
        np.testing.assert_array_equal(once, again)


@options_and_algorithms()
def test_pieces_of_one_row_give_the_same_result(algorithm, x_shape, w_shape, options, monkeypatch):
    rng = np.random.default_rng(3)
    x, weight = to_hwnc(rng.standard_normal(x_shape)), rng.standard_normal(w_shape)
    y, cache = conv_forward(x, weight, **options, algorithm=algorithm)
    expected = (y, *conv_backward(y, cache)[:2])
    for module in (conv_rows, conv_first, conv_pointwise):
        monkeypatch.setattr(module, "PIECE", 1)
    pieces = []
    again = convolve(x, weight, cache.geometry, cache.groups, algorithm, pieces.append)
    for actual, wanted in zip((again, *conv_backward(y, cache)[:2]), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-12)
    if algorithm in ("im2row", "pointwise", "first"):
        assert [len(piece) for piece in pieces] == [1] * y.shape[2]


@pytest.mark.parametrize(
    ("algorithm", "x_shape", "w_shape", "options"),
    [
        ("im2row", (8, 32, 32, 32), (16, 32, 3, 3), {"stride": 2, "padding": 1}),
        ("im2row", (2, 128, 16, 16), (256, 128, 3, 3), {"stride": 2, "padding": 1}),
        ("pointwise", (2, 512, 16, 16), (512, 512, 1, 1), {}),
        ("im2row", (8, 32, 32, 32), (32, 16, 3, 3), {"padding": 1, "groups": 2}),
        ("pointwise", (8, 32, 32, 32), (32, 32, 1, 1), {}),
        ("pointwise", (8, 32, 32, 32), (32, 32, 1, 1), {"stride": 2}),
        ("first", (16, 3, 64, 64), (32, 3, 5, 5), {"stride": 2, "padding": 2}),
    ],
)
def test_memory_is_recycled(algorithm, x_shape, w_shape, options):
    x, weight = to_hwnc(np.ones(x_shape, np.float32)), np.ones(w_shape, np.float32)
    dy = to_hwnc(np.ones_like(conv_forward(x, weight, **options)[0]))

    def run():
        _, cache = conv_forward(x, weight, **options, algorithm=algorithm)
        conv_backward(dy, cache)

    assert_recycles(run, 1 << 17)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "single", "double"),
    [
        ((2, 64, 8, 8), (32, 64, 1, 1), {}, "pointwise", "pointwise"),
        ((2, 3, 8, 8), (32, 3, 1, 1), {"stride": 2}, "pointwise", "pointwise"),
        ((2, 64, 8, 8), (32, 64, 1, 1), {"padding": 1}, "im2row", "im2row"),
        ((2, 3, 8, 8), (32, 3, 3, 3), {"padding": 1}, "first", "first"),
        ((2, 1, 28, 28), (6, 1, 5, 5), {"padding": 2}, "first", "first"),
        ((2, 64, 8, 8), (64, 64, 3, 3), {"padding": 1}, "winograd4", "im2row"),
        ((2, 16, 9, 7), (16, 16, 3, 3), {}, "winograd4", "im2row"),
        ((2, 8, 8, 8), (8, 8, 3, 3), {"padding": 1}, "winograd4", "im2row"),
        ((2, 7, 8, 8), (64, 7, 3, 3), {"padding": 1}, "im2row", "im2row"),
        ((2, 64, 8, 8), (7, 64, 3, 3), {"padding": 1}, "im2row", "im2row"),
        ((2, 64, 6, 5), (64, 64, 3, 3), {"padding": 1}, "winograd2", "im2row"),  # 9 tiles of 16, or 4 of 36
        ((2, 64, 7, 7), (64, 64, 3, 3), {"padding": 1}, "winograd4", "im2row"),  # 16 tiles of 16, or 4 of 36
        ((2, 64, 1, 1), (64, 64, 3, 3), {"padding": 1}, "im2row", "im2row"),  # 9, 16 or 36
        ((2, 64, 8, 8), (64, 64, 3, 3), {"stride": 2}, "im2row", "im2row"),
        ((2, 64, 8, 8), (64, 64, 3, 3), {"dilation": 2}, "im2row", "im2row"),
        ((2, 64, 8, 8), (64, 64, 3, 3), {"padding": 2}, "im2row", "im2row"),
        ((2, 64, 8, 8), (64, 1, 3, 3), {"groups": 64}, "depthwise", "depthwise"),
        ((2, 64, 8, 8), (64, 32, 3, 3), {"groups": 2}, "im2row", "im2row"),
    ],
)
def test_what_auto_takes(x_shape, w_shape, options, single, double):
    for dtype, expected in ((np.float32, single), (np.float64, double)):
        _, cache = conv_forward(np.zeros(x_shape, dtype), np.zeros(w_shape, dtype), **options)
        assert cache.algorithm == expected


def test_without_dx():
    y, cache = conv_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    assert conv_backward(y, cache, need_dx=False)[0] is None


X, W = np.ones((2, 3, 8, 8)), np.ones((6, 4, 3, 3))


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: conv_forward(X, W),
            ShapeError,
            "conv_forward: x has C=3 channels but weight expects 4; got x (2, 3, 8, 8), weight (6, 4, 3, 3)",
        ),
        (
            lambda: conv_forward(X, W, groups=2),
            ShapeError,
            "conv_forward: groups=2 must divide C=3 and F=6; got x (2, 3, 8, 8), weight (6, 4, 3, 3)",
        ),
        (lambda: conv_forward(X, W, groups=0), ShapeError, "conv_forward: groups must be an int >= 1, got 0"),
        (
            lambda: conv_forward(X[0], W),
            ShapeError,
            "conv_forward: x must have 4 axes (N, C, H, W), got shape (3, 8, 8)",
        ),
        (
            lambda: conv_forward(X, W[:, :3], np.ones(5)),
            ShapeError,
            "conv_forward: bias must have shape (6,), got (5,)",
        ),
        (
            lambda: conv_forward(X, W[:, :3], stride=0),
            ShapeError,
            "conv_forward: stride must be an int >= 1 or a pair of them, got 0",
        ),
        (
            lambda: conv_forward(X, W[:, :3], padding=-1),
            ShapeError,
            "conv_forward: padding must be an int >= 0, a pair (PH, PW), ((top, bottom), (left, right)), "
            "'same' or 'valid', got -1",
        ),
        (
            lambda: conv_forward(X, W[:, :3], dilation=4),
            ShapeError,
            "conv_forward: the kernel does not fit: height 8 padded by 0 and 0 is 8, "
            "but kernel 3 with dilation 4 reaches over 9",
        ),
        (
            lambda: conv_forward(X, W[:0, :3]),
            ShapeError,
            "conv_forward: at least one channel and one filter are needed; got x (2, 3, 8, 8), weight (0, 3, 3, 3)",
        ),
        (
            lambda: conv_forward(X, W[:, :3], algorithm="fft"),
            ValueError,
            "conv_forward: algorithm must be one of auto, loops, im2col, im2row, pointwise, first, winograd2, "
            "winograd4, depthwise, got 'fft'",
        ),
        (
            lambda: conv_forward(X, W[:, :3], stride=2, padding=1, algorithm="winograd4"),
            ValueError,
            "conv_forward: algorithm 'winograd4' needs a 3x3 kernel, stride 1, dilation 1, padding 0 or 1 on each side "
            "and no groups; got x (2, 3, 8, 8), weight (6, 3, 3, 3), stride (2, 2), padding ((1, 1), (1, 1)), "
            "dilation (1, 1), groups=1",
        ),
        (
            lambda: conv_forward(X, W[:, :3], algorithm="pointwise"),
            ValueError,
            "conv_forward: algorithm 'pointwise' needs a 1x1 kernel, no padding and no groups; got x (2, 3, 8, 8), "
            "weight (6, 3, 3, 3), stride (1, 1), padding ((0, 0), (0, 0)), dilation (1, 1), groups=1",
        ),
        (
            lambda: conv_forward(np.ones((2, 5, 8, 8)), np.ones((6, 5, 3, 3)), algorithm="first"),
            ValueError,
            "conv_forward: algorithm 'first' needs at most 4 channels and no groups; got x (2, 5, 8, 8), "
            "weight (6, 5, 3, 3), stride (1, 1), padding ((0, 0), (0, 0)), dilation (1, 1), groups=1",
        ),
        (
            lambda: conv_forward(X, W[:, :3], algorithm="depthwise"),
            ValueError,
            "conv_forward: algorithm 'depthwise' needs one channel in each of several groups; got x (2, 3, 8, 8), "
            "weight (6, 3, 3, 3), stride (1, 1), padding ((0, 0), (0, 0)), dilation (1, 1), groups=1",
        ),
        (
            lambda: conv_forward(X.astype(int), W),
            TypeError,
            "conv_forward: x has dtype int64; expected float32 or float64 (convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: conv_forward(X.astype(np.float32), W),
            TypeError,
            "conv_forward: arguments have different dtypes (x float32, weight float64); convert them to one",
        ),
        (
            lambda: conv_backward(np.ones((2, 6, 5, 6)), conv_forward(X, W[:, :3])[1]),
            ShapeError,
            "conv_backward: dy must have shape (2, 6, 6, 6), got (2, 6, 5, 6)",
        ),
        (
            lambda: conv_backward(np.ones((2, 6, 6, 6), np.float32), conv_forward(X, W[:, :3])[1]),
            TypeError,
            "conv_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
