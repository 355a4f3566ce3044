"""Which number is wrong, and what the array looks like around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..typing import Array

TOLERANCES = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-8}
MOST = 12
"""Wider or higher slices are not shown."""


@dataclass(frozen=True)
class Difference:
    """The first wrong number, and how many there are."""

    index: tuple[int, ...]
    right: float
    yours: float
    count: int
    size: int

    def said(self, name: str) -> str:
        """In one sentence.

        Examples
        --------
        >>> print(Difference((0, 2), 4.0, 5.0, 1, 6).said("cols"))
        cols[0, 2] should be 4 and is 5; 1 of 6 numbers is wrong
        """
        right, yours = digits(self.right, self.yours)
        place = f"{name}[{', '.join(map(str, self.index))}]" if self.index else name
        if not self.size or self.size == 1:
            return f"{place} should be {right} and is {yours}"
        many = "all" if self.count == self.size else f"{self.count} of {self.size}"
        verb = "is" if self.count == 1 else "are"
        return f"{place} should be {right} and is {yours}; {many} numbers {verb} wrong"


def digits(right: float, yours: float) -> tuple[str, str]:
    """As many digits as show that they are different.

    Examples
    --------
    >>> digits(0.5, 2.0), digits(1.0, 1.00000001)
    (('0.5', '2'), ('1', '1.00000001'))
    """
    for count in range(5, 18):
        texts = f"{right + 0.0:.{count}g}", f"{yours + 0.0:.{count}g}"
        if texts[0] != texts[1]:
            return texts
    return texts


def close(right: Any, yours: Any) -> Array:
    """Where two arrays of one shape agree, but for rounding."""
    a, b = np.asarray(right), np.asarray(yours)
    tolerance = TOLERANCES.get(a.dtype, 1e-8)
    finite = np.abs(a[np.isfinite(a)], dtype=np.float64)
    scale = max(float(finite.max(initial=0.0)), 1e-3)
    with np.errstate(all="ignore"):
        near = np.abs(a.astype(np.float64) - b.astype(np.float64)) <= tolerance * scale
        agree: Array = near | (a == b) | (np.isnan(a) & np.isnan(b))
    return agree


def same(right: Any, yours: Any) -> bool:
    """Whether shapes and numbers agree."""
    return np.shape(right) == np.shape(yours) and bool(close(right, yours).all())


def difference(right: Any, yours: Any) -> Difference | None:
    """The first wrong number of an array of the right shape; None if there is none."""
    wrong = ~close(right, yours)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    a, b = np.asarray(right), np.asarray(yours)
    return Difference(index, float(a[index]), float(b[index]), int(wrong.sum()), wrong.size)


def side_by_side(name: str, right: Array, yours: Array, index: tuple[int, ...]) -> list[str]:
    """The slice over the last two axes in which a wrong number lies; wrong ones with a mark. Nothing if it is large."""
    if right.ndim == 0 or right.size < 2:
        return []
    rank = min(right.ndim, 2)
    at = index[: right.ndim - rank]
    a, b = np.atleast_2d(right[at]), np.atleast_2d(yours[at])
    if max(a.shape) > MOST:
        return []
    marks = ~close(right, yours)[at].reshape(a.shape)
    title = f"{name}[{', '.join([*map(str, at), *[':'] * rank])}]" if at else name
    count = next((n for n in (4, 5, 6, 7) if _told_apart(a[marks], b[marks], n)), 8)
    left, wrong = _grid(a, np.zeros_like(marks), count), _grid(b, marks, count)
    width = max(map(len, [*left, "right"]))
    lines = [f"{'right'.ljust(width)}    yours, * where wrong"]
    return [title, *lines, *(f"{x.ljust(width)}    {y}" for x, y in zip(left, wrong, strict=True))]


def _told_apart(a: Array, b: Array, count: int) -> bool:
    """Whether so many digits show that the numbers are different."""
    return all(f"{x:.{count}g}" != f"{y:.{count}g}" for x, y in zip(a, b, strict=True))


def _grid(a: Array, marks: Array, count: int) -> list[str]:
    """Rows of numbers with so many digits, below each other."""
    texts = [
        [f"{v + 0.0:.{count}g}" + ("*" if mark else " ") for v, mark in zip(*row, strict=True)]
        for row in zip(a, marks, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [" ".join(t.rjust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in texts]
