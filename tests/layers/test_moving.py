"""Layers that move numbers or add branches: the same numbers in any memory order, and memory that is used again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_recycles, layouts

from cnn_from_scratch.layers import Concat, Context, Flatten, Identity, Layer, ReLU, Residual
from cnn_from_scratch.layers import shape as shape_module
from cnn_from_scratch.ops import is_hwnc, to_hwnc

TRAIN = Context(train=True)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from([1, 4, 1000]),
    st.integers(0, 2**16),
)
def test_flatten_puts_images_in_logical_order(shape, side, seed):
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    N, C, H, W = shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shape_module, "FEW", 8)
        patch.setattr(shape_module, "SIDE", side)
        for label, images in layouts(x):
            y, cache = Flatten().forward(images, TRAIN)
            np.testing.assert_array_equal(y, x.reshape(N, C * H * W), err_msg=label)
            assert y.flags.c_contiguous
            dx, _ = Flatten().backward(y, cache)
            np.testing.assert_array_equal(dx, x, err_msg=label)
            assert is_hwnc(dx) == is_hwnc(images)


def test_large_images_come_back_as_they_were():
    x = to_hwnc(np.random.default_rng(0).standard_normal((9, 64, 7, 6)).astype(np.float32))
    y, cache = Flatten().forward(x, TRAIN)
    np.testing.assert_array_equal(y, x.reshape(9, -1))
    dx, _ = Flatten().backward(y, cache)
    np.testing.assert_array_equal(dx, x)
    assert dx.transpose(2, 3, 0, 1).flags.c_contiguous


@pytest.mark.parametrize(
    "layer",
    [Flatten(), Residual(ReLU()), Residual(ReLU(), ReLU()), Concat(Identity(), ReLU(), Identity())],
    ids=lambda layer: repr(layer).replace("\n", ""),
)
@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_memory_is_recycled(layer: Layer, order):
    x = order(np.random.default_rng(0).standard_normal((16, 16, 32, 32)).astype(np.float32))

    def run():
        y, cache = layer.forward(x, TRAIN)
        layer.backward(y, cache)

    assert_recycles(run, x.nbytes / 8)
