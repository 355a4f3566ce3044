"""Formulas in docstrings: the summary of an operation is its formula, and is shown as one, letter by letter.

`y[n, f] = bias[f] + sum_{c} x[n, c] * weight[f, c]` is code, and would not survive as prose: stars would be emphasis,
and spaces would go.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from names import linked, names_of
from sphinx.addnodes import desc_content

STARTS = re.compile(r"^(argmin_\w+ |sum_\{|[A-Za-z_]\w*(\[[^\]]*\])?( =| <-| - \w+ =|, \w+ =))")
PRIVATE = re.compile(r"^(object|_\w+|PlainLayer)$")


def show_formulas(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turn a first paragraph that is a formula into a block of code, and keep the signs of the others as they are."""
    end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    formula = lines[:end] if lines and STARTS.match(lines[0]) else []
    rest = plain_signs(lines[len(formula) :], names_of(thing, name))
    block = [".. code-block:: text", "   :class: formula", "", *("   " + line.replace("`", "") for line in formula), ""]
    lines[:] = [*(block if formula else []), *rest]


def plain_signs(lines: list[str], own: frozenset[str]) -> list[str]:
    """Stars and bars of prose are products and absolute values; a pair of stars around words is markup."""
    found, code, literal = [], False, False
    for line in lines:
        if not line.strip():
            code = False
        elif line.lstrip().startswith(">>>"):
            code = True
        if literal and line.strip() and not line.startswith(" "):
            literal = False
        found.append(line if code or literal else linked(escaped(line), own))
        literal = literal or line.rstrip().endswith("::")
    return found


def escaped(line: str) -> str:
    """One line of prose; what stands in backticks or between a pair of stars is left alone."""
    parts = re.split(r"(``.*?``|`[^`]*`|(?<![\w*])\*[^\s*][^*]*[^\s*]\*(?![\w*]))", line)
    return "".join(part if at % 2 else re.sub(r"(?<!\\)([*|])", r"\\\1", part) for at, part in enumerate(parts))


def skip_plain_fields(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Fields of a NamedTuple without a docstring of their own stand in the signature already."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def hide_private_bases(app: Any, doctree: nodes.document) -> None:
    """No line "Bases: ..." that names only what nobody can look up."""
    for content in doctree.findall(desc_content):
        first = content.children[0].astext() if content.children else ""
        if first.startswith("Bases: ") and all(PRIVATE.match(base) for base in first[len("Bases: ") :].split(", ")):
            del content[0]


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("doctree-read", hide_private_bases)
    app.connect("autodoc-process-docstring", show_formulas, priority=100)
    app.connect("autodoc-skip-member", skip_plain_fields)
    return {"parallel_read_safe": True}
