"""The picture of filters holds the filters."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import filter_grid, plot_filters
from cnn_from_scratch.insight.tiles import tile
from cnn_from_scratch.layers import Conv2d, Linear, ReLU, Sequential


def test_filters_on_one_channel_stand_side_by_side():
    model = network()
    weight = model.params["0.weight"]
    shown = plot_filters(model).axes[0].images[0].get_array().filled(np.nan)
    assert shown.shape == (2 * 4 - 1, 3 * 4 - 1)  # six filters of 3x3 in two rows of three, one pixel between them
    for f in range(6):
        row, column = divmod(f, 3)
        np.testing.assert_array_equal(shown[4 * row : 4 * row + 3, 4 * column : 4 * column + 3], weight[f, 0])
    assert np.isnan(shown[3]).all()
    assert np.isnan(shown[:, 3]).all()


def test_the_scale_is_symmetric_and_shared():
    model = network()
    image = plot_filters(model).axes[0].images[0]
    largest = np.abs(model.params["0.weight"]).max()
    assert image.get_clim() == (-largest, largest)
    np.testing.assert_allclose(image.to_rgba(np.zeros((1, 1)))[0, 0, :3], 1, atol=0.01)  # zero is white


def test_deeper_filters_are_rows_of_channels():
    model = network()
    weight = model.params["3.weight"]  # (4, 6, 3, 3)
    shown = plot_filters(model, "3").axes[0].images[0].get_array()
    assert shown.shape == (4 * 4 - 1, 6 * 4 - 1)
    np.testing.assert_array_equal(shown[8:11, 20:23], weight[2, 5])


def test_filters_on_red_green_blue_are_in_colour():
    model = network(channels=3)
    weight = model.params["0.weight"]
    figure = plot_filters(model)
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (7, 11, 3)
    assert len(figure.axes) == 1  # no scale: the caption says what grey is
    np.testing.assert_allclose(shown[:3, 4:7], 0.5 + weight[1].transpose(1, 2, 0) / (2 * np.abs(weight).max()))
    assert 0 <= shown.min() <= shown.max() <= 1


def test_only_the_first_layer_looks_at_colours():
    model = Sequential(Conv2d(1, 3, 3, rng=0), ReLU(), Conv2d(3, 2, 3, rng=0))
    assert plot_filters(model, "2").axes[0].images[0].get_array().ndim == 2


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (7, 1, 5, 2), (200, 1, 3, 3), (40, 30, 3, 3), (96, 3, 11, 11)])
def test_pictures_of_every_size_are_tidy(shape):
    F, C, KH, KW = shape
    figure = plot_filters(Sequential(Conv2d(C, F, (KH, KW), rng=0)))
    assert max(figure.get_size_inches()) < 12
    assert_tidy(figure)


def test_many_filters_are_cut_and_the_caption_says_so():
    figure = plot_filters(Sequential(Conv2d(30, 40, 3, rng=0)))
    said = "Rows: the first 16 of 40 filters of 3×3. Columns: the first 16 of 30 channels that each filter looks at."
    assert figure.get_supxlabel().replace("\n", " ") == said


def test_filters_of_zeros():
    assert_tidy(plot_filters(Sequential(Conv2d(1, 2, 3, weight_init="dirac", bias=False))))
    weight = np.zeros((2, 3, 1, 1))
    np.testing.assert_array_equal(filter_grid(weight, colour=True)[:, ::2], 0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot_filters(Sequential(Linear(2, 2))),
            ValueError,
            "find_convolution: the model has no Conv2d",
        ),
        (
            lambda: plot_filters(network(), "1"),
            ValueError,
            "find_convolution: no Conv2d has the key '1'; those that have one: 0, 3",
        ),
        (
            lambda: filter_grid(np.ones((2, 3))),
            ShapeError,
            "filter_grid: weight must have 4 axes (F, C, KH, KW), got shape (2, 3)",
        ),
        (
            lambda: tile(np.ones((0, 2, 2)), 1),
            ShapeError,
            "tile: images must be (n, H, W) or (n, H, W, 3) with n >= 1, got shape (0, 2, 2)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
