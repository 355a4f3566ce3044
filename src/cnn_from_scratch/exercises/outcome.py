"""One call of a learner's function: what it returned or raised, and which of its arguments it has changed."""

from __future__ import annotations

import copy
import linecache
import re
import types
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .exercise import Arguments

Watch: TypeAlias = Callable[[], AbstractContextManager[Any]]
"""Makes what surrounds each call, as a time limit."""


class Outcome(NamedTuple):
    """What came of a call."""

    returned: Any
    error: BaseException | None = None
    changed: tuple[str, ...] = ()  # arguments that are no longer what they were


def call(function: Callable[..., Any], arguments: Arguments, watch: Watch = nullcontext) -> Outcome:
    """Call it with copies. Warnings are left out: infinite and undefined numbers are seen in the result."""
    given = copy.deepcopy(arguments)
    try:
        with watch(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            returned = function(**given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too: a learner may call exit()
        return Outcome(None, error)
    changed = [name for name, value in arguments.items() if isinstance(value, np.ndarray)]
    return Outcome(returned, None, tuple(n for n in changed if not _untouched(arguments[n], given[n])))


def _untouched(before: Any, after: Any) -> bool:
    return before.shape == after.shape and before.dtype == after.dtype and bool(np.array_equal(before, after))


def where(error: BaseException, file: str) -> tuple[types.FrameType, int] | None:
    """The innermost place of a traceback that lies in the learner's file, or beside it."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent == Path(file).parent:
            found = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    return found


def innermost(error: BaseException) -> str:
    """The name of the function in which it arose."""
    trace, name = error.__traceback__, ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_name, trace.tb_next
    return name


def said_place(error: BaseException, file: str) -> list[str]:
    """The line in which it went wrong, and the shapes of the arrays that are named there."""
    place = where(error, file)
    if place is None:
        return []
    frame, number = place
    path = frame.f_code.co_filename
    line = linecache.getline(path, number).strip()
    return [f"{Path(path).name}, line {number}: {line}".rstrip(": "), *_shapes(frame, line)]


def _shapes(frame: types.FrameType, line: str) -> list[str]:
    """What the names of a line hold: arrays by shape and dtype, small things as they are."""
    said = []
    for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", line)):
        value = frame.f_locals.get(name)
        if isinstance(value, np.ndarray):
            said.append(f"{name} is an array {value.shape} of {value.dtype}")
        elif isinstance(value, int | float | tuple) and len(repr(value)) < 40:
            said.append(f"{name} is {value!r}")
    return said
