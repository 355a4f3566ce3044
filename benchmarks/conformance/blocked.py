"""While a case runs, nobody can ask another library for the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

BLOCKED = ("onnx.reference", "onnxruntime", "torch")


class Blocked(MetaPathFinder):
    """Refuses to find them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in BLOCKED):
            raise ImportError(f"{fullname} is blocked while conformance is tested")
        return None


def require_unused() -> None:
    """Raise if one of them has been imported all the same."""
    if used := [name for name in BLOCKED if name in sys.modules]:
        raise RuntimeError(f"{', '.join(used)} must not be imported while conformance is tested")


def block() -> None:
    """From now on none of them can be imported in this process."""
    require_unused()
    if not any(isinstance(finder, Blocked) for finder in sys.meta_path):
        sys.meta_path.insert(0, Blocked())
