"""The connected spots of a mask: numbered, weighed, and the small ones wiped away."""

from __future__ import annotations

import numpy as np

from ..typing import Array


def label_spots(mask: Array) -> Array:
    """Number the spots of a mask from 1; pixels that touch, also at a corner, are of one spot. 0 is outside.

    Row by row, a run of pixels takes the number of the runs above that it touches; where it touches two, these two are
    one spot (union-find).

    Examples
    --------
    >>> label_spots(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], bool))
    array([[1, 0, 0, 2],
           [0, 1, 0, 2]])
    """
    rows, starts, ends = _runs(mask)
    parent = list(range(len(rows)))
    above = 0
    for i, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] < start):
            above += 1
        touching = above
        while rows[touching] == row - 1 and starts[touching] <= end:
            parent[_root(parent, i)] = _root(parent, touching)
            touching += 1
    labels = np.zeros(mask.shape, np.int64)
    numbers: dict[int, int] = {}
    for i, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        labels[row, start:end] = numbers.setdefault(_root(parent, i), len(numbers) + 1)
    return labels


def large_spots(mask: Array, weight: Array, share: float) -> Array:
    """The mask without the spots whose weight is less than `share` of the heaviest spot's.

    Examples
    --------
    >>> large_spots(np.array([[1, 1, 0, 1]], bool), np.ones((1, 4)), 0.6)
    array([[ True,  True, False, False]])
    """
    labels = label_spots(mask)
    weights = np.bincount(labels.ravel(), weight.ravel())
    weights[0] = 0  # what is outside
    kept = weights >= share * weights.max()
    kept[0] = False
    found: Array = kept[labels]
    return found


def grown(mask: Array) -> Array:
    """The mask and all that touches it.

    Examples
    --------
    >>> grown(np.array([[0, 0, 0, 1]], bool))
    array([[False, False,  True,  True]])
    """
    H, W = mask.shape
    padded = np.pad(mask, 1)
    out = np.zeros_like(mask)
    for dy in range(3):
        for dx in range(3):
            out |= padded[dy : dy + H, dx : dx + W]
    return out


def _runs(mask: Array) -> tuple[list[int], list[int], list[int]]:
    """Row, start and end of each run of True along a row, in reading order."""
    H, W = mask.shape
    padded = np.zeros((H, W + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows.tolist(), starts.tolist(), ends.tolist()


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]  # halves the way for the next one
        i = parent[i]
    return i
