"""The learner's file as a module, and the function that it should hold."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import CnnError
from .exercise import Exercise
from .outcome import said_place
from .verdict import Section, Verdict


class NotLoadedError(CnnError):
    """A learner's file that cannot be used; the verdict says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.headline)
        self.verdict = verdict


def load_function(exercise: Exercise, file: Path) -> Callable[..., Any]:
    """Run the file, as an import does; those beside it can be imported from it.

    Raises
    ------
    NotLoadedError
        If it cannot be run, or has no such function.
    """
    spec = importlib.util.spec_from_file_location(exercise.name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.append(str(file.parent))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        raise NotLoadedError(_broken(exercise, f"{file.name} is not Python yet: {error.msg}", _at(error))) from error
    except BaseException as error:  # SystemExit, too
        text = f"{file.name} stops with {type(error).__name__} before the function is called: {error}"
        raise NotLoadedError(_broken(exercise, text, said_place(error, str(file)))) from error
    function = getattr(module, exercise.name, None)
    if not callable(function):
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == exercise.name]
        holds = f"it has {', '.join(own)}" if own else "it has none"
        raise NotLoadedError(_broken(exercise, f"{file.name} has no function {exercise.name}; {holds}", []))
    found: Callable[..., Any] = function
    return found


def _broken(exercise: Exercise, headline: str, lines: list[str]) -> Verdict:
    says = tuple(rung.says for rung in exercise.rungs())
    sections = (Section("Where", tuple(lines)),) if lines else ()
    return Verdict(exercise.name, "broken", says, (), headline, sections)


def _at(error: SyntaxError) -> list[str]:
    """The line, with a sign below the place."""
    lines = [f"{Path(error.filename or '').name}, line {error.lineno}:"]
    if error.text is not None and error.offset is not None:
        text = error.text.rstrip("\n")
        lines += [text, " " * max(error.offset - 1, 0) + "^"]
    return lines
