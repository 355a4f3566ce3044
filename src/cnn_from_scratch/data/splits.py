"""Splits that keep the share of every class: one part held out, or k parts that take turns."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..ops.checks import check_number, plain_array
from ..randomness import derive
from ..typing import Array


def stratified_split(y: Array, fraction: float, *, seed: int) -> tuple[Array, Array]:
    """Indices of a training and a validation part; of every class the same fraction, rounded, is held out.

    Parameters
    ----------
    y : (N,) integers
        Labels.
    fraction : float
        How much to hold out, above 0 and below 1.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, validation : ascending indices
        Together every index once.

    Raises
    ------
    ValueError
        If the fraction is out of range, or one of the parts would be empty.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> train, validation = stratified_split(y, 0.25, seed=0)
    >>> y[train], y[validation]
    (array([0, 0, 0, 1, 1, 1]), array([0, 1]))
    """
    _check_labels("stratified_split", y)
    check_number("stratified_split", "fraction", fraction)
    if not 0 < fraction < 1:
        raise ValueError(f"stratified_split: fraction must lie between 0 and 1, got {fraction!r}")
    held_out = np.zeros(len(y), bool)
    for members in _shuffled_classes(y, seed):
        held_out[members[: int(fraction * len(members) + 0.5)]] = True
    train, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if not len(train) or not len(validation):
        raise ValueError(
            f"stratified_split: fraction={fraction} of {len(y)} examples leaves "
            f"{len(train)} for training and {len(validation)} for validation"
        )
    return train, validation


def stratified_folds(y: Array, k: int, *, seed: int) -> list[tuple[Array, Array]]:
    """k pairs (train, test) of ascending indices; every example is in exactly one test part.

    The classes, shuffled and one after the other, are dealt like cards to k players, so that the parts differ by at
    most one example, in all and in each class.

    Raises
    ------
    ValueError
        If k is below 2 or above the number of examples.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1, 1, 1])
    >>> [y[test].tolist() for train, test in stratified_folds(y, 2, seed=0)]
    [[0, 1, 1], [0, 1, 1]]
    """
    _check_labels("stratified_folds", y)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 2 <= k <= len(y):
        raise ValueError(f"stratified_folds: k must be an int from 2 to the {len(y)} examples, got {k!r}")
    fold = np.empty(len(y), np.intp)
    fold[np.concatenate(_shuffled_classes(y, seed))] = np.arange(len(y)) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def _shuffled_classes(y: Array, seed: int) -> list[Array]:
    """The indices of each class, in ascending order of the classes, in random order within them."""
    rng = derive(seed, "split")
    return [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]


def _check_labels(function: str, y: Array) -> None:
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iu":
        raise TypeError(
            f"{function}: y must be an array of integer labels, got {getattr(y, 'dtype', type(y).__name__)}"
        )
    plain_array(function, "y", y)
    if y.ndim != 1:
        raise ShapeError(f"{function}: y must have shape (N,), got {y.shape}")
