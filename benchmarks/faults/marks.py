"""Which test produces which fault: the marks `@pytest.mark.fault("ROW", ...)`, read from the source without running it.

A mark may stand on a test, on its class, in `pytestmark` of a class or a module, in a `pytest.param(..., marks=...)` of
a test's parametrization, or in a name of the module that any of these use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Mark(NamedTuple):
    """One test and one of its rows."""

    row: str
    file: str  # from the root of the repository
    test: str  # test_x, or TestClass::test_x


def marks_in(source: str, file: str) -> list[Mark]:
    """The marks of one module. ValueError: a mark that is no list of names, or that belongs to no test."""
    tree = ast.parse(source)
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    reader = _Reader(file, names)
    marks = list(reader.tests(tree.body, "", reader.calls(names.get("pytestmark"))))
    for call in reader.calls(tree):
        if call not in reader.used:
            raise ValueError(f"{file}, line {call.lineno}: a mark of a fault that belongs to no test")
    return marks


class _Reader:
    """Walks through one module; remembers which marks it has given to a test."""

    def __init__(self, file: str, names: dict[str, ast.expr]) -> None:
        self.file, self.names = file, names
        self.used: set[ast.Call] = set()

    def tests(self, body: list[ast.stmt], prefix: str, outer: list[ast.Call]) -> Iterator[Mark]:
        """The marks of the tests in a module or a class; `outer` are those of what stands around them."""
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                inner = [call for part in node.decorator_list for call in self.calls(part)]
                inner += [call for part in node.body for call in self.calls(_pytestmark(part))]
                yield from self.tests(node.body, f"{prefix}{node.name}::", outer + inner)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                own = [call for part in node.decorator_list for call in self.calls(part)]
                self.used.update(outer, own)
                rows = dict.fromkeys(row for call in outer + own for row in self.rows(call))
                yield from (Mark(row, self.file, prefix + node.name) for row in rows)

    def calls(self, node: ast.AST | None) -> list[ast.Call]:
        """Every `pytest.mark.fault(...)` in an expression, in the names that it uses, too."""
        found: list[ast.Call] = []
        for part in [] if node is None else ast.walk(node):
            if isinstance(part, ast.Call) and ast.unparse(part.func) in ("pytest.mark.fault", "mark.fault"):
                found.append(part)
            elif isinstance(part, ast.Name) and part.id in self.names and not isinstance(node, ast.Module):
                found += self.calls(self.names[part.id])
        return found

    def rows(self, call: ast.Call) -> list[str]:
        """The rows that a mark names."""
        rows = [value.value for value in call.args if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        if not rows or len(rows) != len(call.args) or call.keywords:
            raise ValueError(
                f"{self.file}, line {call.lineno}: a mark takes the names of faults; got {ast.unparse(call)}"
            )
        return rows


def _pytestmark(node: ast.stmt) -> ast.expr | None:
    """The value, if this statement sets `pytestmark`."""
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
        return node.value
    return None
