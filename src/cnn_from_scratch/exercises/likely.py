"""Which classic mistake makes these numbers: each is made on the same input, and its result compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .compare import same
from .exercise import Exercise, Mistake, Rung
from .outcome import Outcome, call

MOST = 3
"""So many are named at once."""


class Trial(NamedTuple):
    """A rung, what is right there, and what the learner's function made of it."""

    rung: Rung
    right: Sequence[Any]
    outcome: Outcome


def likely_mistakes(exercise: Exercise, trials: Sequence[Trial], first: int, output: int) -> list[Mistake]:
    """Those that make the learner's numbers on the first rung that fails, if there are any.

    Where several do, those that also make them on most of the other rungs.
    """
    found = [m for m in exercise.mistakes if _makes(exercise, m, trials[first], output)]
    if len(found) < 2:
        return found
    scores = [sum(_makes(exercise, m, trial, output, strict=False) for trial in trials) for m in found]
    best = [m for m, score in zip(found, scores, strict=True) if score == max(scores)]
    return list({m.says: m for m in best}.values())[:MOST]


def fits_everywhere(exercise: Exercise, mistake: Mistake, trials: Sequence[Trial], output: int) -> bool:
    """Whether the mistake makes what the learner got on every rung, and so is all that is wrong with this output."""
    return all(_makes(exercise, mistake, trial, output, strict=False) for trial in trials)


def mistakes_of_shape(exercise: Exercise, trial: Trial, output: int) -> list[Mistake]:
    """Those that make an array of the learner's shape, where that is wrong."""
    shape = np.shape(outputs_of(exercise, trial.outcome.returned)[output])
    if shape == np.shape(trial.right[output]):
        return []
    made = [(m, call(m.function, trial.rung.arguments)) for m in exercise.mistakes]
    found = [
        m
        for m, outcome in made
        if outcome.error is None and np.shape(outputs_of(exercise, outcome.returned)[output]) == shape
    ]
    return list({m.says: m for m in found}.values())[:MOST]


def _makes(exercise: Exercise, mistake: Mistake, trial: Trial, output: int, *, strict: bool = True) -> bool:
    """Whether the mistake gives what the learner got; strict: and something else than the right numbers."""
    made = call(mistake.function, trial.rung.arguments)
    theirs = trial.outcome
    if made.error is not None or theirs.error is not None:
        alike = type(made.error) is type(theirs.error)
        return alike and (not strict or str(made.error) == str(theirs.error))
    wrong, yours = outputs_of(exercise, made.returned)[output], outputs_of(exercise, theirs.returned)
    if len(yours) != len(exercise.outputs) or not _is_number(yours[output]):
        return False
    return same(wrong, yours[output]) and not (strict and same(trial.right[output], wrong))


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | float | int) and np.asarray(value).dtype.kind in "fiu"


def outputs_of(exercise: Exercise, returned: Any) -> tuple[Any, ...]:
    """What was returned, as a tuple with an entry for each output."""
    if len(exercise.outputs) == 1:
        return (returned,)
    return tuple(returned) if isinstance(returned, tuple | list) else (returned,)
