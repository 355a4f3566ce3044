"""PyTorch's tensors as files describe them: a storage of numbers, and how a tensor lies in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError, LimitError
from ..typing import Array
from .restricted_unpickler import Maker
from .shown import short
from .widening import decode, itemsize

SPARE = 1 << 24
"""Numbers that may be copied out of their storages beyond those that the file holds: for broadcast tensors."""


LARGEST = 1 << 40
"""Product of the other axes where one is empty."""

LARGEST_COUNT = (1 << 64) - 1
"""Counts have 64 bits."""


class Storage(NamedTuple):
    """Numbers in a row, somewhere in the file."""

    key: str  # the name of their record
    code: str  # dtype as in `widening.CODES`; "" where each tensor says it
    size: int  # count of numbers; of bytes where code is ""


class Tensor(NamedTuple):
    """Number i, j, ... lies at offset + i*strides[0] + j*strides[1] + ... of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class StorageType(NamedTuple):
    """What a name such as torch.FloatStorage stands for."""

    code: str


class DType(NamedTuple):
    """What a name such as torch.uint16 stands for."""

    code: str


# --- what a pickle may name ------------------------------------------------------------------------------------------


def _ordered_dict() -> dict[str, Any]:
    return {}


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    """torch._utils._rebuild_tensor_v2"""
    return _checked(storage, offset, shape, strides, metadata)


def _tensor_with_dtype(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """torch._utils._rebuild_tensor_v3: the storage is bytes, of a kind that has no storage type of its own."""
    if type(dtype) is not DType or type(storage) is not Storage or storage.code:
        raise FormatError("has a tensor of bytes whose dtype is not known")
    size = storage.size // itemsize(dtype.code)
    return _checked(Storage(storage.key, dtype.code, size), offset, shape, strides, metadata)


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> Tensor:
    """torch._utils._rebuild_parameter"""
    if type(data) is not Tensor:
        raise FormatError("has a parameter that is no tensor")
    return data


def _checked(storage: Any, offset: Any, shape: Any, strides: Any, metadata: Any) -> Tensor:
    """A tensor that lies inside of its storage."""
    if type(storage) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise FormatError("has a tensor that is not described as PyTorch does")
    if metadata:
        raise FormatError("has a tensor that is to be conjugated or negated when it is read; save a clone of it")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > 32 or not all(map(_is_count, numbers)):
        raise FormatError(f"has a tensor of shape {short(shape)} and strides {short(strides)}")
    if 0 in shape and math.prod(size for size in shape if size) > LARGEST:
        raise FormatError(f"has a tensor of shape {short(shape)}, which is too large though it is empty")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.size:
        raise FormatError(f"has a tensor of shape {short(shape)} that reaches beyond its {storage.size} numbers")
    return Tensor(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_COUNT


STORAGE_TYPES = {"Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32",
                 "Short": "I16", "Char": "I8", "Byte": "U8", "Bool": "BOOL"}  # fmt: skip

NAMES: dict[str, Any] = {
    "collections.OrderedDict": Maker(_ordered_dict),
    "torch._utils._rebuild_tensor_v2": Maker(_tensor),
    "torch._utils._rebuild_tensor_v3": Maker(_tensor_with_dtype),
    "torch._utils._rebuild_parameter": Maker(_parameter),
    "torch.storage.UntypedStorage": StorageType(""),
    **{f"torch.{name}Storage": StorageType(code) for name, code in STORAGE_TYPES.items()},
    **{f"torch.uint{bits}": DType(f"U{bits}") for bits in (16, 32, 64)},
}
"""All that the pickle of a state dict may name, and what stands for it here."""


def as_storage(identity: Any) -> Storage:
    """The storage that a persistent id speaks of: ("storage", type, key, device, count), whatever the device was.

    Raises
    ------
    FormatError
        If it is nothing of the kind.
    """
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage" or any(identity[5:]):
        raise FormatError("refers to something that is no storage")
    _, kind, key, _, count = identity[:5]
    if type(kind) is not StorageType or type(key) is not str or not _is_count(count):
        raise FormatError("refers to a storage that is not described as PyTorch does")
    return Storage(key, kind.code, count)


# --- arrays out of storages -------------------------------------------------------------------------------------------


class Storages:
    """The storages of a file, each read once and only if a tensor needs it.

    Parameters
    ----------
    read : function
        ``read(key) -> bytes``
    order : str
        "<" or ">": the order of the bytes in a number.
    total : int
        How many bytes the file has.
    """

    def __init__(self, read: Callable[[str], bytes], order: str, total: int) -> None:
        self._read, self._order = read, order
        self._found: dict[Storage, Array] = {}
        self._copies = total + SPARE

    def array(self, tensor: Tensor) -> Array:
        """The numbers of a tensor, C-contiguous and read-only; where they lie so in the storage, no copy.

        Raises
        ------
        FormatError
            If the storage has another size than it should.
        LimitError
            If tensors that share few numbers claim to be many.
        """
        if 0 in tensor.shape:
            return decode(b"", tensor.storage.code).reshape(tensor.shape)
        numbers = self._numbers(tensor.storage)
        if not _in_a_row(tensor):
            self._copies -= math.prod(tensor.shape)
            if self._copies < 0:
                raise LimitError("its tensors claim far more numbers than it holds")
        sizes_strides = zip(tensor.shape, tensor.strides, strict=True)
        strides = tuple(stride * numbers.itemsize if size > 1 else 0 for size, stride in sizes_strides)
        view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        found = np.asarray(view, order="C")
        found.flags.writeable = False
        return found

    def _numbers(self, storage: Storage) -> Array:
        if storage not in self._found:
            data = self._read(storage.key)
            numbers = decode(data, storage.code, self._order)
            if len(numbers) != storage.size:
                raise FormatError(f"its storage {storage.key!r} has {len(data)} bytes for {storage.size} numbers")
            self._found[storage] = numbers
        return self._found[storage]


def _in_a_row(tensor: Tensor) -> bool:
    """Whether the numbers lie one behind the other."""
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
