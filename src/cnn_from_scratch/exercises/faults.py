"""What is wrong with one result, in a sentence: an error, its kind, shape, numbers, dtype, or a changed argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .compare import Difference, difference
from .exercise import Exercise
from .likely import Trial, outputs_of
from .outcome import Outcome, innermost


def fault(exercise: Exercise, trial: Trial) -> str:
    """The first thing that is wrong on a rung, in one sentence; "" if nothing is."""
    outcome = trial.outcome
    if outcome.error is not None:
        return _said_error(exercise, outcome.error)
    yours = outputs_of(exercise, outcome.returned)
    if problem := kinds(exercise, outcome.returned) or _shapes(exercise, trial.right, yours):
        return problem
    found = first_difference(exercise, trial, yours)
    if found is not None:
        return found[1].said(exercise.outputs[found[0]])
    return _dtypes(exercise, trial.right, yours) or _changes(outcome)


def _said_error(exercise: Exercise, error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        name = innermost(error)
        part = "raises NotImplementedError: a part of it" if name == exercise.name else f"uses {name}, which"
        return f"{exercise.name} {part} is not written yet"
    if isinstance(error, SystemExit):
        return f"{exercise.name} leaves the program (exit): it should return"
    text = str(error).strip().partition("\n")[0]
    return f"{exercise.name} stops with {type(error).__name__}" + (f": {text}" if text else "")


def kinds(exercise: Exercise, returned: Any) -> str:
    """Whether it is as many arrays as there should be."""
    names, wanted = ", ".join(exercise.outputs), len(exercise.outputs)
    if returned is None:
        return f"{exercise.name} returns None: is `return {names}` missing?"
    yours = outputs_of(exercise, returned)
    if wanted > 1 and (not isinstance(returned, tuple | list) or len(yours) != wanted):
        got = f"{len(yours)} things" if isinstance(returned, tuple | list) else f"one {type(returned).__name__}"
        return f"{exercise.name} returns {got}: it should return {wanted}, {names}"
    for name, value in zip(exercise.outputs, yours, strict=True):
        number = isinstance(value, float | int) and name == "loss"
        if not isinstance(value, np.ndarray | np.generic) and not number:
            hint = f": np.array({name}) makes one of it" if isinstance(value, list | tuple) else ""
            return f"{name} is a {type(value).__name__}, not a NumPy array{hint}"
        if np.asarray(value).dtype.kind not in "fiu":
            return f"{name} is an array of {np.asarray(value).dtype}: it should hold real numbers"
    return ""


def _shapes(exercise: Exercise, right: Any, yours: Any) -> str:
    for i in exercise.order:
        if np.shape(right[i]) != np.shape(yours[i]):
            return f"{exercise.outputs[i]} should have the shape {np.shape(right[i])} and has {np.shape(yours[i])}"
    return ""


def first_difference(exercise: Exercise, trial: Trial, yours: Any) -> tuple[int, Difference] | None:
    """Which output, and where; None if all numbers are right."""
    for i in exercise.order:
        if (found := difference(trial.right[i], yours[i])) is not None:
            return i, found
    return None


def _dtypes(exercise: Exercise, right: Any, yours: Any) -> str:
    for name, a, b in zip(exercise.outputs, right, yours, strict=True):
        dtype = np.asarray(a).dtype
        if np.ndim(a) and np.asarray(b).dtype != dtype:
            return (
                f"{name} is {np.asarray(b).dtype} where the input is {dtype}: the numbers are right, the dtype is not "
                f"(np.zeros makes float64; np.zeros(shape, x.dtype) does not)"
            )
    return ""


def _changes(outcome: Outcome) -> str:
    if not outcome.changed:
        return ""
    names = listed(outcome.changed)
    return (
        f"the numbers are right, but {names} {'was' if len(outcome.changed) == 1 else 'were'} changed: what is lent is "
        f"not written (a += b writes into a; a = a + b makes a new array)"
    )


def output_in_question(exercise: Exercise, trial: Trial) -> int | None:
    """The first output whose shape or numbers are wrong; None where that is not the matter."""
    if trial.outcome.error is not None or kinds(exercise, trial.outcome.returned):
        return None
    yours = outputs_of(exercise, trial.outcome.returned)
    for i in exercise.order:
        if np.shape(trial.right[i]) != np.shape(yours[i]):
            return i
    found = first_difference(exercise, trial, yours)
    return None if found is None else found[0]


def listed(names: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
