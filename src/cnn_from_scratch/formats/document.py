"""Arrays and what they mean, as JSON, in one file: with a digest over both, so that no damage goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError
from ..typing import Array
from .tensors import parse_json, read_tensors, write_tensors

VERSION = 1
MAX_TEXT = 4 << 20
"""The longest description, in characters."""


class Kind(NamedTuple):
    """A kind of file, and the words with which it is spoken of."""

    entry: str  # where the description lies in the metadata of the file
    what: str  # what the description is of
    contents: str  # what makes a description long
    writer: str  # the function that writes such files


class Described(NamedTuple):
    """A file, read and found whole."""

    document: dict[str, Any]
    arrays: dict[str, Array]  # read-only


def write_described(
    kind: Kind, path: str | os.PathLike[str], document: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write arrays and their description, atomically.

    Raises
    ------
    ValueError
        If the description is too long.
    TypeError, OSError
        As for `write_tensors`.
    """
    document = {"version": VERSION, **document}
    text = json.dumps({**document, "sha256": digest(document, arrays)})
    if len(text) > MAX_TEXT:
        raise ValueError(f"{kind.writer}: {kind.contents} take {len(text)} characters; at most {MAX_TEXT} do")
    write_tensors(path, arrays, {kind.entry: text})


def read_described(kind: Kind, path: str | os.PathLike[str], parts: Mapping[str, type]) -> Described:
    """What `write_described` wrote, compared with its digest.

    Parameters
    ----------
    kind : Kind
    path : path
    parts : dict of types
        The names in the description, which has exactly these besides its version and digest, and what they are of.

    Raises
    ------
    FormatError
        If the file is damaged, of another kind or another version.
    FileNotFoundError
        If there is none.
    """
    arrays, header = read_tensors(path)
    if kind.entry not in header:
        raise FormatError(f"{path}: holds no {kind.what}; it was not written by {kind.writer}")
    if len(header[kind.entry]) > MAX_TEXT:
        raise FormatError(f"{path}: its description is longer than {MAX_TEXT} characters")
    document = parse_json(path, "description", header[kind.entry])
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise FormatError(f"{path}: is not of version {VERSION}, the only one that is known here")
    claimed = document.pop("sha256", None)
    if document.keys() != {"version", *parts} or not all(isinstance(document[name], parts[name]) for name in parts):
        raise FormatError(f"{path}: its description lacks a part, or has one too many")
    if claimed != digest(document, arrays):
        raise FormatError(f"{path}: damaged: what it holds does not match its SHA-256")
    return Described(document, arrays)


def digest(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """SHA-256 of the description and of every array with its name, dtype and shape."""
    found = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for key in sorted(arrays):
        array = np.asarray(arrays[key], order="C")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        found.update(repr((key, array.dtype.str, array.shape)).encode())
        found.update(array.tobytes())
    return found.hexdigest()
