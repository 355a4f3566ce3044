"""The ladder: a function is called rung by rung, and judged by the first that fails."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from .evidence import explained
from .exercise import Exercise, Rung
from .faults import fault
from .likely import Trial, outputs_of
from .outcome import Outcome, Watch, call, where
from .verdict import Section, Verdict


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
    faults = [fault(exercise, trial) for trial in trials]
    says, passed = tuple(rung.says for rung in rungs), tuple(not fault for fault in faults)
    if all(passed):
        return Verdict(exercise.name, "right", says, passed)
    first = passed.index(False)
    if first == 0 and _not_begun(exercise, trials[0].outcome, file):
        return not_begun(exercise)
    return explained(exercise, function, trials, first, Verdict(exercise.name, "wrong", says, passed), file)


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
