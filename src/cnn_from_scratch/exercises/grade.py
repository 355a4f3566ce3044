"""The ladder: a function is called rung by rung, and its first wrong number is explained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .compare import Difference, difference, same, side_by_side
from .exercise import Exercise, Mistake, Rung
from .likely import Trial, fits_everywhere, likely_mistakes, mistakes_of_shape, outputs_of
from .outcome import Outcome, Watch, call, innermost, said_place, where
from .relations import relation
from .verdict import Section, Verdict

LARGE = 40
"""Arguments with more numbers are not written out."""


def grade(
    exercise: Exercise,
    function: Callable[..., Any],
    *,
    watch: Callable[[int], Watch] = lambda rung: nullcontext,
    file: str = "",
) -> Verdict:
    """Call a learner's function on every rung of the ladder, and judge it by the first that fails."""
    rungs = exercise.rungs()
    trials = []
    for i, rung in enumerate(rungs):
        right = outputs_of(exercise, exercise.answer(**_fresh(rung)))
        trials.append(Trial(rung, right, call(function, rung.arguments, watch(i))))
        if i == 0 and _not_begun(exercise, trials[0].outcome, file):
            break
    faults = [_fault(exercise, trial) for trial in trials]
    says, passed = tuple(rung.says for rung in rungs), tuple(not fault for fault in faults)
    if all(passed):
        return Verdict(exercise.name, "right", says, passed)
    first = passed.index(False)
    if _not_begun(exercise, trials[first].outcome, file):
        return not_begun(exercise)
    return _explained(exercise, function, trials, first, Verdict(exercise.name, "wrong", says, passed), file)


def not_begun(exercise: Exercise) -> Verdict:
    """The verdict on a stub."""
    begin = Section("How to begin", (f"{exercise.name} is yours to write: {exercise.start}.",))
    says = tuple(rung.says for rung in exercise.rungs())
    return Verdict(exercise.name, "not begun", says, (), f"{exercise.name} is not written yet", (begin,))


def _fresh(rung: Rung) -> dict[str, Any]:
    """The arguments, with a generator of their own."""
    return copy.deepcopy(rung.arguments)


def _not_begun(exercise: Exercise, outcome: Outcome, file: str) -> bool:
    """Whether the stub's own line was reached."""
    place = where(outcome.error, file) if isinstance(outcome.error, NotImplementedError) else None
    return place is not None and place[0].f_code.co_name == exercise.name


# --- what is wrong --------------------------------------------------------------------------------------------------


def _fault(exercise: Exercise, trial: Trial) -> str:
    """The first thing that is wrong on a rung, in one sentence; "" if nothing is."""
    outcome = trial.outcome
    if outcome.error is not None:
        return _said_error(exercise, outcome.error)
    yours = outputs_of(exercise, outcome.returned)
    if problem := _kinds(exercise, outcome.returned) or _shapes(exercise, trial.right, yours):
        return problem
    found = _first_difference(exercise, trial, yours)
    if found is not None:
        return found[1].said(exercise.outputs[found[0]])
    return _dtypes(exercise, trial.right, yours) or _changes(outcome)


def _said_error(exercise: Exercise, error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return f"{exercise.name} uses {innermost(error)}, which is not written yet"
    if isinstance(error, SystemExit):
        return f"{exercise.name} leaves the program (exit): it should return"
    text = str(error).strip().partition("\n")[0]
    return f"{exercise.name} stops with {type(error).__name__}" + (f": {text}" if text else "")


def _kinds(exercise: Exercise, returned: Any) -> str:
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


def _first_difference(exercise: Exercise, trial: Trial, yours: Any) -> tuple[int, Difference] | None:
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
    names = _listed(outcome.changed)
    return (
        f"the numbers are right, but {names} {'was' if len(outcome.changed) == 1 else 'were'} changed: what is lent is "
        f"not written (a += b writes into a; a = a + b makes a new array)"
    )


# --- why ------------------------------------------------------------------------------------------------------------


def _explained(
    exercise: Exercise, function: Callable[..., Any], trials: list[Trial], first: int, verdict: Verdict, file: str
) -> Verdict:
    """The verdict with its evidence."""
    trial = trials[first]
    headline = _fault(exercise, trial)
    sections = [_said_arguments(exercise, trial, first)]
    output = _output_in_question(exercise, trial)
    if trial.outcome.error is not None:
        sections.append(Section("Where", tuple(said_place(trial.outcome.error, file)) or _said_call(trial)))
    elif output is not None:
        sections += _evidence(exercise, trial, output)
    mistakes = likely_mistakes(exercise, trials, first, output or 0) if _numbers_matter(exercise, trial, output) else []
    if mistakes:
        everywhere = fits_everywhere(exercise, mistakes[0], trials, output or 0)
        begin = "This is what comes out when" if everywhere else "On this rung, this is what comes out when"
        besides = () if everywhere else ("It does not fit to other rungs: something else is wrong, too.",)
        sections.append(Section("Likely", (*_said_mistakes(begin, mistakes), *besides)))
    elif output is not None and (mistakes := mistakes_of_shape(exercise, trial, output)):
        sections.append(Section("Likely", _said_mistakes("This shape comes out when", mistakes)))
    seen = _resemblance(exercise, trial, output) if output is not None else []
    if "rng" in trial.rung.arguments and output is not None and not _repeats(exercise, function, trial):
        seen.append(
            f"{exercise.name} gives another result in each run: it takes random numbers from elsewhere than rng"
        )
    elif first and not mistakes:
        seen.append(f"the rungs before this one are right, so look at what is new here: {trial.rung.says}")
    sections.append(Section("Seen", tuple(seen)))
    return Verdict(
        verdict.name,
        "wrong",
        verdict.rungs,
        verdict.passed,
        headline,
        tuple(s for s in sections if s.lines),
        tuple(m.name for m in mistakes),
    )


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


def _numbers_matter(exercise: Exercise, trial: Trial, output: int | None) -> bool:
    """Whether there is a result, or an error of the arithmetic, that a mistake could have made."""
    return output is not None or isinstance(trial.outcome.error, ValueError | IndexError | ZeroDivisionError)


def _output_in_question(exercise: Exercise, trial: Trial) -> int | None:
    """The first output whose shape or numbers are wrong; None where that is not the matter."""
    if trial.outcome.error is not None or _kinds(exercise, trial.outcome.returned):
        return None
    yours = outputs_of(exercise, trial.outcome.returned)
    for i in exercise.order:
        if np.shape(trial.right[i]) != np.shape(yours[i]):
            return i
    found = _first_difference(exercise, trial, yours)
    return None if found is None else found[0]


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
        lines.append(f"besides, {_listed(trial.outcome.changed)} changed: what is lent is not written")
    return lines


def _listed(names: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


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
