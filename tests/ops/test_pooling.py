"""Max and average pooling climb the ladder: by hand, by loops, by finite differences, by Hypothesis, by PyTorch."""

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
    layouts,
    spaced,
)

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    avg_pool_backward,
    avg_pool_forward,
    is_hwnc,
    max_pool_backward,
    max_pool_forward,
    max_pool_indices,
    pool_pairs,
    to_hwnc,
)
from cnn_from_scratch.ops.pool_windows import overhanging, overlapping, pool_geometry, tiling
from cnn_from_scratch.ops.pooling import Masks, Maxima


def window_pixels(geometry, oh, ow):
    """The pixels inside the image under one window, in scan order: the definition, pixel by pixel."""
    (H, W), (KH, KW), (SH, SW), (DH, DW) = geometry.input, geometry.kernel, geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    pixels = [(oh * SH + kh * DH - top, ow * SW + kw * DW - left) for kh in range(KH) for kw in range(KW)]
    return [(h, w) for h, w in pixels if 0 <= h < H and 0 <= w < W]


@st.composite
def poolings(draw, dilations=(1, 2)):
    KH, KW = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation = draw(st.sampled_from(dilations)), draw(st.sampled_from(dilations))
    reach = dilation[0] * (KH - 1) + 1, dilation[1] * (KW - 1) + 1
    sides = tuple((draw(st.integers(0, r - 1)), draw(st.integers(0, r - 1))) for r in reach)
    shape = (
        draw(st.integers(0, 2)),
        draw(st.integers(1, 3)),
        max(1, reach[0] - sum(sides[0])) + draw(st.integers(0, 4)),
        max(1, reach[1] - sum(sides[1])) + draw(st.integers(0, 4)),
    )
    options = {
        "stride": draw(st.sampled_from([None, 1, (2, 1), (3, 2), (1, 4)])),
        "padding": draw(st.sampled_from(["valid", "same", sides])),
        "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
    }
    if options["padding"] == "valid":  # then the image itself must have room for the window
        shape = (*shape[:2], max(shape[2], reach[0]), max(shape[3], reach[1]))
    return shape, (KH, KW), options, draw(st.integers(0, 2**16))


@pytest.mark.fault("remainder")
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "ceil_mode", "expected"),
    [
        (4, 2, 2, 0, 1, False, "tiling"),  # [0 1] [2 3]
        (5, 2, 2, 0, 1, False, ""),  # [0 1] [2 3] 4: a pixel falls off
        (5, 2, 2, 0, 1, True, "overhanging"),  # [0 1] [2 3] [4 .]
        (4, 2, 2, (1, 0), 1, False, "overhanging"),  # [. 0] [1 2] 3
        (4, 2, 2, (0, 1), 1, False, "tiling"),  # [0 1] [2 3] .: the padding is met by no window
        (6, 2, 3, 0, 1, False, ""),  # [0 1] 2 [3 4] 5
        (6, 2, 3, 0, 2, False, ""),  # [0 - 2] [3 - 5]: gaps inside the windows
        (4, 3, 2, (0, 1), 1, False, "overhanging overlapping"),  # [0 1 2] [2 3 .]
        (4, 1, 1, 0, 3, False, "tiling"),  # a window of one pixel has no gaps, whatever its dilation
    ],
)
def test_how_windows_lie(size, kernel, stride, padding, dilation, ceil_mode, expected):
    sides = padding if isinstance(padding, tuple) else (padding, padding)
    for turned in (False, True):  # along the width, along the height
        along = [(1, size), (1, kernel), (1, stride), ((0, 0), sides), (1, dilation)]
        shape, *options = [pair[::-1] for pair in along] if turned else along
        geometry = pool_geometry("example", np.ones((1, 1, *shape)), *options, ceil_mode)
        found = [f.__name__ for f in (overhanging, overlapping, tiling) if f(geometry)]
        assert found == expected.split()


# --- max pooling ----------------------------------------------------------------------------------------------------


