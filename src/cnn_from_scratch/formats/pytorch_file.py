"""Files of torch.save, read without PyTorch: tensors by name, out of a pickle that describes and storages that hold.

``archive/data.pkl`` says which tensors there are; ``archive/data/0`` ... are their numbers as they lay in memory.
The format is described at the head of torch/serialization.py.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ..errors import FormatError, LimitError
from ..typing import Array
from .pytorch_legacy import PICKLE, read_legacy
from .pytorch_tensors import NAMES, Storages, Tensor, as_storage
from .restricted_unpickler import unpickle
from .shown import short
from .zip_records import Records, open_records

MAX_PICKLE = 64 << 20
"""The longest description, in bytes."""

STARTS = (b"PK\x03\x04", PICKLE)
"""How a file of torch.save begins."""

ORDERS = {b"little": "<", b"big": ">"}


def read_pytorch(path: str | os.PathLike[str], *, entry: str | None = None) -> dict[str, Array]:
    """The tensors of a state dict that torch.save wrote; see `read_state_dict`."""
    with Path(path).open("rb") as file:
        head = file.read(len(PICKLE))
    if head == PICKLE:
        return read_legacy(path, lambda value: select(value, entry))
    with open_records(path) as records:
        _refuse_others(path, records)
        value = unpickle(io.BytesIO(records.read("data.pkl")), NAMES, as_storage)
        order = ORDERS.get(records.read("byteorder") if "byteorder" in records else b"little")
        if order is None:
            raise FormatError("says neither 'little' nor 'big' in its record 'byteorder'")
        storages = Storages(lambda key: records.read(f"data/{key}"), order, Path(path).stat().st_size)
        return {name: storages.array(tensor) for name, tensor in select(value, entry).items()}


def _refuse_others(path: str | os.PathLike[str], records: Records) -> None:
    """Raise for what is a zip file of PyTorch, too, but holds no state dict."""
    if "constants.pkl" in records:
        raise FormatError(
            "is a TorchScript program, not a state dict; where PyTorch is installed, "
            f"torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pt') makes one of it"
        )
    if "data.pkl" not in records:
        raise FormatError("holds no 'data.pkl': it was not written by torch.save")
    if records.size("data.pkl") > MAX_PICKLE:
        raise LimitError(f"its description has {records.size('data.pkl')} bytes; at most {MAX_PICKLE} are accepted")


def select(value: Any, entry: str | None) -> dict[str, Tensor]:
    """The dict of tensors that a file holds: at the top, or as one entry of a checkpoint.

    Raises
    ------
    FormatError
        If there is none, or more than one and nobody says which.
    """
    if type(value) is not dict:
        raise FormatError(f"holds a {type(value).__name__.lower()}, not a state dict; save model.state_dict()")
    inside = [name for name, part in value.items() if part and _is_state_dict(part)]
    if entry is not None:
        if entry not in inside:
            raise FormatError(f"has no state dict under {entry!r}; there is one under {', '.join(map(repr, inside))}")
        return dict(value[entry])
    if _is_state_dict(value):
        return value
    if len(inside) == 1:
        return dict(value[inside[0]])
    if inside:
        raise FormatError(f"has several state dicts, under {', '.join(map(repr, inside))}; say which by entry=")
    other = next(name for name, part in value.items() if type(name) is not str or type(part) is not Tensor)
    raise FormatError(f"is no state dict: its entry {short(other)} is no tensor with a name")


def _is_state_dict(value: Any) -> bool:
    return type(value) is dict and all(type(k) is str and type(v) is Tensor for k, v in value.items())
