"""The process in which a learner's file runs: it may loop, crash or exit without taking the check along."""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from .grade import grade
from .loading import NotLoadedError, load_function
from .outcome import Watch
from .registry import find_exercise
from .verdict import Verdict

VERDICT, RUNG, PLACE = "verdict.json", "rung", "place"
"""Files that are left for the parent: the verdict; how far it came; where it was when the time was up."""
KEPT = 2000
"""So many printed characters are kept."""


class Printed(io.StringIO):
    """Keeps the beginning of what is written."""

    def write(self, text: str) -> int:
        """Take what still has room."""
        super().write(text[: max(KEPT - self.tell(), 0)])
        return len(text)


def main() -> None:
    """Run as ``child NAME FILE REPORT LIMIT``; the last is in seconds, for each call."""
    name, file, report, limit = sys.argv[1:5]
    printed = Printed()
    with redirect_stdout(printed), redirect_stderr(printed):
        verdict = _judge(name, Path(file), Path(report), float(limit))
    text = replace(verdict, printed=printed.getvalue()).to_json()
    (Path(report) / VERDICT).write_text(text, encoding="utf-8")
    os._exit(0)  # threads that the learner's code has left behind are not waited for


def _judge(name: str, file: Path, report: Path, limit: float) -> Verdict:
    exercise = find_exercise(name)
    with (report / PLACE).open("w", encoding="utf-8") as place:

        def watch(rung: int) -> Watch:
            return lambda: _limited(rung)

        @contextmanager
        def _limited(rung: int) -> Iterator[None]:
            (report / RUNG).write_text(str(rung), encoding="utf-8")
            faulthandler.dump_traceback_later(limit, exit=True, file=place)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()

        try:
            with _limited(-1):
                function = load_function(exercise, file)
        except NotLoadedError as error:
            return error.verdict
        return grade(exercise, function, watch=watch, file=str(file))
