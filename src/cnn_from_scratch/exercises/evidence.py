"""Why a result is wrong: with what it was called, the right numbers beside it, their arithmetic, the likely mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .compare import difference, same, side_by_side
from .exercise import Exercise, Mistake
from .faults import fault, listed, output_in_question
from .likely import Trial, fits_everywhere, likely_mistakes, mistakes_of_shape, outputs_of
from .outcome import call, said_place
from .relations import relation
from .verdict import Section, Verdict

LARGE = 40
"""Arguments with more numbers are not written out."""


def explained(
    exercise: Exercise, function: Callable[..., Any], trials: list[Trial], first: int, verdict: Verdict, file: str
) -> Verdict:
    """The verdict with its evidence."""
    trial, output = trials[first], output_in_question(exercise, trials[first])
    sections = [_said_arguments(exercise, trial, first)]
    if trial.outcome.error is not None:
        sections.append(Section("Where", tuple(said_place(trial.outcome.error, file)) or _said_call(trial)))
    elif output is not None:
        sections += _evidence(exercise, trial, output)
    mistakes, likely = _likely(exercise, trials, first, output)
    seen = _resemblance(exercise, trial, output) if output is not None else []
    if "rng" in trial.rung.arguments and output is not None and not _repeats(exercise, function, trial):
        seen.append(
            f"{exercise.name} gives another result in each run: it takes random numbers from elsewhere than rng"
        )
    elif first and not mistakes:
        seen.append(f"the rungs before this one are right, so look at what is new here: {trial.rung.says}")
    sections += [Section("Likely", likely), Section("Seen", tuple(seen))]
    return replace(
        verdict,
        headline=fault(exercise, trial),
        sections=tuple(section for section in sections if section.lines),
        mistakes=tuple(mistake.name for mistake in mistakes),
    )


def _likely(
    exercise: Exercise, trials: list[Trial], first: int, output: int | None
) -> tuple[list[Mistake], tuple[str, ...]]:
    """The classic mistakes that it may be, and how that is said."""
    trial = trials[first]
    arithmetic = isinstance(trial.outcome.error, ValueError | IndexError | ZeroDivisionError)
    if output is None and not arithmetic:
        return [], ()
    mistakes = likely_mistakes(exercise, trials, first, output or 0)
    if mistakes and fits_everywhere(exercise, mistakes[0], trials, output or 0):
        return mistakes, _said_mistakes("This is what comes out when", mistakes)
    if mistakes:
        said = _said_mistakes("On this rung, this is what comes out when", mistakes)
        return mistakes, (*said, "It does not fit to other rungs: something else is wrong, too.")
    if output is not None and (mistakes := mistakes_of_shape(exercise, trial, output)):
        return mistakes, _said_mistakes("This shape comes out when", mistakes)
    return [], ()


def _repeats(exercise: Exercise, function: Callable[..., Any], trial: Trial) -> bool:
    """Whether more calls give the same."""
    first = outputs_of(exercise, trial.outcome.returned)
    for _ in range(3):
        again = call(function, trial.rung.arguments)
        if again.error is not None or not all(map(same, first, outputs_of(exercise, again.returned))):
            return False
    return True


def _said_call(trial: Trial) -> tuple[str, ...]:
    """How it is called, where the error is that it cannot be called so."""
    return (f"it is called by these names: {', '.join(trial.rung.arguments)}",)


def _evidence(exercise: Exercise, trial: Trial, output: int) -> list[Section]:
    """Right and yours side by side, and how the right number comes about."""
    name, right = exercise.outputs[output], np.asarray(trial.right[output])
    yours = np.asarray(outputs_of(exercise, trial.outcome.returned)[output])
    if right.shape != yours.shape:
        both = {"right": right, "yours": yours}
        lines = [f"{who} {a.shape} = {_written(a)}" for who, a in both.items() if a.size <= LARGE]
        return [Section("Side by side", tuple(lines))]
    found = difference(right, yours)
    assert found is not None
    place = f"{name}[{', '.join(map(str, found.index))}]" if found.index else name
    return [
        Section("Side by side", tuple(side_by_side(name, right, yours, found.index))),
        Section(f"How {place} comes about", tuple(exercise.terms(trial.rung.arguments, name, found.index))),
    ]


def _resemblance(exercise: Exercise, trial: Trial, output: int) -> list[str]:
    yours = outputs_of(exercise, trial.outcome.returned)
    seen = relation(trial.right[output], yours[output])
    lines = [f"{exercise.outputs[output]}: {seen}"] if seen else []
    if len(trial.outcome.changed):
        lines.append(f"besides, {listed(trial.outcome.changed)} changed: what is lent is not written")
    return lines


def _said_mistakes(begin: str, mistakes: Sequence[Mistake]) -> tuple[str, ...]:
    if len(mistakes) == 1:
        return (f"{begin} {mistakes[0].says}.",)
    return (f"{begin} (one of these):", *(f"- {mistake.says}." for mistake in mistakes))


def _said_arguments(exercise: Exercise, trial: Trial, rung: int) -> Section:
    """With what it was called; small arrays in full."""
    lines = []
    for name, value in trial.rung.arguments.items():
        if isinstance(value, np.ndarray):
            head = f"{name} {value.shape} {value.dtype}"
            lines.append(head + (f" = {_written(value)}" if value.size <= LARGE else ""))
        elif not callable(value) and not isinstance(value, np.random.Generator):
            lines.append(f"{name} = {value!r}")
    lines.append(
        f'to try by hand: from cnn_from_scratch.exercises import arguments; arguments("{exercise.name}", {rung})'
    )
    return Section(f"Rung {rung + 1}, {trial.rung.says}, with", tuple(lines))


def _written(value: Any) -> str:
    """An array in one line."""
    return " ".join(np.array2string(value, separator=",", precision=4).split())
