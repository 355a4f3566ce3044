"""How a wrong array resembles the right one: a multiple, a flip, a transpose, a shift, the same numbers elsewhere."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..typing import Array
from .compare import close, same


def relation(right: Any, yours: Any) -> str:
    """In words; "" if there is no resemblance.

    Examples
    --------
    >>> relation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 6.0, 9.0]))
    'every number is 3 times the right one'
    >>> relation(np.array([1.0, 2.0, 4.0]), np.array([4.0, 2.0, 1.0]))
    'it is the right array with axis 0 reversed'
    """
    a, b = np.asarray(right), np.asarray(yours)
    if a.shape != b.shape:
        return _of_other_shape(a, b)
    if b.size > 1 and not np.isfinite(b).all():
        return f"{int((~np.isfinite(b)).sum())} of {b.size} numbers are NaN or infinite"
    for rule in (_zero, _factor, _flipped, _transposed, _shifted, _offset, _elsewhere, _balance):
        if found := rule(a, b):
            return found
    return ""


def _of_other_shape(a: Array, b: Array) -> str:
    if a.ndim == b.ndim and a.ndim > 1:
        for axes in _permutations(a.ndim):
            if same(a.transpose(axes), b):
                return f"it is the right array with its axes in the order {axes}: transposed"
    if a.size == b.size and same(a.ravel(), b.ravel()):
        return f"the numbers are right, and in the right order: reshape them to {a.shape}"
    if b.ndim == a.ndim + 1:
        for axis in range(b.ndim):
            if same(a, b.sum(axis)):
                return f"summed over axis {axis} it would be right"
    return ""


def _permutations(rank: int) -> list[tuple[int, ...]]:
    swaps = [tuple({i: j, j: i}.get(k, k) for k in range(rank)) for i, j in combinations(range(rank), 2)]
    last = (0, *range(2, rank), 1) if rank > 2 else ()
    first = (0, rank - 1, *range(1, rank - 1)) if rank > 2 else ()
    return [*swaps, *(axes for axes in (last, first) if axes)]


def _zero(a: Array, b: Array) -> str:
    return "every number is 0: was anything written?" if not b.any() else ""


def _factor(a: Array, b: Array) -> str:
    power = float(np.vdot(a, a))
    factor = float(np.vdot(a, b)) / power if power else 0.0
    if a.size < 2 or not factor or not same(factor * a, b):
        return ""
    if abs(factor + 1) < 1e-6:
        return "every number has the wrong sign"
    return f"every number is {factor:.5g} times the right one" + (
        f", that is 1/{1 / factor:.5g}" if abs(factor) < 1 and abs(1 / factor - round(1 / factor)) < 1e-4 else ""
    )


def _flipped(a: Array, b: Array) -> str:
    if a.ndim > 1 and same(a[..., ::-1, ::-1], b):
        return "it is the right array with its last two axes reversed: turned by half a circle"
    for axis in range(a.ndim):
        if a.shape[axis] > 1 and same(np.flip(a, axis), b):
            return f"it is the right array with axis {axis} reversed"
    return ""


def _transposed(a: Array, b: Array) -> str:
    for i, j in combinations(range(a.ndim), 2):
        if a.shape[i] == a.shape[j] and same(a.swapaxes(i, j), b):
            return f"it is the right array with the axes {i} and {j} exchanged: transposed"
    return ""


def _shifted(a: Array, b: Array) -> str:
    """By one or two along an axis; what leaves at one end is lost."""
    for axis in range(a.ndim):
        for by in (1, -1, 2, -2):
            n = a.shape[axis] - abs(by)
            if n < 2 or 2 * n <= a.shape[axis]:
                continue
            start, end = (slice(max(by, 0), max(by, 0) + n), slice(max(-by, 0), max(-by, 0) + n))
            moved, kept = np.moveaxis(b, axis, 0)[start], np.moveaxis(a, axis, 0)[end]
            if kept.any() and np.ptp(kept) and same(kept, moved):
                return f"it is the right array shifted by {by} along axis {axis}"
    return ""


def _offset(a: Array, b: Array) -> str:
    gap = float((b - a).mean())
    if a.size > 2 and np.ptp(a) and same(a + gap, b):
        return f"every number is {abs(gap):.5g} too {'large' if gap > 0 else 'small'}"
    return ""


def _elsewhere(a: Array, b: Array) -> str:
    if a.size > 2 and np.unique(a).size > 2 and bool(close(np.sort(a, None), np.sort(b, None)).all()):
        return "the numbers are right but stand in the wrong places: look at reshape, transpose and the order of loops"
    return ""


def _balance(a: Array, b: Array) -> str:
    """Gradients behind a normalisation or a softmax add up to 0."""
    axes = {4: (0, 2, 3), 2: (1,)}.get(a.ndim)
    if axes is None or np.prod([a.shape[axis] for axis in axes]) < 2:
        return ""
    size = max(float(np.abs(a).sum()), 1e-30)
    if np.abs(a.sum(axes)).max() < 1e-6 * size and np.abs(b.sum(axes)).max() > 1e-4 * size:
        return f"over {axes} the right numbers add up to 0, yours do not: something that is to be taken off is missing"
    return ""