def max_pool_loops(x, dy_of, kernel, options):
    """y, dx and indices by visiting every window and every pixel of it, keeping the first that is larger."""
    geometry = pool_geometry("loops", x, kernel, options["stride"], *(options[o] for o in list(options)[1:]))
    (N, C, _, W), (OH, OW) = x.shape, geometry.output
    y, indices = np.full((N, C, OH, OW), -np.inf), np.full((N, C, OH, OW), -1)
    dx, dy = np.zeros_like(x), dy_of((N, C, OH, OW))
    for place in np.ndindex(N, C, OH, OW):
        n, c, oh, ow = place
        best = None
        for h, w in window_pixels(geometry, oh, ow):
            if best is None or x[n, c, h, w] > x[n, c, *best]:
                best = h, w
            if np.isnan(x[n, c, h, w]):
                best = h, w
                break
        if best is not None:
            y[place], indices[place] = x[n, c, *best], best[0] * W + best[1]
            dx[n, c, *best] += dy[place]
    return y, dx, indices, dy


def test_max_by_hand():
    # windows 2x2:  1 2 | 5 0      maxima 4 7   gradients go to the 4 and the 7,
    #               4 3 | 7 6             8 6   and to the first 8 and the first 6 in scan order
    #               ---------
    #               8 8 | 6 6
    #               8 1 | 6 6
    x = np.array([[1, 2, 5, 0], [4, 3, 7, 6], [8, 8, 6, 6], [8, 1, 6, 6]], float).reshape(1, 1, 4, 4)
    y, cache = max_pool_forward(x, 2)
    np.testing.assert_array_equal(y[0, 0], [[4, 7], [8, 6]])
    dx = max_pool_backward(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2), cache)
    np.testing.assert_array_equal(dx[0, 0], [[0, 0, 0, 0], [1, 0, 2, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(max_pool_indices(cache)[0, 0], [[4, 6], [8, 10]])


@settings(max_examples=300, deadline=None)
@given(poolings(), st.sampled_from(["distinct", "ties", "minus infinity", "NaN"]))
def test_max_agrees_with_the_loops(drawn, kind):
    shape, kernel, options, seed = drawn
    rng = np.random.default_rng(seed)
    values = {"distinct": spaced(shape, rng), "ties": rng.integers(-1, 2, shape).astype(float)}
    x = values.get(kind, values["ties"])
    if kind == "minus infinity":
        x[x == 1] = -np.inf
    if kind == "NaN":
        x[rng.random(shape) < 0.2] = np.nan
    y, dx, indices, dy = max_pool_loops(x, rng.standard_normal, kernel, options)
    for order in (np.ascontiguousarray, to_hwnc):
        images, upstream = order(x), order(dy)
        images.flags.writeable = upstream.flags.writeable = False
        actual, cache = max_pool_forward(images, kernel, **options)
        np.testing.assert_array_equal(actual, y)
        actual.flags.writeable = False
        np.testing.assert_allclose(max_pool_backward(upstream, cache), dx, atol=1e-13)
        np.testing.assert_array_equal(max_pool_indices(cache), indices)
        assert max_pool_indices(cache).dtype == np.int64


PAIRS = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(2, 9), st.integers(2, 9)),
    st.sampled_from(["distinct", "ties", "NaN"]),
    st.sampled_from([1, 16, 100, 10**6]),
    st.integers(0, 2**16),
)
def test_pairs_in_pieces_of_any_size_agree_with_the_loops(shape, kind, piece, seed):
    rng = np.random.default_rng(seed)
    x = spaced(shape, rng) if kind == "distinct" else rng.integers(-1, 2, shape).astype(float)
    if kind == "NaN":
        x[rng.random(shape) < 0.2] = np.nan
    y, dx, indices, dy = max_pool_loops(x, rng.standard_normal, (2, 2), PAIRS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_pairs, "PIECE", piece)
        for train, kept, order in ((True, Masks, to_hwnc), (False, Maxima, to_hwnc), (True, Masks, np.array)):
            images, upstream = order(x), order(dy)
            images.flags.writeable = upstream.flags.writeable = False
            actual, cache = max_pool_forward(images, 2, train=train)
            assert isinstance(cache.found, kept)
            np.testing.assert_array_equal(actual, y)
            np.testing.assert_array_equal(max_pool_backward(upstream, cache), dx)
            np.testing.assert_array_equal(max_pool_indices(cache), indices)
            if train:
                cache.found.below.flags.writeable = cache.found.right.flags.writeable = False
                np.testing.assert_array_equal(max_pool_backward(np.asfortranarray(upstream), cache), dx)


@pytest.mark.parametrize("value", [np.inf, np.nan, -0.0])
def test_pairs_pass_any_gradient_on_and_nothing_else(value):
    x = np.array([[1.0, 2.0], [3.0, 0.0]]).reshape(1, 1, 2, 2)
    for train in (True, False):
        dx = max_pool_backward(np.full((1, 1, 1, 1), value), max_pool_forward(x, 2, train=train)[1])
        np.testing.assert_array_equal(dx[0, 0], [[0, 0], [value, 0]])
        assert np.signbit(dx[0, 0, 1, 0]) == np.signbit(value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("max_pool2d"))
def test_max_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    options = {name: case.attrs[name] for name in ("stride", "padding", "dilation", "ceil_mode")}
    y, cache = max_pool_forward(case["x"], case.attrs["kernel"], **options)
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(max_pool_backward(case["dy"], cache), case["dx"])
    np.testing.assert_array_equal(max_pool_indices(cache), case["indices"])


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((2, 1), (0, 1))},
        {"kernel_size": 2, "stride": 3, "dilation": 2, "padding": "same"},
        {"kernel_size": 2, "ceil_mode": True},
    ],
)
def test_max_gradient_by_finite_differences(options):
    rng = np.random.default_rng(0)
    inputs = {"x": spaced((2, 3, 6, 7), rng)}
    y, cache = max_pool_forward(**inputs, **options)
    dy = rng.standard_normal(y.shape)
    gradients = {"x": max_pool_backward(dy, cache)}
    assert_gradients_match(lambda x: max_pool_forward(x, **options)[0], inputs, gradients, dy)


