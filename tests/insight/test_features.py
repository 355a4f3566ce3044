"""Feature maps are what the layers give, and the picture holds them."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import feature_maps, plot_feature_maps
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential
from cnn_from_scratch.ops import softmax_forward


def test_every_layer_by_its_key():
    model, x = network(), images(2)
    maps = feature_maps(model, x)
    assert list(maps) == ["0", "1", "2", "3", "4", "5", "6"]
    for i, key in enumerate(maps):
        np.testing.assert_allclose(maps[key], Sequential(*[model[k] for k in range(i + 1)]).predict(x), rtol=1e-5)
        assert maps[key].flags.c_contiguous


def test_blocks_have_keys_of_their_own():
    block = Residual(Sequential(Conv2d(1, 1, 3, padding=1, rng=0), ReLU()))
    maps = feature_maps(Sequential({"block": block}), images(1))
    assert list(maps) == ["block.body.0", "block.body.1", "block.body", "block"]
    np.testing.assert_array_equal(maps["block"], maps["block.body"] + images(1))


def test_a_layer_alone():
    np.testing.assert_array_equal(feature_maps(ReLU(), np.array([[-1.0, 1.0]]))[""], [[0, 1]])


def test_nothing_is_trained_and_batches_may_be_empty():
    assert feature_maps(network(), images(0))["3"].shape == (0, 4, 2, 2)


def test_the_rows_of_the_picture_are_the_maps():
    model, x = network(), images(1)
    figure = plot_feature_maps(model, x * 2 - 1, image=x[0])
    maps = feature_maps(model, x * 2 - 1)
    rows = figure.axes
    np.testing.assert_array_equal(rows[0].images[0].get_array(), x[0, 0])
    for ax, key in zip(rows[1:-1], ["0", "1", "2", "3", "4"], strict=True):  # flatten shows nothing new
        assert len(ax.images) == len(maps[key][0])
        largest = np.abs(maps[key][0]).max()
        for image, feature_map in zip(ax.images, maps[key][0], strict=True):
            np.testing.assert_array_equal(image.get_array(), feature_map)
            assert image.get_clim() == (-largest, largest)
    heights = [bar.get_height() for bar in rows[-1].patches]
    np.testing.assert_allclose(heights, softmax_forward(maps["6"])[0][0], rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_pictures_are_tidy(channels, classes):
    names = [f"some kind of thing {k}" for k in range(classes)]
    figure = plot_feature_maps(network(channels, classes), images(1, channels), classes=names)
    assert_tidy(figure)


def test_of_a_hundred_classes_the_likeliest_are_drawn():
    model, x = network(classes=100), images(1)
    ax = plot_feature_maps(model, x).axes[-1]
    probabilities = softmax_forward(model.predict(x))[0][0]
    drawn = [int(label.get_text()) for label in ax.get_xticklabels()]
    assert sorted(drawn) == drawn
    assert set(drawn) == set(np.argsort(-probabilities)[:10])


def test_deep_networks_are_thinned():
    layers = [Conv2d(1, 12, 3, padding=1, rng=0)]
    layers += [Conv2d(12, 12, 3, padding=1, rng=i) for i in range(20)]
    figure = plot_feature_maps(Sequential(*layers), images(1))
    assert len(figure.axes) == 1 + 8  # the input and eight layers; no probabilities, for it ends in maps
    assert len(figure.axes[1].images) == 10
    assert_tidy(figure)


def test_long_keys_do_not_reach_the_maps():
    block = Sequential({"a_convolution_with_a_name": Conv2d(1, 2, 3, rng=0)})
    figure = plot_feature_maps(Sequential({"a_block_with_a_name": block}), images(1))
    assert_tidy(figure)
    labels = [text for text in figure.texts if text.get_text().endswith(" Conv2d")]
    assert [label.get_text() for label in labels] == ["…n_with_a_name Conv2d"]
    left = figure.axes[0].get_window_extent().x0
    assert all(label.get_window_extent().x1 < left for label in labels)


def test_wide_images_and_layers_of_numbers():
    x = np.random.default_rng(0).random((1, 1, 4, 12))
    model = Sequential(
        Conv2d(1, 2, 3, rng=0), MaxPool2d((1, 2)), Flatten(), Linear(20, 200, rng=0), Linear(200, 2, rng=0)
    )
    figure = plot_feature_maps(model.astype(np.float64), x)
    assert figure.axes[3].images[0].get_array().shape == (1, 200)
    assert_tidy(figure)


def test_images_of_nothing():
    assert_tidy(plot_feature_maps(network(), np.zeros((1, 1, 8, 8), np.float32)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot_feature_maps(network(), images(1)[0]),
            ShapeError,
            "plot_feature_maps: x must have 4 axes (N, C, H, W), got shape (1, 8, 8)",
        ),
        (
            lambda: feature_maps(network(), np.zeros((1, 1, 8, 8), np.uint8)),
            TypeError,
            "feature_maps: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
