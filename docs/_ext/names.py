"""The public names of the package, and links to them: `Conv2d` in a docstring leads to where Conv2d is explained."""

from __future__ import annotations

import functools
import importlib
import inspect
import re

WORDS = {"fit", "evaluate", "trace", "explain", "blame", "gradcheck", "im2col", "col2im"}
IN_BACKTICKS = re.compile(r"(?<![`:\w])`(?:cnn_from_scratch\.\w+\.)?([A-Za-z]\w*)`(?![`\w])")


@functools.cache
def public_names() -> dict[str, str]:
    """The full name of each. Words of everyday language are left out, for they are mostly arguments."""
    from made_pages import ROOMS  # which imports what imports this

    found: dict[str, str] = {}
    for room in ROOMS:
        for name in importlib.import_module(f"cnn_from_scratch.{room}").__all__:
            if name in WORDS or "_" in name or name != name.lower():
                found.setdefault(name, f"cnn_from_scratch.{room}.{name}")
    return found


def linked(line: str, own: frozenset[str]) -> str:
    """A line of prose with its public names as links, but for `own`: the thing itself and its arguments."""

    def link(match: re.Match[str]) -> str:
        name = match[1]
        return f":py:obj:`~{public_names()[name]}`" if name in public_names() and name not in own else match[0]

    return IN_BACKTICKS.sub(link, line)


def names_of(thing: object, name: str) -> frozenset[str]:
    """A thing's own name and those of its arguments."""
    try:
        arguments = set(inspect.signature(thing).parameters) if callable(thing) else set()
    except (TypeError, ValueError):
        arguments = set()
    return frozenset({name.rpartition(".")[2], *arguments})
