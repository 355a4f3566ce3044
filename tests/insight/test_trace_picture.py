"""The picture of a trace holds its arrays: maps at the left, gradients at the right."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, images, network
from random_models import random_batch, random_model

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.insight.trace_picture import BACK, MOST_MAPS, plot_trace
from cnn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, ReLU, Sequential
from cnn_from_scratch.ops import softmax_forward


def traced(channels=1, classes=10, count=3, **how):
    return trace(network(channels, classes), images(count, channels), np.arange(count) % classes, **how)


def sides(ax):
    """The arrays of one row: those at the left, those at the right."""
    left = [image for image in ax.images if image.get_extent()[0] < BACK]
    return left, ax.images[len(left) :]


def test_every_row_holds_maps_and_their_gradients():
    seen = traced()
    figure = plot_trace(seen, 2, image=images(3)[2])
    _, image, *rows, _ = figure.axes
    np.testing.assert_array_equal(image.images[0].get_array(), images(3)[2, 0])
    np.testing.assert_array_equal(image.images[1].get_array(), seen.dx[2, 0])
    for ax, key in zip(rows, ["0", "1", "2", "3", "4"], strict=True):  # flatten shows nothing new, 6 are the scores
        layer = seen[key]
        for shown, numbers in zip(sides(ax), (layer.output[2], layer.dy[2]), strict=True):
            assert len(shown) == min(MOST_MAPS, len(numbers))
            largest = np.abs(numbers).max()
            for drawn, expected in zip(shown, numbers, strict=False):
                np.testing.assert_array_equal(drawn.get_array(), expected)
                assert drawn.get_clim() == (-largest, largest)
        assert [text.get_text() for text in ax.texts] == [
            f"{np.abs(numbers[2]).max():.2g}" for numbers in (layer.output, layer.dy)
        ]


def test_the_last_row_are_probabilities_and_the_gradient_by_scores():
    seen = traced(classes=3)
    figure = plot_trace(seen, 1, classes=["cat", "dog", "ant"])
    bars = figure.axes[-1].patches
    heights = np.array([bar.get_height() for bar in bars]).reshape(3, 2)  # of each class, both
    probabilities = softmax_forward(seen.logits)[0][1]
    np.testing.assert_allclose(heights[:, 0] / heights[:, 0].sum(), probabilities, rtol=1e-5)
    expected = probabilities - [0, 1, 0]  # the derivative of cross-entropy
    np.testing.assert_allclose(heights[:, 1] / heights[1, 1], expected / expected[1], rtol=1e-4)
    np.testing.assert_allclose(seen.dlogits[1], expected / 3, rtol=1e-4)
    said = ["cat", "dog", "ant"][int(probabilities.argmax())]
    assert figure.get_suptitle().replace("\n", " ").endswith(f": “dog”, taken for “{said}”")


def test_the_right_class_is_always_among_them():
    seen = traced(classes=100)
    worst = int(seen.logits[0].argmin())
    again = trace(seen.model, seen.x, np.full(3, worst))
    words = [text.get_text() for text in plot_trace(again).axes[-1].texts]
    assert words.count(str(worst)) == 2
    drawn = [int(word) for word in words[2::4]]
    likeliest = np.argsort(-seen.logits[0])[: MOST_MAPS - 1]
    assert drawn == sorted({worst, *likeliest.tolist()})


@pytest.mark.parametrize(("channels", "classes", "train"), [(1, 10, False), (3, 2, True), (2, 100, False)])
def test_pictures_are_tidy(channels, classes, train):
    names = [f"some kind of thing {k}" for k in range(classes)]
    assert_tidy(plot_trace(traced(channels, classes, train=train), 1, classes=names))


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_pictures_of_random_networks_are_tidy(seed):
    model, (x, y) = random_model(seed, np.float32, depth=12), random_batch(seed, dtype=np.float32)
    figure = plot_trace(trace(model, x, y, train=True), 3)
    assert len(figure.axes) <= 3 + 8
    assert_tidy(figure)


def test_dropout_has_a_row_only_where_it_drops():
    model = Sequential(Flatten(), Linear(64, 20, rng=0), ReLU(), Dropout(0.5), Linear(20, 3, rng=1))
    x, y = images(1), np.array([2])
    for train in (False, True):
        figure = plot_trace(trace(model, x, y, train=train))
        labels = [text.get_text() for text in figure.texts]
        assert ("3 Dropout" in labels) == train
        assert labels.count("2 ReLU") == 1


def test_other_losses_have_no_classes():
    model = Sequential(Conv2d(1, 7, 3, padding=1, rng=0))
    x = images(2)
    seen = trace(model, x, np.zeros((2, 7, 8, 8), np.float32), loss="mse")
    figure = plot_trace(seen)
    assert len(figure.axes) == 3
    assert len(figure.axes[-1].images) == 2 * MOST_MAPS
    assert figure.get_suptitle() == "One image on its way through the network, and the gradient on its way back"
    assert_tidy(figure)


def test_nothing_but_zeros():
    model = network()
    for array in model.params.values():
        array[...] = 0
    assert_tidy(plot_trace(trace(model, np.zeros((1, 1, 8, 8), np.float32), np.array([0]))))


def test_networks_that_have_blown_up_are_drawn():
    model = network()
    model.params["0.weight"][...] = np.inf
    assert_tidy(plot_trace(trace(model, images(1), np.array([0]))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot_trace(trace(network(), images(2))),
            ValueError,
            "plot_trace: the trace has no backward pass; give y to trace",
        ),
        (lambda: plot_trace(traced(), 3), IndexError, "plot_trace: index must be from 0 to 2, got 3"),
        (
            lambda: plot_trace(trace(ReLU(), np.ones((1, 2), np.float32), np.array([0]))),
            ShapeError,
            "plot_trace: trace.x must have 4 axes (N, C, H, W), got shape (1, 2)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
