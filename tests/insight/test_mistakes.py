"""Mistakes come by falling probability, and their pictures are those of the examples."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, evaluation, images

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import most_confident_mistakes, plot_mistakes
from cnn_from_scratch.training import Evaluation


def test_by_hand():
    # softmax of (2, 0) is 1/(1+e^-2) = 0.881, of (0, 3) 0.953; examples 0 and 3 are right
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    table = most_confident_mistakes(Evaluation.of(logits, np.array([0, 1, 0, 1]), loss=0.1), ["cat", "dog"])
    assert table["example"].tolist() == [2, 1]
    assert table["true"].tolist() == ["cat", "dog"]
    assert table["predicted"].tolist() == ["dog", "cat"]
    np.testing.assert_allclose(table["probability"], [0.9526, 0.8808], atol=1e-4)
    np.testing.assert_allclose(table["probability"] + table["probability_of_true"], 1)


def test_the_limit_and_the_order():
    table = most_confident_mistakes(evaluation(100, 5, wrong=40), limit=7)
    assert len(table) == 7
    assert table["probability"].is_monotonic_decreasing
    everything = most_confident_mistakes(evaluation(100, 5, wrong=40), limit=1000)
    assert sorted(everything["example"]) == list(range(40))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wrong", [1, 2, 6, 7, 30])
def test_images_and_words(channels, wrong):
    x, report = images(40, channels), evaluation(40, 4, wrong)
    table = most_confident_mistakes(report, ["zero", "one", "two", "a rather long name"])
    figure = plot_mistakes(x, table)
    (ax,) = figure.axes
    assert len(ax.images) == min(wrong, 18)
    for image, said, truth, row in zip(ax.images, ax.texts[::2], ax.texts[1::2], table.itertuples(), strict=True):
        expected = x[row.example, 0] if channels == 1 else x[row.example].transpose(1, 2, 0)
        np.testing.assert_array_equal(image.get_array(), expected)
        left, right, bottom, top = image.get_extent()
        assert left < said.get_position()[0] == truth.get_position()[0] < right
        assert said.get_position()[1] < top < bottom < truth.get_position()[1]
        assert said.get_text().startswith(row.predicted[:10])
        assert said.get_text().endswith(f" · {100 * row.probability:.0f} %")
        assert truth.get_text().startswith(row.true[:10])
    assert_tidy(figure)


def test_no_mistake():
    figure = plot_mistakes(images(9), most_confident_mistakes(evaluation(9, 3, wrong=0)))
    assert figure.get_suptitle() == "No mistake among 9 examples"
    assert_tidy(figure)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images(3), "plot_mistakes: example 4 is not among the 3 images of x"),
        (images(9)[:, 0], "plot_mistakes: x must have 4 axes (N, C, H, W), got shape (9, 8, 8)"),
    ],
)
def test_bad_input_is_named(x, message):
    with pytest.raises(ShapeError) as caught:
        plot_mistakes(x, most_confident_mistakes(evaluation(9, 3, wrong=5)))
    assert str(caught.value) == message
