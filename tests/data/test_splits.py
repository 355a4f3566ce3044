"""Every example exactly once, every class in its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_from_scratch.data import stratified_folds, stratified_split
from cnn_from_scratch.errors import ShapeError

labels = st.lists(st.integers(0, 4), min_size=10, max_size=60).map(np.array)


@given(labels, st.floats(0.25, 0.74), st.integers(0, 100))
def test_a_split_holds_out_the_rounded_share_of_each_class(y, fraction, seed):
    train, validation = stratified_split(y, fraction, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(y)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    for label in np.unique(y):
        assert (y[validation] == label).sum() == int(fraction * (y == label).sum() + 0.5)


@given(labels, st.integers(2, 10), st.integers(0, 100))
def test_folds_share_out_each_class(y, k, seed):
    folds = stratified_folds(y, k, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(y)))
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
    for members in [y >= 0, *(y == label for label in np.unique(y))]:
        counts = [members[test].sum() for _, test in folds]
        assert max(counts) - min(counts) <= 1


def test_the_seed_decides():
    y = np.arange(100) % 2
    again, other = stratified_split(y, 0.3, seed=1), stratified_split(y, 0.3, seed=2)
    np.testing.assert_array_equal(stratified_split(y, 0.3, seed=1)[0], again[0])
    assert (again[0] != other[0]).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: stratified_split(np.array([0, 1]), 0.0, seed=0),
            ValueError,
            "stratified_split: fraction must lie between 0 and 1, got 0.0",
        ),
        (
            lambda: stratified_split(np.array([0, 1]), 0.1, seed=0),
            ValueError,
            "stratified_split: fraction=0.1 of 2 examples leaves 2 for training and 0 for validation",
        ),
        (
            lambda: stratified_split(np.array([0.0, 1.0]), 0.5, seed=0),
            TypeError,
            "stratified_split: y must be an array of integer labels, got float64",
        ),
        (
            lambda: stratified_split([0, 1], 0.5, seed=0),
            TypeError,
            "stratified_split: y must be an array of integer labels, got list",
        ),
        (
            lambda: stratified_split(np.eye(2, dtype=int), 0.5, seed=0),
            ShapeError,
            "stratified_split: y must have shape (N,), got (2, 2)",
        ),
        (
            lambda: stratified_folds(np.array([0, 1]), 3, seed=0),
            ValueError,
            "stratified_folds: k must be an int from 2 to the 2 examples, got 3",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
