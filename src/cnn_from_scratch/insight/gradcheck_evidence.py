"""What is known about one gradient: the numbers that backward gave, and the slopes that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..typing import Array
from .gradcheck_problem import Problem
from .gradcheck_slopes import Slope

NEAR = 1e-4
"""Two lists of numbers are the same if they differ by so much of the largest."""

FLOOR = 1e-2
"""An element so much smaller than the rest need only be right in relation to this part of the rest."""


def misfit(analytic: Any, numeric: Any, noise: Any, scale: Any, rtol: float) -> Any:
    """|analytic - numeric| in relation to the larger of them, to `scale`, and to what rounding explains."""
    allowed = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), scale) + np.asarray(noise) / rtol
    with np.errstate(invalid="ignore"):
        error = np.abs(np.subtract(analytic, numeric)) / np.maximum(allowed, np.finfo(np.float64).tiny)
    return np.where(np.isfinite(analytic), error, np.inf)


class Evidence:
    """What is known about one array: the gradient that backward gave, and slopes at some of its elements."""

    def __init__(
        self,
        problem: Problem,
        name: str,
        slopes: Mapping[int, Slope],
        gradients: Mapping[str, Array | None],
        output: Array,
        rtol: float,
    ) -> None:
        given = gradients.get(name)
        self.name, self.value, self.batch, self.rtol = name, problem.values[name], problem.batch, rtol
        self.gradient = None if given is None else np.asarray(given)
        self.others = {key: other for key, other in gradients.items() if key != name}
        self.output_shape = output.shape
        self.places = np.array(sorted(slopes), np.int64)
        self.parts = [slopes[i].parts for i in self.places]
        self.numeric = np.array([slopes[i].value for i in self.places], np.float64)
        self.noise = np.array([slopes[i].noise for i in self.places], np.float64)
        self.fits = self.gradient is not None and self.gradient.shape == self.value.shape
        nothing = 0.0 if given is None else np.nan  # no gradient stands for 0, one of another shape for none
        self.analytic = self.at(self.gradient) if self.fits else np.full(len(self.places), nothing)

    def at(self, array: Any) -> Array:
        """An array's numbers where slopes were measured."""
        return np.asarray(array, np.float64).reshape(-1)[self.places]

    @cached_property
    def errors(self) -> Array:
        """Relative, one for each slope."""
        scale = FLOOR * float(np.sqrt((self.numeric**2).mean())) if len(self.numeric) else 0.0
        found: Array = misfit(self.analytic, self.numeric, self.noise, scale, self.rtol)
        return found

    @property
    def wrong(self) -> Array:
        """Which slopes are not what backward says."""
        return ~(self.errors <= self.rtol)

    def matches(self, candidate: Array) -> bool:
        """Whether these numbers are what backward says, and are not all 0."""
        size = float(np.abs(candidate).max(initial=0.0))
        return size > 0 and bool((np.abs(self.analytic - candidate) <= NEAR * size + self.noise).all())

    def explains(self, gradient: Array) -> bool:
        """Whether this gradient, in the place of the one that backward gave, would have been right."""
        if gradient.shape != self.value.shape or not self.numeric.any():
            return False
        size = float(np.abs(self.numeric).max())
        return bool((np.abs(self.at(gradient) - self.numeric) <= NEAR * size + self.noise).all())
