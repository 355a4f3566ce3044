"""im2col and its adjoint col2im: by hand, by loops, as a pair, by Hypothesis, by PyTorch's vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import Case, assert_forward, assert_gradient, conformance, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import col2im, conv_geometry, im2col, to_hwnc


def test_im2col_by_hand():
    # 0 1 2    the kernel (1, 2) sees, at stride (2, 1):   0 1   1 2
    # 3 4 5                                                6 7   7 8
    # 6 7 8    left pixels make the first row of columns, right pixels the second
    cols = im2col(np.arange(9.0).reshape(1, 1, 3, 3), (1, 2), stride=(2, 1))
    np.testing.assert_array_equal(cols, [[[0, 1, 6, 7], [1, 2, 7, 8]]])


def test_padding_brings_zeros_and_dilation_skips_pixels():
    # 1 2 becomes 0 1 2 0, of which a kernel of two pixels two apart sees 0 2 and 1 0
    x = np.array([1.0, 2.0]).reshape(1, 1, 1, 2)
    cols = im2col(x, (1, 2), padding=(0, 1), dilation=(1, 2))
    np.testing.assert_array_equal(cols, [[[0, 1], [2, 0]]])


def test_channels_are_slowest():
    # two channels of one pixel under a kernel of one pixel: a row each
    np.testing.assert_array_equal(im2col(np.array([3.0, 4.0]).reshape(1, 2, 1, 1), 1), [[[3], [4]]])


def test_col2im_by_hand():
    # windows 10 20 and 1 2 over a row of three pixels: the middle one receives 20 + 1
    cols = np.array([[[10.0, 1.0], [20.0, 2.0]]])
    np.testing.assert_array_equal(col2im(cols, (1, 1, 1, 3), (1, 2)), [[[[10, 21, 2]]]])


def test_what_fell_on_the_padding_is_dropped_and_what_no_window_saw_is_zero():
    # image 1 x 4, one zero to the left, kernel 2, stride 3: windows at -1 and 2, so pixel 1 is seen by none
    cols = np.array([[[10.0, 1.0], [20.0, 2.0]]])
    x = col2im(cols, (1, 1, 1, 4), (1, 2), stride=3, padding=((0, 0), (1, 0)))
    np.testing.assert_array_equal(x, [[[[20, 0, 1, 2]]]])


def im2col_by_loops(x, geometry):
    """The definition, one number at a time."""
    N, C, H, W = x.shape
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    (SH, SW), (DH, DW), ((top, _), (left, _)) = geometry.stride, geometry.dilation, geometry.padding
    cols = np.zeros((N, C, KH, KW, OH, OW), x.dtype)
    for n, c, kh, kw, oh, ow in np.ndindex(cols.shape):
        h, w = oh * SH + kh * DH - top, ow * SW + kw * DW - left
        if 0 <= h < H and 0 <= w < W:
            cols[n, c, kh, kw, oh, ow] = x[n, c, h, w]
    return cols.reshape(N, C * KH * KW, OH * OW)


@st.composite
def windows(draw):
    KH, KW = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    top, bottom, left, right = (draw(st.integers(0, 2)) for _ in range(4))
    shape = (
        draw(st.integers(0, 2)),
        draw(st.integers(1, 2)),
        max(1, dilation[0] * (KH - 1) + 1 - top - bottom) + draw(st.integers(0, 3)),
        max(1, dilation[1] * (KW - 1) + 1 - left - right) + draw(st.integers(0, 3)),
    )
    options = {
        "stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "padding": draw(st.sampled_from(["same", ((top, bottom), (left, right))])),
        "dilation": dilation,
    }
    return shape, (KH, KW), options, draw(st.integers(0, 2**16))


@settings(max_examples=150, deadline=None)
@given(windows())
def test_im2col_is_its_definition_and_col2im_its_adjoint(drawn):
    shape, kernel, options, seed = drawn
    rng = np.random.default_rng(seed)
    (x,) = frozen(rng.standard_normal(shape))
    geometry = conv_geometry("test", shape[2:], kernel, options["stride"], options["padding"], options["dilation"])
    cols = im2col(x, kernel, **options)
    np.testing.assert_array_equal(cols, im2col_by_loops(x, geometry))
    np.testing.assert_array_equal(im2col(to_hwnc(x), kernel, **options), cols)
    # <im2col(x), c> = <x, col2im(c)>
    (c,) = frozen(rng.standard_normal(cols.shape))
    back = col2im(c, shape, kernel, **options)
    assert back.shape == shape
    np.testing.assert_allclose(np.sum(cols * c), np.sum(x * back), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("im2col"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    a = case.attrs
    kernel = tuple(a["kernel"])
    options = {"stride": a["stride"], "padding": a["padding"], "dilation": a["dilation"]}
    images = case["x"] if case.op == "im2col" else case["dy"]

    def to_columns(x):
        return im2col(x, kernel, **options)

    def to_images(cols):
        return col2im(cols, images.shape, kernel, **options)

    forward, backward = (to_columns, to_images) if case.op == "im2col" else (to_images, to_columns)
    y, dx = forward(case["x"]), backward(case["dy"])
    assert y.dtype == dx.dtype == dtype
    assert_forward(y, case["y"])
    assert_gradient(dx, case["dx"])


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 5, 4))
    cols = im2col(x, (3, 2), padding=1)
    back = col2im(cols, x.shape, (3, 2), padding=1)
    for label, images in layouts(x):
        actual = im2col(images, (3, 2), padding=1)
        np.testing.assert_array_equal(actual, cols, err_msg=label)
        assert actual.dtype.isnative
        assert actual.flags.c_contiguous
    for label, columns in layouts(cols):
        actual = col2im(columns, x.shape, (3, 2), padding=1)
        np.testing.assert_array_equal(actual, back, err_msg=label)
        assert actual.dtype.isnative
        assert actual.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64, np.complex128])
def test_dtype_in_is_dtype_out(dtype):
    x = np.arange(9).astype(dtype).reshape(1, 1, 3, 3)
    cols = im2col(x, 2, padding=1)
    assert cols.dtype == np.dtype(dtype)
    assert col2im(cols, x.shape, 2, padding=1).dtype == np.dtype(dtype)


def test_the_columns_are_a_copy():
    x = np.zeros((1, 1, 2, 2))
    im2col(x, 1)[...] = 1
    cols = np.zeros((1, 1, 4))
    col2im(cols, (1, 1, 2, 2), 1)[...] = 1
    assert not x.any()
    assert not cols.any()


X, COLS = np.ones((2, 3, 4, 5)), np.ones((2, 12, 12))


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: im2col(X[0], 2), ShapeError, "im2col: x must have 4 axes (N, C, H, W), got shape (3, 4, 5)"),
        (lambda: im2col(X.tolist(), 2), TypeError, "im2col: x must be a NumPy array, got list"),
        (
            lambda: im2col(X, 0),
            ShapeError,
            "im2col: kernel_size must be an int >= 1 or a pair of them, got 0",
        ),
        (
            lambda: im2col(X, (2, 2, 2)),
            ShapeError,
            "im2col: kernel_size must be an int >= 1 or a pair of them, got (2, 2, 2)",
        ),
        (
            lambda: im2col(X, 2, stride=(1, 0)),
            ShapeError,
            "im2col: stride must be an int >= 1 or a pair of them, got (1, 0)",
        ),
        (
            lambda: im2col(X, 2, dilation=1.5),
            ShapeError,
            "im2col: dilation must be an int >= 1 or a pair of them, got 1.5",
        ),
        (
            lambda: im2col(X, 5, padding=((0, 0), (1, 0))),
            ShapeError,
            "im2col: the kernel does not fit: height 4 padded by 0 and 0 is 4, "
            "but kernel 5 with dilation 1 reaches over 5",
        ),
        (
            lambda: im2col(X[:, :, :, :0], 1, padding=1),
            ShapeError,
            "im2col: an image must have at least one row and one column, got (H, W) = (4, 0)",
        ),
        (
            lambda: col2im(COLS[0], X.shape, 2),
            ShapeError,
            "col2im: cols must have 3 axes (N, C*KH*KW, OH*OW), got shape (12, 12)",
        ),
        (
            lambda: col2im(COLS, (2, 3, 4, 4), 2),
            ShapeError,
            "col2im: cols must have shape (2, 12, 9), got (2, 12, 12)",
        ),
        (
            lambda: col2im(COLS, (2, 3, 4), 2),
            ShapeError,
            "col2im: input_shape must be (N, C, H, W), got (2, 3, 4)",
        ),
        (
            lambda: col2im(COLS, (2, 3, 4.0, 5), 2),
            ShapeError,
            "col2im: input_shape must be (N, C, H, W), got (2, 3, 4.0, 5)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
