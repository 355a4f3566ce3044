"""Depthwise convolution by long runs equals the plain one: any kernel, stride, padding, dilation and memory order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, frozen, layouts

from cnn_from_scratch.ops import conv_backward, conv_forward, is_hwnc, to_hwnc
from cnn_from_scratch.ops.conv_depthwise import backward_depthwise, forward_depthwise, suits
from cnn_from_scratch.ops.tap_runs import Axis, forward_axes, phases, runs
from cnn_from_scratch.ops.utils import conv_geometry


def draw_case(shape, k, kernel, options, seed, dtype=np.float64):
    """Read-only x, weight and dy, and the geometry."""
    rng = np.random.default_rng(seed)
    N, C, H, W = shape
    geometry = conv_geometry("test", (H, W), kernel, **options)
    x, weight = rng.standard_normal(shape), rng.standard_normal((C * k, 1, *kernel))
    dy = rng.standard_normal((N, C * k, *geometry.output))
    return *frozen(*(a.astype(dtype) for a in (x, weight, dy))), geometry


def plain(x, weight, dy, options):
    """y, dx, dweight by columns."""
    y, cache = conv_forward(x, weight, **options, groups=x.shape[1], algorithm="im2col")
    return y, *conv_backward(dy, cache)[:2]


def depthwise(x, weight, dy, geometry):
    C = x.shape[1]
    y = forward_depthwise(x, weight, geometry, C)
    return y, *backward_depthwise(dy, x, weight, geometry, C, True)


def test_by_hand():
    # channel 0: 1*1 + 2*10 = 21, 2*1 + 3*10 = 32      channel 1: 4*100 + 5 = 405, 5*100 + 6 = 506
    x = np.arange(1.0, 7.0).reshape(1, 2, 1, 3)
    weight = np.array([[1.0, 10.0], [100.0, 1.0]]).reshape(2, 1, 1, 2)
    geometry = conv_geometry("test", (1, 3), (1, 2))
    np.testing.assert_array_equal(forward_depthwise(x, weight, geometry, 2).ravel(), [21, 32, 405, 506])
    # dy = 1 at the right of channel 1 only: its patch is 5 6, and it sends 100 and 1 back to it
    dy = np.array([0.0, 0.0, 0.0, 1.0]).reshape(1, 2, 1, 2)
    dx, dweight = backward_depthwise(dy, x, weight, geometry, 2, True)
    np.testing.assert_array_equal(dx.ravel(), [0, 0, 0, 0, 100, 1])
    np.testing.assert_array_equal(dweight.ravel(), [0, 0, 5, 6])


@st.composite
def convolutions(draw):
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sides = [(draw(st.integers(0, 6)), draw(st.integers(0, 6))) for _ in range(2)]
    size = [max(1, dilation[i] * (kernel[i] - 1) + 1 - sum(sides[i])) + draw(st.integers(0, 9)) for i in range(2)]
    options = {
        "stride": (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        "padding": draw(st.sampled_from(["same", tuple(sides)])),
        "dilation": dilation,
    }
    shape = draw(st.integers(0, 3)), draw(st.integers(2, 4)), *size
    return shape, draw(st.integers(1, 3)), kernel, options, draw(st.integers(0, 2**16))


@settings(max_examples=200, deadline=None)
@given(convolutions())
def test_equals_the_plain_convolution(drawn):
    shape, k, kernel, options, seed = drawn
    x, weight, dy, geometry = draw_case(shape, k, kernel, options, seed)
    assert suits(shape[1], weight.shape, geometry, shape[1])
    expected = plain(x, weight, dy, options)
    for order in (np.asarray, to_hwnc):
        for actual, wanted in zip(depthwise(order(x), weight, order(dy), geometry), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((3, 5, 4, 300), (3, 3), {"padding": 1}),  # columns fold into runs of 136, and a rest of 26
        ((2, 3, 70, 70), (3, 3), {"padding": 1, "stride": 2}),
        ((20, 60, 40, 20), (3, 3), {"padding": 1}),  # several pieces
        ((20, 60, 80, 20), (5, 2), {"padding": ((3, 0), (0, 2)), "stride": (2, 1), "dilation": (1, 2)}),
    ],
)
def test_folded_columns_and_several_pieces(shape, kernel, options):
    x, weight, dy, geometry = draw_case(shape, 1, kernel, options, 0)
    x, dy = to_hwnc(x), to_hwnc(dy)
    for actual, wanted in zip(depthwise(x, weight, dy, geometry), plain(x, weight, dy, options), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    "options", [{"padding": 1}, {"stride": (2, 3), "padding": ((0, 2), (3, 1))}, {"dilation": (2, 1), "stride": 2}]
)
@pytest.mark.parametrize("k", [1, 2])
def test_gradients_by_finite_differences(options, k):
    x, weight, dy, geometry = draw_case((2, 3, 7, 8), k, (3, 2), options, 1)
    dx, dweight = backward_depthwise(dy, x, weight, geometry, 3, True)
    inputs, gradients = {"x": x, "weight": weight}, {"x": dx, "weight": dweight}
    assert_gradients_match(lambda x, weight: forward_depthwise(x, weight, geometry, 3), inputs, gradients, dy)


def test_gradients_are_adjoints():
    # y is linear in x and in weight: <y, dy> = <x, dx> = <weight, dweight>
    x, weight, dy, geometry = draw_case((3, 4, 9, 11), 2, (3, 5), {"stride": (1, 2), "padding": 2}, 2)
    y, dx, dweight = depthwise(x, weight, dy, geometry)
    for value, gradient in ((x, dx), (weight, dweight)):
        np.testing.assert_allclose(np.sum(value * gradient), np.sum(y * dy), rtol=1e-12)


def test_float32_stays_float32_and_is_as_exact_as_float32_can_be():
    options = {"padding": 1}
    x, weight, dy, geometry = draw_case((16, 32, 20, 20), 1, (3, 3), options, 3, np.float32)
    expected = plain(*(a.astype(np.float64) for a in (x, weight, dy)), options)
    actual = depthwise(x, weight, dy, geometry)
    for a, e, bound in zip(actual, expected, (2e-6, 2e-6, 2e-6), strict=True):
        assert a.dtype == np.float32
        assert np.abs(a - e).max() <= bound * e.std()


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    options = {"stride": (2, 1), "padding": 1}
    x, weight, dy, geometry = draw_case((2, 3, 5, 6), 1, (3, 2), options, 4)
    expected = depthwise(x, weight, dy, geometry)
    for (label, xs), (_, ws), (_, dys) in zip(layouts(x), layouts(weight), layouts(dy), strict=True):
        # the operation above swaps bytes back, before it calls a strategy
        native = [a.astype(a.dtype.newbyteorder("=")) if label == "byte-swapped" else a for a in (xs, ws, dys)]
        for a, e in zip(depthwise(*native, geometry), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-13, atol=1e-13, err_msg=label)


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
@pytest.mark.parametrize("k", [1, 2])
def test_results_lie_as_their_input_does(order, k):
    x, weight, dy, geometry = draw_case((2, 3, 5, 6), k, (3, 3), {"padding": 1}, 5)
    y, dx, dweight = depthwise(order(x), weight, dy, geometry)
    for result in (y, dx):
        assert is_hwnc(result) == (order is to_hwnc)
        assert (result.transpose(2, 3, 0, 1) if order is to_hwnc else result).flags.c_contiguous
    assert dweight.flags.c_contiguous


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_finish_gets_every_number_once_and_may_write(order):
    x, weight, dy, geometry = draw_case((20, 30, 33, 20), 2, (3, 3), {"padding": 1}, 6)
    pieces = []

    def finish(out):
        assert out.shape[1:] == (20, 20, 60)
        assert out.flags.c_contiguous
        pieces.append(len(out))
        out += 1000

    y = forward_depthwise(order(x), weight, geometry, 30, finish)
    assert len(pieces) > 2
    assert sum(pieces) == 33
    np.testing.assert_array_equal(y, forward_depthwise(x, weight, geometry, 30) + 1000)


def test_without_dx():
    x, weight, dy, geometry = draw_case((1, 2, 4, 4), 1, (3, 3), {}, 7)
    dx, dweight = backward_depthwise(dy, x, weight, geometry, 2, False)
    assert dx is None
    np.testing.assert_array_equal(dweight, backward_depthwise(dy, x, weight, geometry, 2, True)[1])


def test_only_depthwise_suits():
    geometry = conv_geometry("test", (5, 5), 3)
    assert suits(3, (6, 1, 3, 3), geometry, 3)
    assert not suits(4, (4, 2, 3, 3), geometry, 2)  # two channels in a group
    assert not suits(1, (8, 1, 3, 3), geometry, 1)  # an ordinary first layer


def test_runs_cover_the_outputs_and_meet_what_lies_inside():
    for numbers in np.ndindex(4, 3, 2, 2, 4):
        size, kernel, stride, dilation, before = (n + least for n, least in zip(numbers, (1, 1, 1, 1, -1), strict=True))
        axis = Axis(size, kernel, 5, stride, dilation, before)
        met = {}
        for run in runs(axis):
            for o in range(run.first, run.last):
                start = run.start + (o - run.first) * stride
                met[o] = {k: start + (k - run.taps[0]) * dilation for k in range(*run.taps)}
        places = {o: {k: o * stride + k * dilation - before for k in range(kernel)} for o in range(5)}
        assert met == {o: {k: i for k, i in at.items() if 0 <= i < size} for o, at in places.items()}


def test_phases_send_every_product_back_once():
    rows, _ = forward_axes(conv_geometry("test", (11, 4), 3, stride=3, padding=2, dilation=2))
    forward = {
        (o * 3 + k * 2 - 2, k, o) for o in range(rows.output) for k in range(3) if 0 <= o * 3 + k * 2 - 2 < rows.size
    }
    backward = set()
    for places, elements, axis in phases(rows):
        indices, kernel = range(rows.size)[places], range(rows.kernel)[elements]
        assert axis.output == len(indices)
        for t, j in np.ndindex(axis.output, axis.kernel):
            o = t + j * axis.dilation - axis.before
            if 0 <= o < axis.size:
                backward.add((indices[t], kernel[j], o))
    assert backward == forward
