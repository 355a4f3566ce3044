"""What goes wrong is said in one sentence, without a traceback; `--debug` shows the traceback."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import CnnError

FAILURE, INTERRUPTED, TERMINATED = 1, 130, 143
USERS = (CnnError, ValueError, TypeError, OSError, FloatingPointError, MemoryError)
"""Errors that are the user's to know about. Anything else is ours, and comes with its traceback."""


class PlainErrors(TyperGroup):
    """The group of commands: `--debug` may stand anywhere, and errors become sentences."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Bring `--debug` to the front, where it is an option of `cnn` itself."""
        given = list(sys.argv[1:] if args is None else args)
        own = given[: given.index("--")] if "--" in given else given
        if "--debug" in own:
            given.remove("--debug")
            args = ["--debug", *given]
        return super().main(args, *rest, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; leave with 1 after an error, with 130 after Ctrl-C, with 143 after SIGTERM."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # who reads what we print has enough, as in `cnn explain RUN | head`
            raise  # Typer leaves with 1, in silence
        except USERS as error:
            if ctx.params.get("debug"):
                raise
            _say_all(sentence(error), error)
            raise typer.Exit(FAILURE) from error
        except KeyboardInterrupt as error:
            if ctx.params.get("debug"):
                raise
            from ..training.interrupts import Terminated

            _say_all("interrupted", error)
            raise typer.Exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED) from error


def say(message: str) -> None:
    """On the error stream, after the name of the program."""
    typer.echo(f"cnn: {plain(message)}", err=True)


def plain(text: str) -> str:
    r"""Without what would command a terminal: a file may give its layers any name.

    Examples
    --------
    >>> print(plain("layer '\x1b[2J' is unknown"))
    layer '\x1b[2J' is unknown
    """
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of the library become sentences, too."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *rest: say(str(message))
    try:
        yield
    finally:
        warnings.showwarning = before


def _say_all(text: str, error: BaseException) -> None:
    """The sentence, and in a line of its own the command that goes on, where there is one."""
    commands = [note for note in getattr(error, "__notes__", ()) if note.startswith("cnn ")]
    say(f"{text}; this goes on:" if commands else text)
    for command in commands:
        typer.echo(command, err=True)


def sentence(error: BaseException) -> str:
    """What an error says; the system's errors without their number, but with the file.

    What the library calls data_dir=... is an option here.

    Examples
    --------
    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.png"))
    'a.png: No such file or directory'
    >>> sentence(ValueError("x must be 1"))
    'x must be 1'
    >>> sentence(ValueError("choose a folder by data_dir=..."))
    'choose a folder by --data-dir'
    """
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    return text.replace("data_dir=...", "--data-dir")
