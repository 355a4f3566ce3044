"""The cells of the confusion matrix hold its counts."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy, evaluation

from cnn_from_scratch.insight import most_confused, plot_confusion
from cnn_from_scratch.training import Evaluation


def of_pairs(pairs, classes):
    """An evaluation of (true, predicted) pairs."""
    true, predicted = np.array(pairs).T
    return Evaluation.of(np.eye(classes)[predicted], true, loss=0.0)


def test_cells_by_hand():
    #             predicted a  b  c
    # true a                2  1  0     2/3 found
    #      b                0  1  0     all found
    #      c                0  0  0     no example: nothing is said
    figure = plot_confusion(of_pairs([(0, 0), (0, 0), (0, 1), (1, 1)], 3), ["a", "b", "c"])
    ax = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells[(0, 0)] == "2"
    assert cells[(1, 0)] == "1"  # x = 1 is the predicted class b, y = 0 the true class a
    assert cells[(1, 1)] == "1"
    assert [text.get_text() for text in ax.texts[3:]] == ["67 %", "100 %"]
    right, wrong = (image.get_array().filled(np.nan) for image in ax.images)
    np.testing.assert_allclose(np.diag(right), [2 / 3, 1, 0])
    np.testing.assert_allclose(wrong[0, 1:], [1 / 3, 0])
    assert np.isnan(np.diag(wrong)).all()
    assert np.isnan(right[0, 1])
    assert figure.get_suptitle() == "75.00 % right: 3 of 4 examples"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_every_count_is_written(classes):
    report = evaluation(500, classes, wrong=120)
    ax = plot_confusion(report).axes[0]
    written = {text.get_position(): text.get_text() for text in ax.texts if "%" not in text.get_text()}
    counts = report.confusion().to_numpy()
    assert written == {(c, r): str(counts[r, c]) for r, c in np.argwhere(counts)}


@pytest.mark.parametrize(
    ("classes", "name"),
    [(1, "{}"), (2, "{}"), (2, "a rather long name {}"), (10, "{}"), (30, "{}"), (100, "category {}")],
)
def test_pictures_are_tidy(classes, name):
    figure = plot_confusion(evaluation(600, classes, wrong=90), [name.format(k) for k in range(classes)])
    assert_tidy(figure)


def test_a_hundred_classes_list_their_confusions_instead():
    figure = plot_confusion(evaluation(600, 100, wrong=90))
    cells, listed = figure.axes
    assert not cells.texts
    assert listed.texts[0].get_text() == "1 x  0 as 1"
    assert len(listed.texts) == 20


def test_large_counts_fit():
    assert_tidy(plot_confusion(evaluation(60_000, 10, wrong=9000)))


def test_most_confused():
    table = most_confused(of_pairs([(0, 1), (0, 1), (0, 0), (2, 1), (1, 1)], 3), ["a", "b", "c"])
    assert table.to_dict("list") == {
        "true": ["a", "c"],
        "predicted": ["b", "b"],
        "count": [2, 1],
        "share": [pytest.approx(2 / 3), 1.0],
    }
    assert most_confused(evaluation(10, 2, wrong=0)).empty


def test_names_are_not_mathematics():
    figure = plot_confusion(evaluation(10, 2, wrong=1), ["5$ to 6$", "_a_"])
    assert_tidy(figure)
    assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())


def test_targets_that_are_no_classes():
    with pytest.raises(ValueError, match=r"^confusion: needs logits"):
        plot_confusion(Evaluation.of(np.ones((3, 1)), np.ones((3, 1)), loss=0.1))
