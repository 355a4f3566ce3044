"""How alike two maps are: by the order of their pixels, and by their local structure."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..typing import Array

WINDOW = 7
"""Pixels on a side of the windows that structural similarity looks at, or the whole map where it is smaller."""

C1, C2 = 0.01**2, 0.03**2
"""The paper's constants, for numbers from 0 to 1: they keep flat windows from dividing by nothing."""


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's: the correlation of the ranks of all pixels, -1 to 1. Equal pixels share the mean of their ranks.

    0 where a map has but one value: there is no order to compare.

    Examples
    --------
    >>> a = np.array([1.0, 2.0, 30.0])
    >>> round(rank_correlation(a, a**2), 9), round(rank_correlation(a, -a), 9), rank_correlation(a, a * 0)
    (1.0, -1.0, 0.0)
    """
    ranks = np.stack([_ranks(a), _ranks(b)])
    ranks -= ranks.mean(1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(1))
    return float(ranks[0] @ ranks[1] / lengths.prod()) if lengths.all() else 0.0


def _ranks(values: Array) -> Array:
    """0 for the smallest; equal values share the mean of their ranks.

    Examples
    --------
    >>> _ranks(np.array([5, 1, 5, 9]))
    array([1.5, 0. , 1.5, 3. ])
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(count) - (count + 1) / 2)[place.ravel()]
    return ranks


def structural_similarity(a: Array, b: Array) -> float:
    """SSIM: the mean over all windows of (2 ma mb + C1) (2 sab + C2) / ((ma^2 + mb^2 + C1) (sa^2 + sb^2 + C2))

    With means m, variances s^2 and covariance sab of each window of 7 x 7 pixels, all pixels counting the same.

    Parameters
    ----------
    a, b : (H, W)
        From 0 to 1.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity (2004).

    Examples
    --------
    >>> a = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> round(structural_similarity(a, a), 9), round(structural_similarity(a, 1 - a), 2)
    (1.0, -1.0)
    """
    size = tuple(min(WINDOW, length) for length in a.shape)
    a, b = (sliding_window_view(values.astype(np.float64), size) for values in (a, b))
    axes = (-2, -1)
    mean_a, mean_b = a.mean(axes), b.mean(axes)
    var_a, var_b = a.var(axes), b.var(axes)
    shared = (a * b).mean(axes) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * shared + C2)
    return float((likeness / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))).mean())
