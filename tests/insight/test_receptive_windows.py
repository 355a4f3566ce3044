"""Windows are what gradients say: an output changes with the pixels of its window and with no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch import layers
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import receptive_windows
from cnn_from_scratch.layers import AvgPool2d, Concat, Context, Conv2d, MaxPool2d, ReLU, Residual, Sequential


def smooth(model):
    """Weights of 1: every way from a pixel to an output counts, and none takes away what another gives."""
    for array in model.params.values():
        array[...] = 1
    return model.astype(np.float64)


def assert_as_gradients_say(model, shape, exact=True):
    """No pixel outside of a window has a gradient; if the window lies within the image, those at its sides have."""
    windows = receptive_windows(model, shape)
    y, cache = smooth(model).forward(np.random.default_rng(0).random((1, *shape)) + 1, Context())
    assert (len(windows.rows), len(windows.columns)) == y.shape[2:]
    for oh, ow in np.ndindex(*y.shape[2:]):
        dy = np.zeros_like(y)
        dy[0, :, oh, ow] = 1
        seen = np.abs(model.backward(dy, cache)[0][0]).sum(0) > 0  # (H, W)
        for axis, (first, end) in ((1, windows.rows[oh]), (0, windows.columns[ow])):
            places = np.flatnonzero(seen.any(axis))
            assert first < end
            assert ((first <= places) & (places < end)).all(), (oh, ow, axis)
            within = first >= 0 and end <= seen.shape[1 - axis]
            if exact and within and seen.any():  # an output that sees only padding has no gradient anywhere
                assert (first, end) == (places[0], places[-1] + 1), (oh, ow, axis)


WINDOWS = st.builds(
    lambda kind, kernel, stride, dilation, share: (
        Conv2d(1, 1, kernel, stride, (kernel[0] * share // 2, kernel[1] * share // 2), dilation, rng=0)
        if kind == "conv"
        else AvgPool2d(kernel, stride, (kernel[0] // 2 * share, kernel[1] // 2 * share))
    ),
    st.sampled_from(["conv", "pool"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.integers(1, 2),
    st.integers(0, 1),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3), st.integers(9, 13), st.integers(9, 13))
def test_windows_of_chains(chain, height, width):
    model = Sequential(*chain)
    try:
        model.output_shape((1, height, width))
    except ShapeError:
        return  # the images are too small for it
    assert_as_gradients_say(model, (1, height, width))


@pytest.mark.parametrize(
    "layer",
    [
        layers.ZeroPad2d(((2, 0), (1, 3))),
        layers.ReflectionPad2d(2),
        layers.ReplicationPad2d((1, 2)),
        layers.Upsample(scale_factor=(2, 3)),
        layers.AdaptiveAvgPool2d((3, 4)),
        layers.GlobalAvgPool2d(),
        layers.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1, rng=0),
        layers.ConvTranspose2d(1, 1, 2, dilation=3, rng=0),
        AvgPool2d(3, 2, ceil_mode=True),
        layers.GroupNorm(1, 1),
        Residual(Conv2d(1, 1, 3, padding=1, rng=0)),
        Residual(Sequential(Conv2d(1, 1, 5, padding=2, rng=0)), Conv2d(1, 1, 1, rng=0)),
        Concat(Conv2d(1, 1, (1, 3), padding=(0, 1), rng=0), Conv2d(1, 1, (5, 1), padding=(2, 0), rng=0)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_windows_of_every_kind_of_layer(layer):
    assert_as_gradients_say(layer, (1, 7, 8))
    before = Conv2d(1, 1, 3, stride=2, padding=1, rng=0)
    after = Conv2d(layer.output_shape((1, 7, 8))[0], 1, 2, padding="same", rng=0)
    mirrored = isinstance(layer, layers.ReflectionPad2d)  # behind a mirror, windows that go on are too large
    assert_as_gradients_say(Sequential(before, layer, after), (1, 13, 15), exact=not mirrored)


def test_windows_at_the_edge_are_as_large_as_all_others():
    model = Sequential(Conv2d(1, 1, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(1, 1, 3, padding=1))
    windows = receptive_windows(model, (1, 8, 6), "3")
    assert windows.size == (8, 8)
    assert windows.rows.tolist() == [[-3, 5], [-1, 7], [1, 9], [3, 11]]
    assert windows.columns.tolist() == [[-3, 5], [-1, 7], [1, 9]]


def test_dilation_spreads_and_strides_multiply():
    # 1 + 2*2 = 5, then + 2*2 (kernel 3 on a step of 2) = 9, on a step of 2*3
    model = Sequential(Conv2d(1, 1, 3, 2, dilation=2), Conv2d(1, 1, 3, 3))
    assert receptive_windows(model, (1, 21, 21)).rows.tolist() == [[0, 9], [6, 15], [12, 21]]


def test_behind_flatten_there_is_one_window():
    model = Sequential(Conv2d(1, 2, 3, padding=1), layers.Flatten(), layers.Linear(2 * 4 * 5, 3))
    for key in ("1", "2"):
        windows = receptive_windows(model, (1, 4, 5), key)
        assert (windows.rows.tolist(), windows.columns.tolist()) == ([[0, 4]], [[0, 5]])


def test_softmax_over_channels_looks_at_one_pixel_and_over_rows_at_all():
    assert receptive_windows(layers.Softmax(1), (2, 3, 3)).size == (1, 1)
    assert receptive_windows(layers.Softmax(2), (2, 3, 3)).size == (3, 3)


def test_bad_input_is_named():
    with pytest.raises(ShapeError) as caught:
        receptive_windows(ReLU(), (3,))
    assert str(caught.value) == "receptive_windows: input_shape must be (C, H, W), got (3,)"