def test_max_keeps_nan_and_infinite_gradients_in_their_place():
    x = np.array([[1.0, 5.0, np.nan, 2.0], [0.0, 3.0, 7.0, np.nan]]).reshape(1, 1, 2, 4)
    y, cache = max_pool_forward(x, 2)
    np.testing.assert_array_equal(y.ravel(), [5.0, np.nan])
    dx = max_pool_backward(np.array([np.inf, 2.0]).reshape(1, 1, 1, 2), cache)
    np.testing.assert_array_equal(dx[0, 0], [[0, np.inf, 2, 0], [0, 0, 0, 0]])


def test_max_of_a_dilated_window_that_misses_every_pixel():
    # kernel 2 with dilation 2 and padding 1 over one pixel: the window meets pixels -1 and 1, and there are none
    y, cache = max_pool_forward(np.ones((1, 1, 1, 1)), 2, dilation=2, padding=1)
    assert y.item() == -np.inf
    assert max_pool_indices(cache).item() == -1
    assert max_pool_backward(np.ones_like(y), cache).item() == 0.0


# --- average pooling ------------------------------------------------------------------------------------------------


def avg_pool_loops(x, dy_of, kernel, options):
    """y and dx by visiting every window: its divisor counts the cells of image and padding one by one."""
    padding, ceil_mode = options["padding"], options["ceil_mode"]
    geometry = pool_geometry("loops", x, kernel, options["stride"], padding, 1, ceil_mode)
    (N, C), (OH, OW) = x.shape[:2], geometry.output
    y, dx, dy = np.zeros((N, C, OH, OW)), np.zeros_like(x), dy_of((N, C, OH, OW))
    rows, columns = geometry.padded
    for n, c, oh, ow in np.ndindex(N, C, OH, OW):
        pixels = window_pixels(geometry, oh, ow)
        cells = [(oh * geometry.stride[0] + i, ow * geometry.stride[1] + j) for i, j in np.ndindex(*geometry.kernel)]
        count = sum(i < rows and j < columns for i, j in cells) if options["count_include_pad"] else len(pixels)
        for h, w in pixels:
            y[n, c, oh, ow] += x[n, c, h, w] / count
            dx[n, c, h, w] += dy[n, c, oh, ow] / count
    return y, dx, dy


