"""The comparison itself, array by array: elements one by one, then all of them along random directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..randomness import derive
from ..typing import Array
from .gradcheck_causes import likely_cause
from .gradcheck_evidence import Evidence, misfit
from .gradcheck_problem import Problem
from .gradcheck_result import ArrayCheck, GradCheck
from .gradcheck_slopes import SMALLER, Line, Slope, find_element, measure, measured_noise


class Rules(NamedTuple):
    """How closely one looks; see `gradcheck`."""

    elements: int
    directions: int
    step: float
    rtol: float
    seed: int


def check_problem(problem: Problem, names: Sequence[str], rules: Rules) -> GradCheck:
    """Compare the gradients of these arrays; first see whether anything is written that is borrowed."""
    before = {name: value.copy() for name, value in problem.values.items()}
    y, cache = problem.run()
    dy = np.ones_like(y) if problem.ends_in_loss else derive(rules.seed, "gradcheck dy").standard_normal(y.shape)
    given = dy.copy()
    gradients = {key: None if grad is None else np.array(grad) for key, grad in problem.backward(given, cache).items()}
    remarks = (
        [] if _same(given, dy) else ["backward writes into dy, which is borrowed: another branch may need it, too"]
    )
    again = problem.backward(dy.copy(), cache)
    if not all(_same(gradients[key], again[key]) for key in gradients):
        remarks.append(
            "a second backward pass gives other gradients: the first one writes into the cache, or into self"
        )
    if written := [name for name, value in problem.values.items() if not _same(value, before[name])]:
        cause = f"not compared, for forward or backward writes into {', '.join(map(repr, written))}, which is borrowed"
        return GradCheck(
            problem.name, {name: _not_compared(name, before[name], cause) for name in names}, None, remarks
        )
    arrays = {name: _Look(problem, name, gradients, y, dy, rules).check() for name in names}
    return GradCheck(problem.name, arrays, None, remarks)


def _same(a: Array | None, b: Array | None) -> bool:
    """Number by number; NaN is the same as NaN."""
    return a is b if a is None or b is None else np.array_equal(a, b, equal_nan=True)


def _not_compared(name: str, value: Array, cause: str) -> ArrayCheck:
    nan = float("nan")
    return ArrayCheck(name, value.shape, 0, 0, 0, 0, None, nan, nan, 0.0, cause)


class _Look:
    """One array, its gradient, and the slopes that were measured."""

    def __init__(
        self, problem: Problem, name: str, gradients: dict[str, Array | None], y: Array, dy: Array, rules: Rules
    ) -> None:
        self.problem, self.name, self.gradients = problem, name, gradients
        self.y, self.dy, self.rules = y, dy, rules
        self.value = problem.values[name]
        given = gradients.get(name)
        fits = given is not None and np.shape(given) == self.value.shape
        self.gradient = np.asarray(given, np.float64) if fits else None
        self.slopes: dict[int, Slope] = {}

    def check(self) -> ArrayCheck:
        """Everything that is known about the array afterwards."""
        rng = derive(self.rules.seed, "gradcheck", key=self.name)
        for place in self._sample(rng):
            self._measure(place)
        compared, found = self._along_directions(rng)
        if found is not None:
            self._measure(found)
        straight = {place: slope for place, slope in self.slopes.items() if not slope.kink}
        evidence = Evidence(self.problem, self.name, straight, self.gradients, self.y, self.rules.rtol)
        undecided = bool(self.slopes) and not straight and not compared
        cause = likely_cause(evidence, undecided=undecided, direction=found is not None)
        return self._report(evidence, compared, cause)

    def _sample(self, rng: np.random.Generator) -> list[int]:
        """All elements, or so many."""
        size, most = self.value.size, self.rules.elements
        return list(range(size)) if size <= most else sorted(rng.choice(size, most, replace=False).tolist())

    def _step(self, place: int) -> float:
        return self.rules.step * max(1.0, abs(float(self.value.flat[place])))

    def _measure(self, place: int) -> None:
        """The slope at one element. Kinks that cancel out leave no bend: where it is wrong, masks are compared, too."""
        line, step = Line(self.problem, self.name, place), self._step(place)
        slope = measure(line, self.y, self.dy, step)
        if self.gradient is not None:
            slope, wrong = self._compare(line, slope, float(self.gradient.flat[place]), 0.0, step)
            if wrong:
                slope = slope._replace(kink=line.crosses(step * SMALLER[-1]))
        self.slopes[place] = slope

    def _compare(self, line: Line, slope: Slope, analytic: float, size: float, step: float) -> tuple[Slope, bool]:
        """The slope, its noise measured where that matters, and whether backward says something else."""
        for look in range(2):
            noise = (
                measured_noise(line, self.y, self.dy, step * SMALLER[-1]) if look and not slope.kink else slope.noise
            )
            slope = slope._replace(noise=max(slope.noise, noise))
            error = float(misfit(analytic, slope.value, slope.noise, size, self.rules.rtol))
            if slope.kink or error <= self.rules.rtol:
                return slope, False
        return slope, True

    def _along_directions(self, rng: np.random.Generator) -> tuple[int, int | None]:
        """How many directions could be compared, and an element that is wrong where one of them is."""
        if self.gradient is None:
            return 0, None
        smooth = np.ones(self.value.shape)
        smooth.flat[[place for place, slope in self.slopes.items() if slope.kink]] = 0
        compared = 0
        for _ in range(self.rules.directions if smooth.any() else 0):
            v = rng.standard_normal(self.value.shape) * smooth
            wrong = self._differs(v)
            compared += wrong is not None
            if wrong:
                return compared, self._search(v)
        return compared, None

    def _differs(self, v: Array) -> bool | None:
        """Whether backward is wrong along v; None where that crosses a kink."""
        line, amounts = Line(self.problem, self.name, v), np.asarray(self.gradient) * v
        size = float(np.sqrt((amounts**2).sum()))
        slope = measure(line, self.y, self.dy, self.rules.step)
        slope, wrong = self._compare(line, slope, float(amounts.sum()), size, self.rules.step)
        return None if slope.kink else wrong

    def _search(self, v: Array) -> int | None:
        """An element that makes the direction wrong."""

        def part_differs(places: Array) -> bool:
            part = np.zeros(v.size)
            part[places] = v.flat[places]
            return bool(self._differs(part.reshape(v.shape)))

        return find_element(part_differs, v.size)

    def _report(self, evidence: Evidence, directions: int, cause: str) -> ArrayCheck:
        """Counts, and the element that is furthest off."""
        errors, shape, nan = evidence.errors, self.value.shape, float("nan")
        worst = int(errors.argmax()) if len(errors) else None
        place = None if worst is None else np.unravel_index(evidence.places[worst], shape)
        return ArrayCheck(
            name=self.name,
            shape=shape,
            checked=len(errors),
            skipped=len(self.slopes) - len(errors),
            failed=int(evidence.wrong.sum()),
            directions=directions,
            worst=None if place is None else tuple(int(i) for i in place),
            analytic=nan if worst is None or not evidence.fits else float(evidence.analytic[worst]),
            numeric=nan if worst is None else float(evidence.numeric[worst]),
            error=0.0 if worst is None else float(errors[worst]),
            cause=cause,
        )
