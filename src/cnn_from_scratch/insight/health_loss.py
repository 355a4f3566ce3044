"""Whether the loss falls: a running mean of it against its beginning and its best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..training.callbacks import check_state
from .health_rules import Suspicion

WINDOW = 20
"""Steps that the running mean looks back, and that make the beginning."""

FALLEN = 0.98
"""By the end of an epoch, and after some steps, the loss should be below this part of where it began."""

AFTER = 100
"""Steps before a loss may be said not to fall."""


class LossWatch:
    """The loss of every step, smoothed; costs nothing.

    Examples
    --------
    >>> watch = LossWatch()
    >>> for loss in [2.3] * 150:
    ...     watch.add(loss)
    >>> [suspicion.rule for suspicion in watch.suspicions(lr=1e-9)]
    ['loss does not fall']
    """

    def __init__(self) -> None:
        self.steps = 0
        self.first, self.mean, self.best = 0.0, 0.0, float("inf")

    def add(self, loss: float) -> None:
        """Take in the loss of one more step."""
        self.steps += 1
        share = 1 / min(self.steps, WINDOW)
        self.mean += share * (loss - self.mean)
        if self.steps <= 3:
            self.first = self.mean
        if self.steps >= WINDOW:
            self.best = min(self.best, self.mean)

    def state_dict(self) -> dict[str, Any]:
        """Its few numbers, for a checkpoint."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        check_state("Health", state, {"steps": int, "first": float, "mean": float, "best": float})
        self.steps, self.first, self.mean, self.best = (state[name] for name in ("steps", "first", "mean", "best"))

    def suspicions(self, lr: float) -> Iterator[Suspicion]:
        """Higher than at the beginning; half of what was won is lost; or not a bit lower after many steps."""
        if self.steps < WINDOW:
            return
        won, mean = self.first - self.best, f"its mean over {WINDOW} steps is {self.mean:.4g}"
        advice = f"lower the learning rate, which is {lr:.3g}"
        if self.mean > 1.2 * abs(self.first) + 1e-6:
            yield Suspicion("loss rises", "", self.mean, f"{mean}; it began at {self.first:.4g}", advice, 1)
        elif won > 0.1 * abs(self.first) and self.mean > self.best + 0.5 * won:
            text = f"{mean}, it had been {self.best:.4g} and began at {self.first:.4g}"
            yield Suspicion("loss rises", "", self.mean, text, advice, 1)
        elif self.steps >= AFTER and self.best > FALLEN * self.first > 0:
            text = f"{mean}; it began at {self.first:.4g}"
            advice = f"try other learning rates (it is {lr:.3g}), and look at whether labels belong to their images"
            yield Suspicion("loss does not fall", "", self.mean, text, advice, 1)
