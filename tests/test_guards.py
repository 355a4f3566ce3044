"""Two promises about every error in the package, read from its source: none rests on `assert`, none is mute."""

from __future__ import annotations

import ast
import builtins
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from ladder import REPOSITORY

import cnn_from_scratch
from cnn_from_scratch import errors

SOURCE = REPOSITORY / "src" / "cnn_from_scratch"
FILES = {str(path.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("*.py"))}
OURS = set(errors.__all__)
WITH_A_MESSAGE = {
    *OURS,
    *("AttributeError", "FileExistsError", "FileNotFoundError", "ImportError", "IndexError", "KeyError", "MemoryError"),
    *("NotImplementedError", "OSError", "PermissionError", "RuntimeError", "TypeError", "ValueError"),
    *(
        "BlockingIOError",
        "EOFError",
        "FloatingPointError",
        "NotADirectoryError",
        "IsADirectoryError",
        "TimeoutError",
        "ConnectionError",
    ),
}
"""What is raised to tell somebody what is wrong."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for name, path in FILES.items():
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def parameters(function: ast.FunctionDef) -> set[str]:
    a = function.args
    return {arg.arg for arg in [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg] if arg is not None}


def public_names() -> set[str]:
    """All that some room offers."""
    offered = set()
    for module in pkgutil.walk_packages(cnn_from_scratch.__path__, "cnn_from_scratch."):
        if module.ispkg:
            offered |= set(getattr(importlib.import_module(module.name), "__all__", ()))
    return offered


def test_no_public_function_asserts_anything_about_its_arguments():
    offered, found = public_names(), []
    for file, tree in trees():
        public = [f for f in functions(tree) if f.name in offered]
        for kind in ast.walk(tree):
            if isinstance(kind, ast.ClassDef) and kind.name in offered:
                public += [
                    f for f in functions(kind) if not f.name.startswith("_") or f.name in ("__init__", "__call__")
                ]
        for function in public:
            for node in ast.walk(function):
                if isinstance(node, ast.Assert):
                    names = {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
                    found += [f"{file}:{node.lineno}" for _ in names & (parameters(function) - {"self"})]
    assert not found


def test_asserts_only_narrow_a_type():
    """``x is not None`` and ``isinstance(x, ...)``, for the type checker: no range, no shape, no size."""
    found = [
        f"{file}:{node.lineno}: {ast.unparse(node.test)}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and not _narrows(node.test)
    ]
    assert not found


def _narrows(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot) and ast.unparse(test.comparators[0]) == "None"
    return isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance"


def raises() -> Iterator[tuple[str, ast.Raise]]:
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                yield f"{file}:{node.lineno}", node


def test_every_error_has_a_message_that_names_something():
    found = []
    for place, node in raises():
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if not isinstance(kind, ast.Name) or kind.id not in WITH_A_MESSAGE:
            continue
        if ast.unparse(node.exc) == "NotImplementedError":  # of a method that subclasses, or learners, write
            continue
        message = node.exc.args if isinstance(node.exc, ast.Call) else []
        if not message or not _names_something(message[0]):
            found.append(f"{place}: {ast.unparse(node)[:100]}")
    assert not found


def _names_something(message: ast.expr) -> bool:
    """Text that is put together, or says in words of its own what is wrong."""
    if isinstance(message, ast.Constant):
        return isinstance(message.value, str) and len(message.value.split()) >= 3
    return isinstance(
        message, ast.JoinedStr | ast.BinOp | ast.Subscript | ast.Call | ast.Name | ast.Attribute | ast.IfExp
    )


def test_what_is_raised_is_one_of_ours_or_fits():
    """Not `Exception`, and `AssertionError` only where a check of gradients stands in a test, or we would be wrong."""
    allowed = WITH_A_MESSAGE | {"KeyboardInterrupt", "StopIteration", "SystemExit", "GeneratorExit"}
    checks = "insight/gradcheck_result.py:", "insight/arithmetic/branches.py:"
    found = []
    for place, node in raises():
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = kind.id if isinstance(kind, ast.Name) else ""
        is_built_in = isinstance(getattr(builtins, name, None), type)
        if is_built_in and name not in allowed and not (name == "AssertionError" and place.startswith(checks)):
            found.append(f"{place}: {name}")
    assert not found


@pytest.mark.slow
@pytest.mark.fault("bad-settings", "bad-geometry", "wrong-dtype")
@pytest.mark.parametrize("room", ["ops", "layers"])
def test_without_asserts_everything_is_refused_all_the_same(room):
    """Under ``python -O`` there is no assert; pytest checks by itself, and its own asserts are rewritten beforehand."""
    tests = str(REPOSITORY / "tests" / room / "test_guards.py")
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestConfigWarning", "-k", "not whatever", tests]
    program = f"import sys, pytest; sys.exit(pytest.main({options!r}))"
    done = subprocess.run(
        [sys.executable, "-O", "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