def test_average_by_hand():
    # 0 [3 6] 0 and one cell more for ceil_mode. First window: (0 + 3 + 6) / 3 = 3 with the padding counted, else
    # (3 + 6) / 2 = 4.5. Second window: 6, one cell of padding, and the cell beyond never counts: 6 / 2 = 3, else 6 / 1
    x = np.array([3.0, 6.0]).reshape(1, 1, 1, 2)
    for include, expected, shares in ((True, [3.0, 3.0], [10 / 3, 10 / 3 + 5]), (False, [4.5, 6.0], [5.0, 15.0])):
        y, cache = avg_pool_forward(x, (1, 3), stride=2, padding=(0, 1), ceil_mode=True, count_include_pad=include)
        np.testing.assert_allclose(y.ravel(), expected)
        dx = avg_pool_backward(np.array([10.0, 10.0]).reshape(1, 1, 1, 2), cache)
        np.testing.assert_allclose(dx.ravel(), shares)


@settings(max_examples=200, deadline=None)
@given(poolings(dilations=(1,)), st.booleans())
def test_average_agrees_with_the_loops(drawn, include):
    shape, kernel, options, seed = drawn
    rng = np.random.default_rng(seed)
    del options["dilation"]
    options["count_include_pad"] = include
    x = rng.standard_normal(shape)
    y, dx, dy = avg_pool_loops(x, rng.standard_normal, kernel, options)
    for order in (np.ascontiguousarray, to_hwnc):
        images, upstream = order(x), order(dy)
        images.flags.writeable = upstream.flags.writeable = False
        actual, cache = avg_pool_forward(images, kernel, **options)
        np.testing.assert_allclose(actual, y, atol=1e-13)
        cache.counts.flags.writeable = False
        gradient = avg_pool_backward(upstream, cache)
        np.testing.assert_allclose(gradient, dx, atol=1e-13)
        np.testing.assert_allclose(np.sum(actual * dy), np.sum(x * gradient), atol=1e-12)  # the adjoint identity


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("avg_pool2d"))
def test_average_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    options = {name: case.attrs[name] for name in ("stride", "padding", "ceil_mode", "count_include_pad")}
    y, cache = avg_pool_forward(case["x"], case.attrs["kernel"], **options)
    assert y.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(avg_pool_backward(case["dy"], cache), case["dx"])


@pytest.mark.parametrize(
    "options", [{}, {"stride": 1, "padding": "same"}, {"padding": 1, "count_include_pad": False, "ceil_mode": True}]
)
def test_average_gradient_by_finite_differences(options):
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((2, 3, 6, 7))}
    y, cache = avg_pool_forward(**inputs, kernel_size=(3, 2), **options)
    dy = rng.standard_normal(y.shape)
    gradients = {"x": avg_pool_backward(dy, cache)}
    assert_gradients_match(lambda x: avg_pool_forward(x, (3, 2), **options)[0], inputs, gradients, dy)


def test_average_keeps_nan_in_its_windows():
    x = np.array([np.nan, 1.0, 2.0, 4.0]).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(avg_pool_forward(x, (1, 2))[0].ravel(), [np.nan, 3.0])


# --- both -----------------------------------------------------------------------------------------------------------

POOLS = {"max": (max_pool_forward, max_pool_backward), "avg": (avg_pool_forward, avg_pool_backward)}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("options", [{}, {"stride": 1, "padding": 1}])
def test_any_layout_gives_the_same_result(pool, options):
    forward, backward = POOLS[pool]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4, 6))
    y, cache = forward(x, 2, **options)
    dy = rng.standard_normal(y.shape)
    expected = backward(dy, cache)
    for label, xs in layouts(x):
        for _, dys in layouts(dy):
            ys, cache = forward(xs, 2, **options)
            np.testing.assert_array_equal(ys, y, err_msg=label)
            dx = backward(dys, cache)
            np.testing.assert_allclose(dx, expected, atol=1e-14, err_msg=label)
            assert ys.dtype == dx.dtype == np.dtype(np.float64)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("options", [{}, {"stride": 1, "padding": 1}])
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(pool, options, order):
    forward, backward = POOLS[pool]
    y, cache = forward(order(np.random.default_rng(0).standard_normal((2, 3, 4, 6))), 2, **options)
    dx = backward(y, cache)
    contiguous = (lambda a: a.transpose(2, 3, 0, 1)) if order is to_hwnc else (lambda a: a)
    assert is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)
    assert contiguous(y).flags.c_contiguous
    assert contiguous(dx).flags.c_contiguous


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"stride": 1, "padding": 1, "ceil_mode": True}])
def test_dtype_in_is_dtype_out(pool, dtype, options):
    forward, backward = POOLS[pool]
    y, cache = forward(np.ones((1, 2, 4, 4), dtype), 2, **options)
    assert y.dtype == backward(np.ones_like(y), cache).dtype == np.dtype(dtype)


