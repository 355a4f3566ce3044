"""Files that torch.save wrote before version 1.6: pickles one behind the other, and then the storages.

Many published weights are still in this form. The order is: a magic number, a version, facts about the machine, the
description, the list of the storages' keys (five pickles), and for each key the count of numbers and the numbers.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import CnnError, FormatError
from ..typing import Array
from .pytorch_tensors import NAMES, Storage, Storages, Tensor, as_storage
from .restricted_unpickler import unpickle
from .shown import short
from .widening import itemsize

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
PICKLE = b"\x80"
"""How a pickle begins, and so such a file."""


def read_legacy(path: str | os.PathLike[str], select: Callable[[Any], dict[str, Tensor]]) -> dict[str, Array]:
    """The tensors of such a file.

    Parameters
    ----------
    path : path
    select : function
        Finds the dict of tensors in what the file describes.

    Raises
    ------
    FormatError
        If the file is damaged or describes anything but tensors.
    """
    data = Path(path).read_bytes()
    try:
        return _read(data, select)
    except CnnError as error:
        raise type(error)(f"{path}: {error}") from error.__cause__


def _read(data: bytes, select: Callable[[Any], dict[str, Tensor]]) -> dict[str, Array]:
    stream = io.BytesIO(data)
    seen: dict[str, Storage] = {}

    def persistent(identity: Any) -> Storage:
        storage = as_storage(identity)
        if seen.setdefault(storage.key, storage) != storage:
            raise FormatError(f"speaks of its storage {storage.key[:80]!r} in two ways")
        return storage

    if unpickle(stream, {}, as_storage) != MAGIC:
        raise FormatError("is a pickle, but not one of torch.save")
    version, machine = unpickle(stream, {}, as_storage), unpickle(stream, {}, as_storage)
    if version != VERSION or type(machine) is not dict:
        raise FormatError(f"is of version {short(version)}; {VERSION} is the only one that is known here")
    value = unpickle(stream, NAMES, persistent)
    keys = unpickle(stream, {}, as_storage)
    places = _places(data, stream.tell(), keys, seen)
    order = "<" if machine.get("little_endian", True) else ">"
    storages = Storages(lambda key: places[key], order, len(data))
    return {name: storages.array(tensor) for name, tensor in select(value).items()}


def _places(data: bytes, start: int, keys: Any, seen: dict[str, Storage]) -> dict[str, bytes]:
    """The bytes of each storage; raises unless there are those of the list, each with its count, and nothing else."""
    listed = type(keys) is list and all(type(key) is str for key in keys)
    if not listed or len(set(keys)) != len(keys) or set(keys) != seen.keys():
        raise FormatError("its list of storages is not that of its description")
    found = {}
    for key in keys:
        storage = seen[key]
        size = storage.size * itemsize(storage.code or "U8")
        if int.from_bytes(data[start : start + 8], "little", signed=True) != storage.size:
            raise FormatError(f"its storage {key!r} does not have {storage.size} numbers")
        found[key] = data[start + 8 : start + 8 + size]
        start += 8 + size
    if start != len(data):
        raise FormatError(f"has {len(data)} bytes; {start} were expected")
    return found
