"""A 1x1 kernel is a product of matrices: by hand, with a stride, and against a sum over the channels."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.ops import conv_backward, conv_forward, to_hwnc
from cnn_from_scratch.ops.conv_pointwise import suits_pointwise
from cnn_from_scratch.ops.long_matmul import add_long_matmul
from cnn_from_scratch.ops.utils import conv_geometry


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_by_hand(order):
    # two channels of three pixels, 1 2 3 and 10 20 30; one filter 2*first + 3*second; stride 2 skips the middle
    x = order(np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]).reshape(1, 2, 1, 3))
    weight = np.array([2.0, 3.0]).reshape(1, 2, 1, 1)
    y, cache = conv_forward(x, weight, stride=2, algorithm="pointwise")
    np.testing.assert_array_equal(y.ravel(), [2 + 30, 6 + 90])
    # dy = 1 and 10: dx is dy * weight where x was seen, 0 where it was not; dweight = 1*1 + 10*3, 1*10 + 10*30
    dx, dweight, _ = conv_backward(np.array([1.0, 10.0]).reshape(1, 1, 1, 2), cache)
    np.testing.assert_array_equal(dx[0, :, 0], [[2, 0, 20], [3, 0, 30]])
    np.testing.assert_array_equal(dweight.ravel(), [31, 310])


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (7, 5, 9, 4), (64, 33, 8, 8)])
def test_it_is_a_sum_over_channels(shape, stride):
    rng = np.random.default_rng(0)
    x, weight = to_hwnc(rng.standard_normal(shape)), rng.standard_normal((6, shape[1], 1, 1))
    y, cache = conv_forward(x, weight, stride=stride, algorithm="pointwise")
    seen = x[:, :, :: cache.geometry.stride[0], :: cache.geometry.stride[1]]
    np.testing.assert_allclose(y, np.einsum("nchw,fc->nfhw", seen, weight[:, :, 0, 0]), atol=1e-12)
    dy = rng.standard_normal(y.shape)
    dx, dweight, _ = conv_backward(dy, cache)
    np.testing.assert_allclose(dweight[:, :, 0, 0], np.einsum("nfhw,nchw->fc", dy, seen), atol=1e-11)
    dseen = dx[:, :, :: cache.geometry.stride[0], :: cache.geometry.stride[1]]
    np.testing.assert_allclose(dseen, np.einsum("nfhw,fc->nchw", dy, weight[:, :, 0, 0]), atol=1e-12)
    assert np.count_nonzero(dx) == dseen.size


@pytest.mark.parametrize(
    ("kernel", "padding", "groups", "expected"),
    [((1, 1), 0, 1, True), ((1, 2), 0, 1, False), ((1, 1), 1, 1, False), ((1, 1), 0, 2, False)],
)
def test_what_suits(kernel, padding, groups, expected):
    geometry = conv_geometry("test", (4, 4), kernel, padding=padding)
    assert suits_pointwise((2, 2 // groups, *kernel), geometry, groups) is expected


@pytest.mark.parametrize(("K", "F"), [(1, 1), (25, 6), (27, 64), (147, 64), (64, 300)])
@pytest.mark.parametrize("M", [0, 1, 63, 64, 65, 512, 7000])
def test_long_sums_in_blocks(K, F, M):
    # whole numbers, so that every order of adding gives the same
    rng = np.random.default_rng(0)
    a, b = rng.integers(-3, 4, (K, M)).astype(np.float32), rng.integers(-3, 4, (M, F)).astype(np.float32)
    total = np.ones((K, F), np.float32)
    add_long_matmul(a, b, total)
    np.testing.assert_array_equal(total, 1 + a @ b)
    add_long_matmul(np.asfortranarray(a), np.repeat(b, 2, axis=1)[:, ::2], total)
    np.testing.assert_array_equal(total, 1 + 2 * (a @ b))
