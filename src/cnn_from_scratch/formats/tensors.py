"""Named arrays and a few strings in one safetensors file. Nothing in such a file can be run.

A file is eight bytes with the length of its header, the header (JSON: names, dtypes, shapes, places), and the numbers.
Reference: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError
from ..typing import Array
from .atomic import write_atomically
from .widening import decode

DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
          "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL"}  # fmt: skip
"""NumPy's names and the file's."""

MAX_HEADER = 16 << 20
"""No header of a sensible file is longer."""

MAX_NESTING = 500
"""Values within values in a JSON text."""


class Tensors(NamedTuple):
    """What a safetensors file holds."""

    arrays: dict[str, Array]  # read-only
    metadata: dict[str, str]


def write_tensors(path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays, in any memory order, and strings, atomically. The same content gives the same bytes.

    Raises
    ------
    TypeError
        If an array holds something else than real numbers or booleans.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tensors(f"{folder}/a.safetensors", {"weight": np.ones((1, 2), np.float32)}, {"made by": "hand"})
    ...     read_tensors(f"{folder}/a.safetensors")
    Tensors(arrays={'weight': array([[1., 1.]], dtype=float32)}, metadata={'made by': 'hand'})
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    content = []
    first = 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):  # the widest first: all are aligned
        array = np.asarray(arrays[name])
        if array.dtype.str[1:] not in DTYPES:
            raise TypeError(f"write_tensors: {name!r} has dtype {array.dtype}, which a safetensors file cannot hold")
        data = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()
        place = [first, first := first + len(data)]
        header[name] = {"dtype": DTYPES[array.dtype.str[1:]], "shape": array.shape, "data_offsets": place}
        content.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_atomically(path, b"".join([len(text).to_bytes(8, "little"), text, *content]))


def read_tensors(path: str | os.PathLike[str], *, widen: bool = False) -> Tensors:
    """Read a safetensors file.

    Parameters
    ----------
    path : path
    widen : bool
        Whether float16 and bfloat16 become float32; otherwise float16 stays, and bfloat16 is an error.

    Raises
    ------
    FormatError
        If it is no such file, or one with anything wrong in it: a truncated or overlong one, overlapping ranges, a name
        that appears twice, a dtype that NumPy lacks. The message names the file.
    FileNotFoundError
        If there is none.
    """
    from safetensors import SafetensorError, deserialize
    from safetensors.numpy import load

    parts: Any = deserialize
    data = Path(path).read_bytes()
    metadata = _read_header(path, data).get("__metadata__") or {}
    try:
        arrays = {name: _widened(path, part) for name, part in parts(data)} if widen else load(data)
    except SafetensorError as error:
        raise FormatError(f"{path}: not a sound safetensors file: {error}") from error
    except KeyError as error:
        raise FormatError(f"{path}: has numbers of type {error}, which NumPy lacks") from error
    return Tensors(arrays, metadata)


def _widened(path: str | os.PathLike[str], part: dict[str, Any]) -> Array:
    """An array as `deserialize` describes it."""
    try:
        return decode(part["data"], part["dtype"]).reshape(part["shape"])
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _read_header(path: str | os.PathLike[str], data: bytes) -> dict[str, Any]:
    """The header, read more strictly than the library does, which accepts leading spaces and names given twice."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8 or data[8:9] != b"{":
        raise FormatError(f"{path}: not a safetensors file: it begins with {data[:9]!r}")
    if length > MAX_HEADER:
        raise FormatError(f"{path}: its header has {length} bytes; at most {MAX_HEADER} are accepted")
    header = parse_json(path, "header", data[8 : 8 + length])
    if not isinstance(header, dict):
        raise FormatError(f"{path}: its header is no JSON object")
    return header


def parse_json(path: str | os.PathLike[str], what: str, text: str | bytes) -> Any:
    """The value of a JSON text out of a file; NaN and names given twice are errors, as is anything too deep."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: its {what} is not sound JSON: {error}") from error
    if nesting(value) > MAX_NESTING:
        raise FormatError(f"{path}: its {what} is nested more than {MAX_NESTING} deep")
    return value


def nesting(value: Any) -> int:
    """How deep lists and dicts lie within one another: 0 for what is neither.

    Examples
    --------
    >>> nesting(1), nesting([]), nesting({"a": [1, {}]})
    (0, 1, 3)
    """
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inside for item in level for inside in (item.values() if isinstance(item, dict) else item)]
    return depth


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:80]} is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} appears twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
