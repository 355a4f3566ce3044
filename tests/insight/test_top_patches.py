"""The patches found are those of a search through everything, and they are what the number depends on."""

from __future__ import annotations

import numpy as np
import pytest
from digit_reader import digit_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_tidy, images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import feature_maps, plot_top_patches, top_patches
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential


def searched(maps, channel, k, distinct):
    """All (activation, example, oh, ow) of a channel, the largest first, of equals the earlier; image by image once."""
    found = sorted((-maps[n, channel, oh, ow], n, oh, ow) for n, oh, ow in np.ndindex(len(maps), *maps.shape[2:]))
    if distinct:
        found = [place for i, place in enumerate(found) if place[1] not in {earlier[1] for earlier in found[:i]}]
    return found[:k]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    k=st.integers(1, 12),
    distinct=st.booleans(),
    batch_size=st.integers(1, 8),
    coarse=st.booleans(),
)
def test_it_finds_what_a_search_finds(seed, k, distinct, batch_size, coarse):
    x = images(7, 2, seed)
    x = x.round() if coarse else x  # many equal activations
    model = Sequential(Conv2d(2, 3, 2, stride=2, rng=seed), ReLU())
    model.params["0.weight"] = model.params["0.weight"].round(1)
    found = top_patches(model, x, range(3), "1", k=k, distinct=distinct, batch_size=batch_size)
    maps = np.concatenate([feature_maps(model, x[i : i + batch_size])["1"] for i in range(0, 7, batch_size)])
    for channel in range(3):
        expected = searched(maps, channel, k, distinct)
        np.testing.assert_allclose(found.activations[channel], [-place[0] for place in expected], rtol=1e-5, atol=1e-6)
        if not coarse:
            positive = [place for place in expected if place[0] < 0]  # zeros may differ in the last bit
            assert found.examples[channel].tolist()[: len(positive)] == [place[1] for place in positive]
            assert found.positions[channel].tolist()[: len(positive)] == [list(place[2:]) for place in positive]


def test_of_equals_the_first_counts():
    x = np.zeros((3, 1, 2, 2), np.float32)
    x[1:] = 1
    model = Conv2d(1, 1, 1, bias=False)
    model.params["weight"] = np.ones((1, 1, 1, 1), np.float32)
    found = top_patches(model, x, 0, k=5, distinct=False, batch_size=2)
    assert found.examples[0].tolist() == [1, 1, 1, 1, 2]
    assert found.positions[0].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [0, 0]]
    assert top_patches(model, x, 0, k=5).examples[0].tolist() == [1, 2, 0]


def test_patches_alone_give_the_number():
    """What the layer gives for a patch, put back on nothing, is what it gave for the image."""
    model, normalization, x, _ = digit_reader()
    found = top_patches(model, x[:100], (0, 3, 5), "relu2", k=4, distinct=False, normalization=normalization)
    for f, channel in enumerate(found.channels):
        for i in range(4):
            h, w = found.positions[f, i] - 2  # two 3x3 convolutions with padding: a window of 5x5 around the position
            alone = np.random.default_rng(0).random((1, 1, 12, 12)).astype(np.float32)
            alone[0, 0, h + 2 : h + 7, w + 2 : w + 7] = found.patches[f, i]
            again = feature_maps(model, normalization.apply(alone[:, :, 2:10, 2:10]))["relu2"]
            assert not np.isnan(alone[:, :, 2:10, 2:10]).any()
            oh, ow = found.positions[f, i]
            np.testing.assert_allclose(again[0, channel, oh, ow], found.activations[f, i], rtol=1e-4)


def test_beyond_the_edge_there_is_nothing():
    x = np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 1, 3, 3)
    model = Conv2d(1, 1, 3, padding=1, bias=False)
    model.params["weight"] = np.zeros((1, 1, 3, 3), np.float32)
    model.params["weight"][0, 0, 1, 1] = 1
    found = top_patches(model, x, 0, k=9, distinct=False)
    assert found.positions[0, 0].tolist() == [2, 2]
    nothing = np.nan
    np.testing.assert_array_equal(found.patches[0, 0, 0], [[5, 6, nothing], [8, 9, nothing], [nothing] * 3])
    np.testing.assert_array_equal(found.patches[0, 8, 0], [[nothing] * 3, [nothing, 1, 2], [nothing, 4, 5]])
    np.testing.assert_array_equal(found.patches[0, 4, 0], x[0, 0])


def test_a_feature_sees_the_whole_image():
    model, normalization, x, y = digit_reader()
    found = top_patches(model, x, range(10), k=5, normalization=normalization)
    logits = model.predict(normalization.apply(x))
    order = np.argsort(-logits, 0, kind="stable")[:5].T
    np.testing.assert_array_equal(found.examples, order)
    np.testing.assert_array_equal(found.patches, x[order])
    np.testing.assert_array_equal(y[found.examples], np.arange(10)[:, None].repeat(5, 1))
    assert not found.positions.any()


def test_there_may_be_fewer_than_k():
    found = top_patches(network(), images(3), (1, 2), "0", k=9)
    assert found.activations.shape == (2, 3)
    assert found.patches.shape == (2, 3, 1, 3, 3)
    assert found.activations.dtype == found.patches.dtype == np.float32


def test_nothing_is_written():
    x = images(4)
    x.setflags(write=False)
    top_patches(network(), x, 0, "3", k=2)


def test_windows_of_unequal_size_fill_what_they_have():
    model = Sequential(MaxPool2d(2, ceil_mode=True), Flatten(), Linear(4, 1, rng=0))
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    patch = top_patches(model, x, 0, "0", k=1).patches[0, 0, 0]
    np.testing.assert_array_equal(patch, [[8, np.nan], [np.nan, np.nan]])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", ["0", "3", None])
def test_pictures_are_tidy(channels, key):
    found = top_patches(network(channels), images(12, channels), range(4), key, k=5, distinct=False)
    figure = plot_top_patches(found)
    assert_tidy(figure)
    assert len(figure.axes[0].images) == 4 * 5
    assert_tidy(plot_top_patches(found, names=["a", "b", "some kind of thing", "another kind of thing"]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: top_patches(network(), images(1)[0], 0),
            ShapeError,
            "top_patches: images must have 4 axes (N, C, H, W), got shape (1, 8, 8)",
        ),
        (
            lambda: top_patches(network(), images(0), 0),
            ValueError,
            "top_patches: nothing to search: 0 images, 1 channels",
        ),
        (
            lambda: top_patches(network(), images(1), ()),
            ValueError,
            "top_patches: nothing to search: 1 images, 0 channels",
        ),
        (
            lambda: top_patches(network(), images(1), 10),
            ValueError,
            "top_patches: channels must be ints in 0..9, got 10",
        ),
        (lambda: top_patches(network(), images(1), 0, k=0), ValueError, "top_patches: k must be an int >= 1, got 0"),
        (
            lambda: plot_top_patches(top_patches(network(), images(1), 0), names=["a", "b"]),
            ShapeError,
            "plot_top_patches: 2 names for 1 channels",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
