"""The pictures of attributions show the numbers they are given, and are tidy whatever the images and names."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, images, network

from cnn_from_scratch import insight
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import plot_attribution, plot_attributions
from cnn_from_scratch.insight.attributions import METHODS
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, Sequential, Tanh

ALONE = ["saliency", "smoothgrad", "integrated_gradients", "guided_backpropagation", "occlusion", "gradcam"]


def test_a_map_is_drawn_as_it_is():
    image = np.random.default_rng(0).random((3, 8, 6))
    attribution = np.random.default_rng(1).standard_normal((3, 8, 6))
    left, right, _ = plot_attribution(image, attribution).axes
    np.testing.assert_array_equal(left.images[0].get_array(), image.transpose(1, 2, 0))
    drawn, trace = right.images
    np.testing.assert_array_equal(drawn.get_array(), attribution.sum(0))
    largest = np.percentile(np.abs(attribution.sum(0)), 99.5)
    assert drawn.get_clim() == (-largest, largest)
    tone = np.abs(image.mean(0) - np.median(image.mean(0)))
    np.testing.assert_allclose(trace.get_array()[..., 3], 0.25 * tone / tone.max())
    drawn = plot_attribution(image, attribution, signed=False).axes[1].images[0]
    np.testing.assert_array_equal(drawn.get_array(), np.abs(attribution).max(0))
    assert drawn.get_clim()[0] == 0


def test_other_numbers_are_stretched():
    image = images(1)[0] * 4 - 2
    shown = plot_attribution(image, image).axes[0].images[0].get_array()
    assert (shown.min(), shown.max()) == (0, 1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 20), (3, 30, 8), (1, 1, 1)])
def test_pictures_are_tidy(shape):
    image = np.random.default_rng(0).random(shape)
    words = "A caption that is long enough for two lines, because it explains at some length what blue and orange mean."
    assert_tidy(plot_attribution(image, image - 0.5, title="A title that is long enough for two lines" * 2))
    assert_tidy(plot_attribution(image, image[0] * 0, title="Nothing", caption=words, labels=("a", "b")))


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_plot_beside_each_method(name, channels):
    model, x = network(channels), images(1, channels)
    names = [f"some kind of thing {k}" for k in range(10)]
    figure = getattr(insight, f"plot_{name}")(model, x * 2 - 1, 3, image=x[0], classes=names)
    assert_tidy(figure)
    assert "some kind of thing 3" in figure.get_suptitle().replace("\n", " ")
    function = getattr(insight, name)
    found = function(model, x * 2 - 1, 3)
    found = found.attribution[0].sum(0) if name == "integrated_gradients" else found[0]
    if name == "saliency":
        found = np.abs(found).max(0)
    expected = found.sum(0) if found.ndim == 3 else found
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), expected, rtol=1e-6)
    assert figure.axes[1].get_title().startswith("score of some kind of")


def test_gradcam_says_which_layer_it_took():
    figure = insight.plot_gradcam(network(), images(1))
    assert "those of 4: 2 × 2 numbers" in figure.get_supxlabel()
    assert insight.plot_gradcam(network(), images(1), alpha="each").get_suptitle().startswith("HiResCAM: ")


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_methods_side_by_side(count, channels):
    model, x = network(channels), images(count, channels)
    figure = plot_attributions(model, x, classes=[f"some kind of thing {k}" for k in range(10)])
    assert_tidy(figure)
    (ax,) = figure.axes
    assert len(ax.images) == min(count, 8) * (1 + 2 * 6)  # the image, and six maps with their traces
    row = [image.get_array() for image in ax.images[:13]]
    np.testing.assert_allclose(row[9], insight.occlusion(model, x[:1])[0], atol=1e-6)
    np.testing.assert_allclose(row[11], insight.gradcam(model, x[:1])[0], atol=1e-6)


def test_chosen_methods_and_those_that_a_model_allows():
    model, x = network(), images(2)
    ax = plot_attributions(model, x, [1, 2], methods=["gradcam", "saliency"], images=x * 0.5).axes[0]
    headings = [text.get_text() for text in ax.texts[:3]]
    assert headings == ["Image", "Grad-CAM", "Saliency"]
    np.testing.assert_array_equal(ax.images[0].get_array(), x[0, 0] * 0.5)
    without_rectifier = Sequential(Conv2d(1, 2, 3, rng=0), Tanh(), Flatten(), Linear(72, 2, rng=0))
    assert len(plot_attributions(without_rectifier, x).axes[0].images) == 2 * (1 + 2 * 5)
    assert len(plot_attributions(Sequential(Flatten(), Linear(64, 2, rng=0)), x).axes[0].images) == 2 * (1 + 2 * 4)
    assert list(METHODS) == ALONE


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot_attribution(np.zeros((1, 8, 8)), np.zeros((2, 8, 8))),
            ShapeError,
            "plot_attribution: attribution must be (1, 8, 8) or (8, 8), got (2, 8, 8)",
        ),
        (
            lambda: insight.plot_saliency(network(), images(2)),
            ShapeError,
            "plot_saliency: x must be a batch of one image (1, C, H, W), got shape (2, 1, 8, 8)",
        ),
        (lambda: plot_attributions(network(), images(0)), ShapeError, "plot_attributions: x holds no image"),
        (
            lambda: plot_attributions(network(), images(2), images=images(1)),
            ShapeError,
            "plot_attributions: images must have shape (2, 1, 8, 8), got (1, 1, 8, 8)",
        ),
        (
            lambda: plot_attributions(network(), images(2), methods=["lime"]),
            ValueError,
            "plot_attributions: methods must be among saliency, smoothgrad, integrated_gradients, "
            "guided_backpropagation, occlusion, gradcam, got 'lime'",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
