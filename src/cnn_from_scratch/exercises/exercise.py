"""What an exercise is: a function to write, rungs to climb, hints, and the mistakes that everyone makes once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

STUBS = Path(__file__).parent / "stubs"
"""The files that a learner begins with."""

Arguments: TypeAlias = dict[str, Any]
Lines: TypeAlias = Sequence[str]


class Rung(NamedTuple):
    """One call of the function: a little harder than the one before."""

    says: str  # what is new, as in "a stride of 2"
    arguments: Arguments


class Mistake(NamedTuple):
    """A classic mistake, as a function that makes it."""

    name: str  # short, as in "flipped-kernel"
    says: str  # what was done, after "This is what comes out when"
    function: Callable[..., Any]


@dataclass(frozen=True, repr=False)
class Exercise:
    """A function for the learner to write, and all that is needed to judge it.

    Attributes
    ----------
    name : str
        Of the function, and of its file.
    summary : str
        What it does, in a few words.
    read : str
        What to read before.
    start : str
        How to begin; said while nothing is written yet.
    hints : (str, str, str)
        From a nudge to nearly the code.
    solution : tuple of str
        Where the library does the same, as in "ops.im2col:im2col".
    outputs : tuple of str
        Names of what is returned, in order.
    answer : callable
        The library's own, with the exercise's signature.
    rungs : callable
        Makes the ladder, from the simplest case to the hardest.
    mistakes : tuple of Mistake
        The classic ones.
    terms : callable
        ``terms(arguments, output, index)``: lines that show how one right number comes about.
    examined : tuple of str
        The outputs in the order in which they are examined, the simplest first; that of `outputs` if not given.
    """

    name: str
    summary: str
    read: str
    start: str
    hints: tuple[str, str, str]
    solution: tuple[str, ...]
    outputs: tuple[str, ...]
    answer: Callable[..., Any]
    rungs: Callable[[], Sequence[Rung]]
    mistakes: tuple[Mistake, ...]
    terms: Callable[[Arguments, str, tuple[int, ...]], Lines]
    examined: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Exercise({self.name!r})"

    @property
    def order(self) -> list[int]:
        """The outputs, in the order in which they are examined."""
        return [self.outputs.index(name) for name in self.examined or self.outputs]

    @property
    def stub(self) -> str:
        """The text of the file that the learner begins with."""
        return (STUBS / f"{self.name}.py").read_text(encoding="utf-8")
