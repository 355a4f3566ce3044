"""What the check of one exercise found, as plain data that can go from one process to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

State: TypeAlias = Literal["right", "wrong", "not begun", "missing", "broken"]
"""Broken: it could not be loaded, or did not come back."""


class Section(NamedTuple):
    """A few lines that belong together."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What `check_function` and `check_file` give: print it, or look at its parts.

    Attributes
    ----------
    name : str
        Of the exercise.
    state : str
        ``"right"``, ``"wrong"``, ``"not begun"``, ``"missing"`` (no such file), or ``"broken"`` (not to be run at all).
    rungs : tuple of str
        All rungs of the ladder, from the simplest.
    passed : tuple of bool
        For each rung that was tried.
    headline : str
        What is wrong first; "" if nothing is.
    sections : tuple of Section
        The evidence.
    mistakes : tuple of str
        Names of the classic mistakes that make these numbers.
    printed : str
        What the learner's code has printed.
    """

    name: str
    state: State
    rungs: tuple[str, ...] = ()
    passed: tuple[bool, ...] = ()
    headline: str = ""
    sections: tuple[Section, ...] = ()
    mistakes: tuple[str, ...] = ()
    printed: str = ""

    def __bool__(self) -> bool:
        """Whether the exercise is solved."""
        return self.state == "right"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.state}, {sum(self.passed)} of {len(self.rungs)}"]
        if self.headline:
            lines.append(self.headline)
        for section in self.sections:
            lines += ["", section.title, *(f"  {line}" for line in section.lines)]
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self) | {"sections": [list(section) for section in self.sections]})

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Out of `to_json`'s text.

        Examples
        --------
        >>> verdict = Verdict("im2col", "wrong", ("a", "b"), (True, False), "no", (Section("why", ("so",)),))
        >>> Verdict.from_json(verdict.to_json()) == verdict
        True
        """
        fields: dict[str, Any] = json.loads(text)
        sections = tuple(Section(title, tuple(lines)) for title, lines in fields.pop("sections"))
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(sections=sections, **plain)
