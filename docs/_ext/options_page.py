"""The page of the command line: every command with its arguments and options, from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer
from formulas import escaped

MARKUP = re.compile(r"\[/?bold\]")
OPTION = re.compile(r"(?<!\S)(--[a-z-]+)")
SAID = (
    "``cnn COMMAND --help`` says the same in the terminal.",
    "What is not given to ``cnn train`` is taken from the recipe of the data set; ``metrics.json`` of a run holds the",
    "whole command, with every value that was used.",
)


def page() -> str:
    """What `cnn COMMAND --help` says, of all commands, as one page."""
    from cnn_from_scratch.cli.app import app

    program: Any = typer.main.get_command(app)
    lines = ["The command line", "================", "", *SAID, ""]
    for name, command in program.commands.items():
        lines += [f"cnn {name}", "-" * (len(name) + 4), "", *_said(command.help), *_table(command.params)]
    return "\n".join(lines)


def _said(text: str) -> Iterator[str]:
    """What a command does, in paragraphs, and its examples."""
    does, _, examples = MARKUP.sub("", text).partition("\n\nExample")
    for paragraph in does.split("\n\n"):
        yield from (*(OPTION.sub(r"``\1``", escaped(line)) for line in paragraph.splitlines()), "")
    if examples:
        yield from (".. code-block:: sh", "", *("   " + line for line in examples.splitlines()[2:] if line), "")


def _table(params: list[Any]) -> list[str]:
    """One row for each argument and option, in the order of the help."""
    rows = [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for param in params:
        rows += [f"   * - ``{', '.join(_names(param))}``", f"     - {_help(param)}"]
    return [*rows, ""]


def _names(param: Any) -> list[str]:
    return [param.name.upper()] if param.param_type_name == "argument" else [*param.opts, *param.secondary_opts]


def _help(param: Any) -> str:
    """Its help, what may be chosen, and the default where it is said."""
    text = OPTION.sub(r"``\1``", escaped(MARKUP.sub("", param.help or "").replace("`", "")))
    kind = param.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        text += f" One of {', '.join(f'``{choice.value}``' for choice in kind)}."
    default = param.show_default if isinstance(param.show_default, str) else param.default
    if default not in (None, False, "", ()) and not callable(default):
        text += f" Default: ``{default}``."
    return text + " Required." * param.required
