"""Check a learner's file or function; write the files that a learner begins with."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .child import PLACE, RUNG, VERDICT
from .exercise import Exercise
from .grade import grade, not_begun
from .registry import EXERCISES, find_exercise
from .verdict import Section, Verdict

SECONDS = 10.0
"""How long one call may take; the library's own take milliseconds."""
START = "import sys; sys.path.append(sys.argv.pop(1)); from cnn_from_scratch.exercises.child import main; main()"


def check_function(name: str, function: Callable[..., Any]) -> Verdict:
    """Judge a function, here and now, without a time limit.

    Parameters
    ----------
    name : str
        Of the exercise.
    function : callable
        With the signature of the exercise's stub.

    Returns
    -------
    Verdict
        True if it is right; print it to see what is wrong.

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> from cnn_from_scratch.ops import conv_forward
    >>> def without_bias(x, weight, bias, stride=1, padding=0):
    ...     return conv_forward(x, weight, stride=stride, padding=padding)[0]
    >>> verdict = check_function("conv_forward", without_bias)
    >>> bool(verdict), verdict.mistakes
    (False, ('bias-forgotten',))
    >>> print(verdict.headline)
    y[0, 0, 0, 0] should be -22 and is -32; all numbers are wrong
    """
    try:
        file = inspect.getfile(function)
    except TypeError:  # built-in, or a partial
        file = ""
    return grade(find_exercise(name), function, file=file)


def check_file(name: str, folder: str | os.PathLike[str] = "exercises", *, seconds: float = SECONDS) -> Verdict:
    """Judge ``FOLDER/NAME.py`` in a process of its own, which is ended if a call takes too long.

    The file is run, as ``python NAME.py`` would run it, with all that you may do: check only what you would run.

    Parameters
    ----------
    name : str
        Of the exercise.
    folder : path
        Where the learner's files are.
    seconds : float
        How long each call may take.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If there is no such exercise, or seconds is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"check_file: seconds must be positive, got {seconds!r}")
    exercise, file = find_exercise(name), Path(folder).absolute() / f"{name}.py"
    if not file.is_file():
        return _missing(exercise, file)
    if file.read_text(encoding="utf-8", errors="replace") == exercise.stub:
        return not_begun(exercise)
    with tempfile.TemporaryDirectory() as report:
        ended = _run(exercise, file, Path(report), seconds)
        written = Path(report) / VERDICT
        if written.is_file():
            return Verdict.from_json(written.read_text(encoding="utf-8"))
        return _not_back(exercise, file, Path(report), seconds, ended)


def write_stubs(folder: str | os.PathLike[str], names: Iterable[str] = ()) -> list[Path]:
    """Copy the files that a learner begins with; those that are there already stay as they are.

    Parameters
    ----------
    folder : path
        Made if missing.
    names : sequence of str
        Of exercises; all if not given.

    Returns
    -------
    list of Path
        What was written.
    """
    wanted = [find_exercise(name) for name in names] or list(EXERCISES.values())
    Path(folder).mkdir(parents=True, exist_ok=True)
    written = []
    for exercise in wanted:
        path = Path(folder) / f"{exercise.name}.py"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(exercise.stub)
        except FileExistsError:
            continue
        written.append(path)
    return written


# --- the process ----------------------------------------------------------------------------------------------------


def _run(exercise: Exercise, file: Path, report: Path, seconds: float) -> int | None:
    """Its exit status; None if it had to be ended from outside."""
    package = str(Path(__file__).parents[2])
    command = [sys.executable, "-P", "-B", "-c", START, package, exercise.name, str(file), str(report), str(seconds)]
    whole = 60 + seconds * (2 + len(exercise.rungs()))
    with (report / "errors").open("wb") as errors:
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=whole,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def _missing(exercise: Exercise, file: Path) -> Verdict:
    begin = Section("How to begin", ("cnn check --new writes the files that are missing",))
    says = tuple(rung.says for rung in exercise.rungs())
    return Verdict(exercise.name, "missing", says, (), f"there is no {file.name} in {file.parent}", (begin,))


def _not_back(exercise: Exercise, file: Path, report: Path, seconds: float, ended: int | None) -> Verdict:
    """Why there is no verdict: it took too long, or the process has died."""
    says = tuple(rung.says for rung in exercise.rungs())
    rung = int((report / RUNG).read_text(encoding="utf-8")) if (report / RUNG).is_file() else -1
    place = (report / PLACE).read_text(encoding="utf-8", errors="replace") if (report / PLACE).is_file() else ""
    called = f"rung {rung + 1}, {says[rung]}" if rung >= 0 else "the file is loaded"
    if "Timeout" in place or ended is None:
        headline = f"{exercise.name} does not come back: {seconds:g} s have passed; called for {called}"
        sections: tuple[Section, ...] = (
            Section("Where", tuple(_lines_of(file, place))),
            Section("Likely", ("a loop that never ends: does the condition of a `while` change inside of it?",)),
        )
    else:
        headline = f"the process ended by itself, with status {ended}; called for {called}"
        errors = (report / "errors").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        sections = (Section("Its last words", tuple(errors[-3:])),)
    return Verdict(exercise.name, "broken", says, (), headline, tuple(s for s in sections if s.lines))


def _lines_of(file: Path, place: str) -> list[str]:
    """Where in the learner's file it was, innermost first."""
    found = re.findall(r'File "(.*)", line (\d+) in', place)
    numbers = [int(number) for name, number in found if Path(name).name == file.name][:1]
    source = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"{file.name}, line {n}: {source[n - 1].strip()}" for n in numbers if n <= len(source)]
