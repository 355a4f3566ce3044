"""Softmax and cross-entropy, drawn: every column is what the operations give."""

from __future__ import annotations

import numpy as np
import pytest
from boards import grids_in, words_in, written
from pictures import assert_tidy

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import draw_cross_entropy
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, softmax_forward

LOGITS = np.array([[2.5, 1, 0.5, -1], [0, -3, 4, 1]])
TARGETS = np.array([0, 3])


def test_by_hand():
    # e^0 = 1 and e^0 = 1: probabilities of a half, a loss of log 2 = 0.69, gradients of -1/2 and 1/2
    figure = draw_cross_entropy(np.zeros((1, 2)), np.array([0]), ["cat", "dog"])
    assert [grid.words[:, 0].tolist() for grid in grids_in(figure)] == [
        ["0", "0"],
        ["1", "1"],
        ["0.5", "0.5"],
        ["1", "0"],
        ["−0.5", "0.5"],
    ]
    assert "The truth is cat:  loss = −log p(cat) = −log 0.5 = 0.69" in words_in(figure)
    assert_tidy(figure)


def test_columns_are_those_of_the_operations():
    figure = draw_cross_entropy(LOGITS, TARGETS)
    grids = grids_in(figure)
    assert len(grids) == 2 * 5
    for n in range(2):
        loss, cache = cross_entropy_forward(LOGITS[n : n + 1], TARGETS[n : n + 1])
        onehot = np.eye(4)[TARGETS[n]]
        columns = LOGITS[n], np.exp(LOGITS[n]), softmax_forward(LOGITS[n])[0], onehot, cross_entropy_backward(cache)[0]
        for grid, numbers in zip(grids[5 * n :], columns, strict=False):
            np.testing.assert_array_equal(grid.words[:, 0], written(numbers.round(2)))
        assert any(words.endswith(f"= {written([loss.round(2)])[0]}") for words in words_in(figure))
    assert_tidy(figure)


def test_what_comes_in_stays_as_it_is():
    logits, targets = LOGITS.astype(np.float32), TARGETS.copy()
    logits.flags.writeable = targets.flags.writeable = False
    assert_tidy(draw_cross_entropy(logits, targets, ["hippopotamus", "b", "c", "d"]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: draw_cross_entropy(LOGITS[0], TARGETS),
            ShapeError,
            "draw_cross_entropy: logits must have 2 axes (N, K), got shape (4,)",
        ),
        (
            lambda: draw_cross_entropy(LOGITS, TARGETS, ["a"]),
            ShapeError,
            "draw_cross_entropy: classes must name all K=4 classes, got 1",
        ),
        (
            lambda: draw_cross_entropy(LOGITS, LOGITS),
            ShapeError,
            "draw_cross_entropy: targets must have shape (2,), got (2, 4)",
        ),
        (
            lambda: draw_cross_entropy(LOGITS, np.array([0, -100])),
            ValueError,
            "draw_cross_entropy: targets must be classes from 0 to 3, got [0, -100]",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
