"""What `cnn check` prints: a line for each exercise, and the first failure in full."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.text import Text

from ..exercises import EXERCISES, Verdict
from .output import console, plain_table, print_table

SIGNS = {"right": "✓", "wrong": "✗", "broken": "✗", "missing": "·", "not begun": "·"}
COLOURS = {"right": "green", "wrong": "red", "broken": "red", "missing": "dim", "not begun": "dim"}
PROSE = ("Likely", "Seen", "How to begin")
"""Sections of sentences, which are wrapped; tables are not."""
STEPS = 40
"""The most printed lines of the learner's own that are shown."""


class Progress:
    """Says on a terminal how many are checked; elsewhere nothing."""

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0
        self.shown = sys.stderr.isatty() and total > 1

    def __enter__(self) -> Progress:
        return self

    def done(self, verdict: Verdict) -> Verdict:
        """One more."""
        self.count += 1
        if self.shown:
            print(f"\r{self.count} of {self.total} checked ", end="", file=sys.stderr, flush=True)  # noqa: T201
        return verdict

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201


def print_all(verdicts: Sequence[Verdict], folder: Path) -> None:
    """A table, and the first that is wrong; if none is, the first that is not begun."""
    out = console()
    table = plain_table("", "exercise", "rungs", "")
    for column in table.columns[1:]:
        column.justify = "left"
    for verdict in verdicts:
        rungs = f"{sum(verdict.passed)} of {len(verdict.rungs)}" if verdict.passed else ""
        said = Text(verdict.headline if verdict.state in ("wrong", "broken") else EXERCISES[verdict.name].summary)
        colour = COLOURS[verdict.state]
        table.add_row(Text(SIGNS[verdict.state], style=colour), verdict.name, rungs, said)
    print_table(table)
    solved = sum(map(bool, verdicts))
    out.print(f"\n{solved} of {len(verdicts)} are right.")
    rest = [v for v in verdicts if not v]
    first = next((v for v in rest if v.state in ("wrong", "broken")), rest[0] if rest else None)
    if first is not None:
        out.print()
        print_one(first, folder)


def print_one(verdict: Verdict, folder: Path) -> None:
    """The ladder, the evidence, and what to do next."""
    out = console()
    out.print(
        Text.assemble((f"{SIGNS[verdict.state]} {verdict.name}", f"bold {COLOURS[verdict.state]}"), _state(verdict))
    )
    for i, says in enumerate(verdict.rungs if verdict.passed else ()):
        passed = i < len(verdict.passed) and verdict.passed[i]
        out.print(Text.assemble("  ", ("✓", "green") if passed else ("✗", "red"), f" {i + 1} {says}"))
    if verdict.headline and verdict.state != "not begun":
        out.print(Text(f"\n{verdict.headline}", style="bold"))
    for section in verdict.sections:
        out.print(Text(f"\n{section.title}", style="bold cyan" if section.title == "Likely" else "cyan"))
        for line in section.lines:
            for part in wrapped(line) if section.title in PROSE else [line]:
                out.print(Text(f"  {part}".rstrip()))
    _print_printed(out, verdict)
    _print_next(verdict, folder)


def wrapped(line: str) -> list[str]:
    """Words in lines that the terminal, and the eye, can hold."""
    width = min(shutil.get_terminal_size().columns, 100) - 4
    after = "  " if line.startswith("- ") else ""
    return textwrap.wrap(line, width, subsequent_indent=after, break_on_hyphens=False) or [""]


def _state(verdict: Verdict) -> str:
    if verdict.state in ("right", "wrong"):
        return f"  {sum(verdict.passed)} of {len(verdict.rungs)} rungs"
    return {"not begun": "  not written yet", "missing": "  there is no such file", "broken": ""}[verdict.state]


def _print_printed(out: Console, verdict: Verdict) -> None:
    lines = verdict.printed.splitlines()
    if lines and not verdict:
        out.print(Text("\nYour code has printed", style="cyan"))
        for line in lines[:STEPS]:
            out.print(Text(f"  {line}"))


def _print_next(verdict: Verdict, folder: Path) -> None:
    where = "" if str(folder) == "exercises" else f" --folder {shlex.quote(str(folder))}"
    names = list(EXERCISES)
    if verdict:
        after = names[names.index(verdict.name) + 1 :]
        said = f"Next: cnn check {after[0]}{where}  ({EXERCISES[after[0]].summary})" if after else "That was the last."
    elif verdict.state == "missing":
        said = f"Write it with: cnn check --new{where}"
    else:
        before = wrapped(f"Read before: {EXERCISES[verdict.name].read}.")
        said = "\n".join([*before, f"Stuck? cnn check {verdict.name} --hint 1"])
    console().print(Text(f"\n{said}", style="dim"))
