"""The first layer's columns: which line holds which window, whatever the stride and dilation; see also test_conv.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch.ops import conv_backward, conv_forward, im2col, to_hwnc
from cnn_from_scratch.ops.conv_first import _by_rows, _pieces, suits_first
from cnn_from_scratch.ops.utils import conv_geometry


def test_columns_that_a_stride_keeps_stand_side_by_side():
    # one image of one row 1 2 3 4 5, a zero on each side: 0 1 2 3 4 5 0; stride 2 keeps 0 2 4 0 and 1 3 5 (and a rest)
    x = np.arange(1.0, 6.0).reshape(1, 1, 1, 5)
    phases = _by_rows(x, conv_geometry("test", (1, 5), (1, 3), stride=2, padding=(0, 1)))
    np.testing.assert_array_equal(phases[0, 0, :, :, 0], [[0, 2, 4, 0], [1, 3, 5, 0]])


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 4)] * 4), st.tuples(*[st.integers(1, 3)] * 4), st.integers(0, 4), st.integers(1, 4))
def test_the_columns_are_those_of_im2col(kernel_and_stride, dilation_and_shape, padding, C):
    (KH, KW, SH, SW), (DH, DW, N, extra) = kernel_and_stride, dilation_and_shape
    size = (DH * (KH - 1) + extra, DW * (KW - 1) + 2 * extra)
    x = np.random.default_rng(0).standard_normal((N, C, *size))
    geometry = conv_geometry("test", size, (KH, KW), (SH, SW), padding, (DH, DW))
    expected = im2col(x, (KH, KW), stride=(SH, SW), padding=padding, dilation=(DH, DW))  # (N, K, OH*OW)
    lines = [cols.reshape(len(cols), KH, C, KW, -1, N) for _, _, cols in _pieces(x, geometry, 1)]
    by_images = np.concatenate(lines).transpose(5, 2, 1, 3, 0, 4)  # (N, C, KH, KW, OH, OW)
    np.testing.assert_array_equal(by_images.reshape(expected.shape), expected)


@pytest.mark.parametrize("size", [31, 32, 33])
def test_float32_is_as_near_as_a_direct_sum_can_be(size):
    rng = np.random.default_rng(size)
    x = to_hwnc(rng.standard_normal((4, 3, size, size)).astype(np.float32))
    weight = rng.standard_normal((16, 3, 7, 7)).astype(np.float32) / 12
    y, cache = conv_forward(x, weight, stride=2, padding=3, algorithm="first")
    exact, exact_cache = conv_forward(*(a.astype(np.float64) for a in (x, weight)), stride=2, padding=3)
    assert np.abs(y - exact).max() < 5e-6 * exact.std()
    dy = rng.standard_normal(y.shape).astype(np.float32)
    for actual, wanted in zip(conv_backward(dy, cache)[:2], conv_backward(dy.astype(float), exact_cache), strict=False):
        assert np.abs(actual - wanted).max() < 1e-5 * wanted.std()


def test_four_channels_are_few():
    assert suits_first((8, 4, 3, 3), 1)
    assert not suits_first((8, 5, 3, 3), 1)
    assert not suits_first((8, 4, 3, 3), 2)
