"""Names of classes out of a file that somebody names, for models that know only their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import FormatError
from ..formats.tensors import parse_json
from .importing import MOST_CLASSES, read_classes


def read_labels(path: Path, count: int) -> tuple[str, ...]:
    """The names of `count` classes: text with one in each line, or JSON.

    JSON may be a list of names, a dict ``{"0": name, ...}``, or, as in Keras' file for ImageNet, a dict of pairs
    ``{"0": [identifier, name], ...}``.

    Raises
    ------
    FormatError
        If it is nothing of the kind, or has another number of names.
    FileNotFoundError
        If there is none.
    """
    names = _from_json(path) if path.suffix.lower() == ".json" else read_classes(path)
    if len(names) != count:
        raise FormatError(f"{path}: names {len(names)} classes, but the model has {count}")
    return names


def _from_json(path: Path) -> tuple[str, ...]:
    found = parse_json(path, "list of names", path.read_bytes())
    if isinstance(found, dict):
        numbers = [str(k) for k in range(min(len(found), MOST_CLASSES))]
        found = [found.get(k) for k in numbers] if set(found) == set(numbers) else None
    names = [_name(item) for item in found] if isinstance(found, list) and found else [""]
    if not all(names):
        raise FormatError(f"{path}: must be a list of names, or a dict from the numbers of classes to their names")
    return tuple(names)


def _name(item: Any) -> str:
    """A name, or the last of a pair; empty if it is neither."""
    name = item[-1] if isinstance(item, list) and item else item
    return name.strip() if isinstance(name, str) else ""
