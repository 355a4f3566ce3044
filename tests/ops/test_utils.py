"""The geometry of windows, memory order, padding and filters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import (
    ConvGeometry,
    conv_geometry,
    conv_output_size,
    initialize_bias,
    initialize_filters,
    is_hwnc,
    print_shape,
    to_hwnc,
)
from cnn_from_scratch.ops.utils import (
    HWNC,
    check_rank,
    check_shape,
    crop_sides,
    empty_nchw,
    pad_sides,
    pair,
    resolve_padding,
    zeros_nchw,
)

# --- the sliding window ---------------------------------------------------------------------------------------------


@pytest.mark.fault("remainder")
@pytest.mark.parametrize(
    ("size", "kernel", "options", "expected"),
    [
        (28, 5, {}, 24),  # 28 - 5 + 1
        (28, 3, {"padding": 1}, 28),  # 30 - 3 + 1
        (224, 7, {"stride": 2, "padding": 3}, 112),  # (230 - 7) // 2 + 1 = 111 + 1
        (7, 3, {"dilation": 3}, 1),  # reaches over 3*2 + 1 = 7
        (6, 3, {"stride": 2}, 2),  # windows at 0 and 2; a third would end beyond the image
        (6, 3, {"stride": 2, "ceil_mode": True}, 3),  # ... and is let in, cut short
        (2, 3, {"stride": 2, "ceil_mode": True}, 1),  # even the first one
        (5, 1, {"stride": 3, "padding": 0, "ceil_mode": True}, 2),  # a window at 6 would begin beyond the image
        (1, 1, {}, 1),
    ],
)
def test_output_size_by_hand(size, kernel, options, expected):
    assert conv_output_size(size, kernel, **options) == expected


@pytest.mark.fault("remainder")
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.booleans())
def test_output_size_counts_the_windows(size, kernel, stride, padding, dilation, ceil_mode):
    reach = dilation * (kernel - 1) + 1
    if ceil_mode:
        padding = min(padding, reach - 1)  # as pooling asks
    starts = range(-padding, size + padding, stride)
    if ceil_mode:  # a window may end beyond the padding by less than a stride, if it begins before the image ends
        fits = [s for s in starts if s < size and s + reach < size + padding + stride]
    else:
        fits = [s for s in starts if s + reach <= size + padding]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    if not fits:
        with pytest.raises(ShapeError, match="conv_output_size: the kernel does not fit"):
            conv_output_size(size, kernel, **options)
    else:
        assert conv_output_size(size, kernel, **options) == len(fits)


def test_geometry_by_hand():
    geometry = conv_geometry("test", (5, 7), (2, 3), (1, 2), ((0, 1), (2, 0)), (3, 1))
    # rows: 5 + 0 + 1 = 6, a kernel of 2 with dilation 3 reaches over 4, so 6 - 4 + 1 = 3 windows
    # columns: 7 + 2 + 0 = 9, reach 3, stride 2: (9 - 3) // 2 + 1 = 4 windows
    assert geometry == ConvGeometry((5, 7), (2, 3), (1, 2), ((0, 1), (2, 0)), (3, 1), (3, 4))
    assert geometry.padded == (6, 9)
    assert geometry.rows(1) == slice(3, 6, 1)  # rows 3, 4, 5: one for each output row
    assert geometry.columns(2) == slice(2, 9, 2)  # columns 2, 4, 6, 8
    assert len(range(9)[geometry.columns(2)]) == geometry.output[1]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_padding_gives_as_many_windows_as_strides_fit(size, kernel, stride, dilation):
    geometry = conv_geometry("test", (size, size), kernel, stride, "same", dilation)
    assert geometry.output == (math.ceil(size / stride),) * 2
    for before, after in geometry.padding:
        assert after - before in (0, 1)  # the odd one goes to the end
        reach = dilation * (kernel - 1) + 1
        assert before + after == max(0, (geometry.output[0] - 1) * stride + reach - size)  # and no more than needed


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        (np.int64(2), ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (0, 1))),  # kernel 3 wants 2, kernel 2 wants 1
    ],
)
def test_every_form_of_padding(padding, expected):
    resolved = resolve_padding("test", (6, 6), (3, 2), (1, 1), padding, (1, 1))
    assert resolved == expected
    assert {type(number) for side in resolved for number in side} == {int}


@pytest.mark.parametrize(
    "padding", [-1, 1.0, True, None, "full", (1,), (1, 2, 3), (1, -1), ((1, 2), 3), ((1, 2), (3, -4)), ("1", "2")]
)
def test_no_other_form_of_padding(padding):
    with pytest.raises(ShapeError) as caught:
        conv_geometry("test", (6, 6), 3, padding=padding)
    assert str(caught.value) == (
        "test: padding must be an int >= 0, a pair (PH, PW), ((top, bottom), (left, right)), "
        f"'same' or 'valid', got {padding!r}"
    )


def test_a_number_is_a_pair_of_it():
    assert pair("test", "stride", 2, minimum=1) == pair("test", "stride", [2, np.int8(2)], minimum=1) == (2, 2)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "2", "22", (1,), (1, 2, 3), (1, 0), (1, 2.0), {1, 2}])
def test_anything_else_is_no_pair(value):
    with pytest.raises(ShapeError) as caught:
        pair("test", "stride", value, minimum=1)
    assert str(caught.value) == f"test: stride must be an int >= 1 or a pair of them, got {value!r}"


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 5), (2, 3, 4, 1)])
def test_memory_orders_are_told_apart(shape):
    x = np.arange(np.prod(shape)).reshape(shape)
    y = to_hwnc(x)
    np.testing.assert_array_equal(x, y)
    assert not is_hwnc(x)
    assert is_hwnc(y)
    assert is_hwnc(y * 2)  # ufuncs keep the order
    assert is_hwnc(np.empty_like(y))
    assert not is_hwnc(x * 2)
    assert y.transpose(HWNC).flags.c_contiguous
    assert to_hwnc(y) is y or np.shares_memory(to_hwnc(y), y)


def test_other_orders_and_ranks_are_not_hwnc():
    nhwc = np.zeros((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    assert not is_hwnc(nhwc)
    assert not is_hwnc(np.zeros((2, 3)))
    assert not is_hwnc(np.zeros((0, 3, 4, 4)))


def test_the_stride_of_an_axis_of_one_says_nothing():
    rows_first = np.zeros((4, 2, 3, 5))[:1].transpose(1, 2, 0, 3)  # images of one row, which comes with a long stride
    assert rows_first.shape == (2, 3, 1, 5)
    assert rows_first.flags.c_contiguous
    assert not is_hwnc(rows_first)
    alone = np.zeros((4, 5, 2, 3))[:, :, :1].transpose(HWNC)  # one image of a batch that lies as (H, W, N, C)
    assert is_hwnc(alone)
    assert is_hwnc(alone + 1)


def test_flipped_images_keep_their_order():
    x = to_hwnc(np.zeros((2, 3, 4, 5)))
    assert is_hwnc(x[::-1, ::-1, ::-1, ::-1])


@pytest.mark.parametrize("allocate", [empty_nchw, zeros_nchw])
def test_new_arrays_lie_as_those_they_are_like(allocate):
    like = np.zeros((2, 3, 4, 5))
    assert allocate((3, 2, 6, 7), np.float32, like=like).flags.c_contiguous
    new = allocate((3, 2, 6, 7), np.float32, like=to_hwnc(like))
    assert new.shape == (3, 2, 6, 7)
    assert new.dtype == np.float32
    assert new.transpose(HWNC).flags.c_contiguous
    assert allocate((3, 2), np.float32, like=np.zeros((4, 2))).shape == (3, 2)
    if allocate is zeros_nchw:
        assert not new.any()


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
@pytest.mark.parametrize("sides", [((0, 0), (0, 0)), ((1, 0), (0, 2)), ((2, 1), (1, 1)), ((0, 3), (0, 0))])
def test_padding_and_cropping(sides, order):
    rng = np.random.default_rng(0)
    x = order(rng.standard_normal((2, 3, 4, 5)))
    padded = pad_sides(x, sides, 7.0)
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), (0, 0), *sides), constant_values=7.0))
    assert is_hwnc(padded) == is_hwnc(x)
    cropped = crop_sides(padded, sides)
    np.testing.assert_array_equal(cropped, x)
    assert is_hwnc(cropped) == is_hwnc(x)
    # cropping is the adjoint of padding with zeros: <pad(x), c> = <x, crop(c)>
    c = rng.standard_normal(padded.shape)
    np.testing.assert_allclose(np.sum(pad_sides(x, sides) * c), np.sum(x * crop_sides(c, sides)))


def test_nothing_to_pad_is_no_copy():
    x = np.zeros((1, 1, 2, 2))
    assert pad_sides(x, ((0, 0), (0, 0))) is x
    assert crop_sides(x, ((0, 0), (0, 0))) is x


def test_padding_swaps_bytes_into_native_order():
    x = np.ones((1, 1, 2, 2), np.dtype(np.float32).newbyteorder())
    assert pad_sides(x, ((1, 1), (1, 1))).dtype == np.float32


# --- filters --------------------------------------------------------------------------------------------------------


def test_filters_keep_the_variance_of_what_passes_a_relu():
    weight = initialize_filters(64, 16, 3, 5, rng=0)
    assert weight.shape == (64, 16, 3, 5)
    assert weight.dtype == np.float32
    # 15360 draws: the mean is 0 within 4 standard errors, the variance 2 / (16*3*5) within 5 %
    assert abs(weight.mean()) < 4 * weight.std() / math.sqrt(weight.size)
    assert weight.var() == pytest.approx(2 / (16 * 3 * 5), rel=0.05)


def test_filters_are_random_by_seed_alone():
    first = initialize_filters(2, 1, 3, 3, rng=1)
    np.testing.assert_array_equal(first, initialize_filters(2, 1, 3, 3, rng=1))
    assert (first != initialize_filters(2, 1, 3, 3, rng=2)).any()
    assert (initialize_filters(2, 1, 3, 3) != initialize_filters(2, 1, 3, 3)).any()
    rng = np.random.default_rng(0)
    expected = np.random.default_rng(0).standard_normal((2, 1, 3, 3)) * math.sqrt(2 / 9)
    np.testing.assert_allclose(initialize_filters(2, 1, 3, 3, rng=rng, dtype=np.float64), expected)


def test_biases_are_zero():
    bias = initialize_bias(4, dtype=np.float64)
    assert bias.dtype == np.float64
    np.testing.assert_array_equal(bias, np.zeros(4))


def test_print_shape(capsys):
    print_shape("x", np.zeros((2, 3), np.float32), "N, C")
    print_shape("a list", [1, 2])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "x                      (2, 3)               float32   N, C"
    assert second == "a list                 (2,)                 int64"


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv_output_size(0, 1), ShapeError, "conv_output_size: size must be an int >= 1, got 0"),
        (lambda: conv_output_size(5, 0), ShapeError, "conv_output_size: kernel_size must be an int >= 1, got 0"),
        (
            lambda: conv_output_size(5, (3, 3)),
            ShapeError,
            "conv_output_size: kernel_size must be an int >= 1, got (3, 3)",
        ),
        (lambda: conv_output_size(5, 3, stride=0), ShapeError, "conv_output_size: stride must be an int >= 1, got 0"),
        (
            lambda: conv_output_size(5, 3, padding="same"),
            ShapeError,
            "conv_output_size: padding must be an int >= 0, got 'same'",
        ),
        (
            lambda: conv_output_size(5, 3, dilation=True),
            ShapeError,
            "conv_output_size: dilation must be an int >= 1, got True",
        ),
        (
            lambda: conv_geometry("test", (0, 5), 1, padding=1),
            ShapeError,
            "test: an image must have at least one row and one column, got (H, W) = (0, 5)",
        ),
        (
            lambda: conv_geometry("test", (5, 2), 3, dilation=(1, 2), padding=((0, 0), (1, 0))),
            ShapeError,
            "test: the kernel does not fit: width 2 padded by 1 and 0 is 3, "
            "but kernel 3 with dilation 2 reaches over 5",
        ),
        (
            lambda: check_rank("test", "x", np.ones(3), "N C"),
            ShapeError,
            "test: x must have 2 axes (N, C), got shape (3,)",
        ),
        (lambda: check_rank("test", "x", [1], "N"), TypeError, "test: x must be a NumPy array, got list"),
        (
            lambda: check_shape("test", "x", np.ones(3), (4,)),
            ShapeError,
            "test: x must have shape (4,), got (3,)",
        ),
        (
            lambda: initialize_filters(2, 0, 3, 3),
            ShapeError,
            "initialize_filters: C must be an int >= 1, got 0",
        ),
        (
            lambda: initialize_filters(2, 1, 3.0, 3),
            ShapeError,
            "initialize_filters: FH must be an int >= 1, got 3.0",
        ),
        (lambda: initialize_bias(0), ShapeError, "initialize_bias: F must be an int >= 1, got 0"),
        (lambda: initialize_bias(True), ShapeError, "initialize_bias: F must be an int >= 1, got True"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