@pytest.mark.parametrize("pool", POOLS)
def test_an_empty_batch(pool):
    forward, backward = POOLS[pool]
    y, cache = forward(np.ones((0, 2, 5, 5)), 2)
    assert y.shape == (0, 2, 2, 2)
    assert backward(y, cache).shape == (0, 2, 5, 5)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("options", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_memory_is_recycled(pool, options, order):
    forward, backward = POOLS[pool]
    x = order(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))  # 1 MiB

    def run():
        y, cache = forward(x, **options)
        backward(y, cache)

    assert_recycles(run, x.nbytes / 8)


X = np.ones((2, 3, 6, 5))
PADDING = "padding must be an int >= 0, a pair (PH, PW), ((top, bottom), (left, right)), 'same' or 'valid'"


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        (0, {}, "kernel_size must be an int >= 1 or a pair of them, got 0"),
        (2, {"stride": 0}, "stride must be an int >= 1 or a pair of them, got 0"),
        (2, {"padding": -1}, f"{PADDING}, got -1"),
        (
            (7, 2),
            {},
            "the kernel does not fit: height 6 padded by 0 and 0 is 6, but kernel 7 with dilation 1 reaches over 7",
        ),
        (
            (2, 3),
            {"padding": ((0, 2), (2, 2))},
            "padding must be smaller than the kernel's reach, got 2 for kernel 2 with dilation 1, which reaches over 2",
        ),
    ],
)
def test_bad_geometry_is_named(pool, kernel, options, message):
    with pytest.raises(ShapeError) as caught:
        POOLS[pool][0](X, kernel, **options)
    assert str(caught.value) == f"{pool}_pool_forward: {message}"


def test_a_window_larger_than_the_image_is_let_in_by_ceil_mode():
    # a window of 3 on 2 pixels hangs over by 1, less than the stride: max(3, 6) = 6, (3 + 6) / 2 = 4.5
    x = np.array([3.0, 6.0]).reshape(1, 1, 1, 2)
    for pool, expected, shares in (("max", 6.0, [0, 10]), ("avg", 4.5, [5, 5])):
        forward, backward = POOLS[pool]
        y, cache = forward(x, (1, 3), stride=2, ceil_mode=True)
        assert y.shape == (1, 1, 1, 1)
        assert y.item() == expected
        np.testing.assert_array_equal(backward(np.full_like(y, 10.0), cache).ravel(), shares)
        with pytest.raises(ShapeError, match="the kernel does not fit: width 2"):
            forward(x, (1, 4), stride=2, ceil_mode=True)


@pytest.mark.parametrize("pool", POOLS)
def test_bad_arrays_are_named(pool):
    forward, backward = POOLS[pool]
    cache = forward(X, 2)[1]
    for call, error, message in (
        (
            lambda: forward(X[0], 2),
            ShapeError,
            f"{pool}_pool_forward: x must have 4 axes (N, C, H, W), got shape (3, 6, 5)",
        ),
        (
            lambda: forward(X.astype(np.uint8), 2),
            TypeError,
            f"{pool}_pool_forward: x has dtype uint8; expected float32 or float64 "
            "(convert it, as in x.astype(np.float32))",
        ),
        (
            lambda: backward(np.ones((2, 3, 3, 3)), cache),
            ShapeError,
            f"{pool}_pool_backward: dy must have shape (2, 3, 3, 2), got (2, 3, 3, 3)",
        ),
        (
            lambda: backward(np.ones((2, 3, 3, 2), np.float32), cache),
            TypeError,
            f"{pool}_pool_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


def test_bad_dilation_is_named():
    with pytest.raises(ShapeError) as caught:
        max_pool_forward(X, 2, dilation=5)
    assert str(caught.value) == (
        "max_pool_forward: the kernel does not fit: width 5 padded by 0 and 0 is 5, but kernel 2 with dilation 5 "
        "reaches over 6"
    )
