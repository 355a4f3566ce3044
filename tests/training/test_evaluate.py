"""Figures of a model, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.layers import Flatten, Sequential
from cnn_from_scratch.training import Evaluation, evaluate

# true class    0 0 0 1 1 2      logits put the largest number at the predicted class, the second at the next one
# predicted     0 0 1 1 2 2
TARGETS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2])
LOGITS = 2.0 * np.eye(3)[PREDICTED] + 1.0 * np.eye(3)[(PREDICTED + 1) % 3]
REPORT = Evaluation.of(LOGITS, TARGETS, loss=0.25)


def test_accuracy_and_top_k():
    assert REPORT.accuracy == pytest.approx(4 / 6)
    # second choices: 1 1 2 2 0 0; the two wrong ones want 0 and 1, and have 2 and 0 as their second
    assert REPORT.top_k(1) == pytest.approx(4 / 6)
    assert REPORT.top_k(2) == pytest.approx(4 / 6)
    assert REPORT.top_k(3) == 1.0


def test_confusion_counts_true_by_predicted():
    table = REPORT.confusion(["a", "b", "c"])
    np.testing.assert_array_equal(table.to_numpy(), [[2, 1, 0], [0, 1, 1], [0, 0, 1]])
    assert list(table.index) == list(table.columns) == ["a", "b", "c"]


def test_per_class():
    table = REPORT.per_class()
    # precision: 2/2, 1/2, 1/2; recall: 2/3, 1/2, 1/1; F1 = 2PR/(P+R): 4/5, 1/2, 2/3
    np.testing.assert_allclose(table["precision"], [1, 0.5, 0.5])
    np.testing.assert_allclose(table["recall"], [2 / 3, 0.5, 1])
    np.testing.assert_allclose(table["f1"], [0.8, 0.5, 2 / 3])
    assert list(table["examples"]) == [3, 2, 1]


def test_a_class_that_never_occurs_counts_zero():
    table = Evaluation.of(np.eye(3)[[0, 0]], np.array([0, 0]), loss=0.0).per_class()
    assert table.loc["2"].tolist() == [0, 0, 0, 0]


def test_evaluate_is_the_mean_over_all_examples():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2500, 3, 1, 1)).astype(np.float32), rng.integers(0, 3, 2500)
    report = evaluate(Sequential(Flatten()), (x, y), batch_size=100)
    z = x.reshape(2500, 3).astype(np.float64)
    losses = np.log(np.exp(z).sum(1)) - z[np.arange(2500), y]
    assert report.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert report.accuracy == np.mean(z.argmax(1) == y)
    assert report.examples == 2500


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: REPORT.top_k(4), "top_k: k must be an int in 1..3, got 4"),
        (lambda: REPORT.confusion(["a"]), "classes: expected 3 names, got 1"),
        (
            lambda: Evaluation.of(np.ones((2, 1)), np.ones((2, 1)), loss=0.0).predictions,
            "predictions: needs logits (N, K) and class indices (N,), got (2, 1) and (2, 1) float64",
        ),
        (
            lambda: evaluate(Sequential(Flatten()), (np.ones((0, 3, 1, 1), np.float32), np.ones(0, int))),
            "evaluate: there is no example; a mean over nothing is undefined",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert str(caught.value) == message
