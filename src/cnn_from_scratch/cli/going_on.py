"""How to go on with a run that was cut off: the command, and an error that carries it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path


def resume_command(folder: Path) -> str:
    """What to type to go on with a run.

    Examples
    --------
    >>> resume_command(Path("runs") / "digits-1")
    'cnn train --resume runs/digits-1'
    """
    return f"cnn train --resume {shlex.quote(str(folder))}"


@contextlib.contextmanager
def resumable(folder: Path, after: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt)) -> Iterator[None]:
    """An error that ends the body before its time carries the command that goes on, as a note."""
    try:
        yield
    except after as error:
        command = resume_command(folder)
        if command not in getattr(error, "__notes__", ()):
            error.add_note(command)
        raise
