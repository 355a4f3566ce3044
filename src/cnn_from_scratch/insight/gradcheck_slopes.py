"""How fast the output changes as numbers are moved: central differences that notice when they straddle a kink.

At a kink (a ReLU at 0, a tie in a maximum) the slope to the right differs from the slope to the left, however small the
step. On a smooth curve their difference, h * f'', goes to 0 with the step. So a step that bends too much is made 8 and
64 times smaller: a kink beside x is left behind, curvature shrinks by 64, and what does not shrink is a kink at x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..typing import Array
from .gradcheck_problem import Problem, pattern

SMALLER = (1.0, 1 / 8, 1 / 64)
"""Steps that are tried, in units of the first."""

BENDS = 1e-4
"""Right and left slope may differ by so much of their size before a smaller step is tried."""

ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Of a value, that its last digits are taken to be wrong by."""


class Slope(NamedTuple):
    """The derivative of sum(y * dy) along one line."""

    value: float
    parts: Array  # what each element of y contributes, in the shape of y
    noise: float  # what rounding may have changed the value by
    kink: bool


class Line(NamedTuple):
    """One array of a problem and the direction in which it moves."""

    problem: Problem
    name: str
    direction: Array | int  # an array to add multiples of, or the place of one element

    def at(self, t: float) -> tuple[Array, object]:
        """y and cache where the array is moved by t; the array is put back."""
        array = self.problem.values[self.name]
        if isinstance(self.direction, int):
            before = array.flat[self.direction]
            array.flat[self.direction] = before + t
            try:
                return self.problem.run()
            finally:
                array.flat[self.direction] = before
        kept = array.copy()
        array += t * self.direction
        try:
            return self.problem.run()
        finally:
            array[...] = kept

    def crosses(self, h: float) -> bool:
        """Whether masks, indices and zeros differ between the two ends of a step."""
        left, right = (pattern(*self.at(t)) for t in (-h, h))
        return len(left) != len(right) or any(not np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def measure(line: Line, y: Array, dy: Array, step: float) -> Slope:
    """The slope along a line through the present values, where the output is `y`."""
    bends = []
    for smaller in SMALLER:
        h = step * smaller
        (above, _), (below, _) = line.at(h), line.at(-h)
        parts = (above - below) * dy / (2 * h)
        amounts = np.abs(y * dy)
        noise = ROUNDING * max(float(amounts[above != below].sum()), float(amounts.max(initial=0.0))) / h
        bends.append(float(np.abs((above - y + (below - y)) * dy).sum()) / h)
        slope = Slope(float(parts.sum()), parts, noise, kink=False)
        if bends[-1] <= BENDS * float(np.abs(parts).sum()) + noise:
            return slope
    return slope._replace(kink=bends[-1] > bends[0] / 8)


def measured_noise(line: Line, y: Array, dy: Array, step: float) -> float:
    """What rounding changes the slope by, measured: fourth differences of a smooth function are rounding alone.

    Numbers inside of a network may be much larger than its output, so the output's last digits do not tell. The step
    must cross no kink. Moré, Wild: Estimating computational noise (2011).
    """
    values = np.array([float(((line.at(k * step / 16)[0] - y) * dy).sum()) for k in range(-4, 5)])
    return 4 * float(np.abs(np.diff(values, 4)).max()) / math.sqrt(70) / step


def find_element(wrong: Callable[[Array], bool], size: int) -> int | None:
    """An element along which `wrong` holds, by halving a set along which it holds; None if it gets lost."""
    places = np.arange(size)
    while len(places) > 1:
        half = len(places) // 2
        places = next((part for part in (places[:half], places[half:]) if wrong(part)), places[:0])
    return int(places[0]) if len(places) else None
