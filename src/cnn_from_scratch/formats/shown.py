"""A value out of a file, in an error: a few of its characters, found without walking over all of it.

A list that holds ten times a list that holds ten times ... is short in a file and endless on paper, and Python refuses
to write a number of more than 4,300 digits at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LENGTH = 80
DEEPEST = 10
BRACKETS: dict[type, str] = {list: "[]", tuple: "()", dict: "{}"}


def short(value: Any) -> str:
    """At most 80 characters, and three dots where there are more.

    Examples
    --------
    >>> short({"a": [1, (2, "b")]}), short(10**5000)
    ("{'a': [1, (2, 'b')]}", 'an integer of 16610 bits')
    >>> laugh = []
    >>> for _ in range(50):
    ...     laugh = [laugh] * 10
    >>> short(laugh)
    '[[[[[[[[[[..., ..., ..., ..., ..., ..., ..., ..., ..., ...], [..., ..., ..., ...'
    """
    text = ""
    for piece in _pieces(value, 0):
        text += piece
        if len(text) > LENGTH:
            return f"{text[:LENGTH]}..."
    return text


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """The text bit by bit."""
    kind: type = type(value)
    if kind in BRACKETS and depth >= DEEPEST:
        yield "..."
    elif kind in BRACKETS:
        yield BRACKETS[kind][0]
        for n, item in enumerate(value.items() if isinstance(value, Mapping) else value):
            yield ", " if n else ""
            if isinstance(value, Mapping):
                yield from _pieces(item[0], depth + 1)
                yield ": "
                item = item[1]
            yield from _pieces(item, depth + 1)
        yield ",)" if kind is tuple and len(value) == 1 else BRACKETS[kind][1]
    elif kind is int and value.bit_length() > 512:
        yield f"an integer of {value.bit_length()} bits"
    elif kind in (str, bytes):
        yield repr(value[: LENGTH + 1])
    else:
        yield repr(value)
