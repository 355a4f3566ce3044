"""Tensors of an ONNX file as NumPy arrays. Nothing outside the file is read, nothing is allocated on its word alone.

A tensor says its sizes, its type and where its numbers are: as bytes (`raw_data`), or in a list for its type. Bytes and
lists must be as long as the sizes say, so no tensor is larger than the file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import FormatError
from ...typing import Array
from .dtypes import numpy_dtype

if TYPE_CHECKING:
    from onnx import TensorProto

EXTERNAL = 1
"""TensorProto.DataLocation"""

MAX_AXES = 64
"""NumPy's own limit."""

MAX_NUMBERS = 1 << 59
"""With 16 bytes each, as complex numbers have, they are as many as a signed number of 64 bits can count."""


def tensor_array(tensor: TensorProto, what: str) -> Array:
    """A tensor as an array, C-contiguous, in native byte order; `what` is named in the errors.

    Raises
    ------
    UnsupportedOpError
        If its type is one that NumPy lacks.
    FormatError
        If its sizes are negative or contradict its numbers, or these are in another file.
    """
    if tensor.data_location == EXTERNAL or len(tensor.external_data):
        raise FormatError(f"{what} has its numbers in another file, and only the model's own file is read")
    if tensor.HasField("segment"):
        raise FormatError(f"{what} is in segments, which no version of ONNX defines")
    dtype = numpy_dtype(tensor.data_type, what)
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0 or len(shape) > MAX_AXES:
        raise FormatError(f"{what} claims the shape {list(shape[:MAX_AXES])}")
    values = _from_bytes(tensor, dtype, what) if tensor.HasField("raw_data") else _from_list(tensor, dtype, what)
    if len(values) != math.prod(shape):
        raise FormatError(f"{what} claims the shape {list(shape)}, but holds {len(values)} numbers")
    if math.prod(max(size, 1) for size in shape) >= MAX_NUMBERS:
        raise FormatError(f"{what} claims the shape {list(shape)}, which is too large though it is empty")
    return values.reshape(shape)


def _from_bytes(tensor: TensorProto, dtype: np.dtype[Any], what: str) -> Array:
    """`raw_data`: little-endian, in C order."""
    if dtype.kind == "O":
        raise FormatError(f"{what} has strings as raw data")
    if len(tensor.raw_data) % dtype.itemsize:
        raise FormatError(f"{what} has {len(tensor.raw_data)} bytes, which are no whole number of {dtype}")
    if dtype.kind == "b":
        return np.frombuffer(tensor.raw_data, np.uint8).astype(bool)
    return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype)


def _from_list(tensor: TensorProto, dtype: np.dtype[Any], what: str) -> Array:
    """One of the typed fields; small types share one, float16 as bits, complex numbers as pairs."""
    if dtype.kind == "O":
        return _strings(list(tensor.string_data), what)
    if dtype.kind == "c":
        pairs = (
            np.array(tensor.float_data, np.float32) if dtype.itemsize == 8 else np.array(tensor.double_data, np.float64)
        )
        if len(pairs) % 2:
            raise FormatError(f"{what} has an odd number of parts of complex numbers")
        return pairs.view(dtype)
    if dtype == np.float32:
        return np.array(tensor.float_data, dtype)
    if dtype == np.float64:
        return np.array(tensor.double_data, dtype)
    if dtype == np.int64:
        return np.array(tensor.int64_data, dtype)
    if dtype in (np.uint32, np.uint64):
        return _narrow(np.array(tensor.uint64_data, np.uint64), dtype, what)
    numbers = np.array(tensor.int32_data, np.int32)
    if dtype == np.float16:
        return _narrow(numbers, np.dtype(np.uint16), what).view(dtype)
    return numbers.astype(bool) if dtype.kind == "b" else _narrow(numbers, dtype, what)


def _narrow(numbers: Array, dtype: np.dtype[Any], what: str) -> Array:
    """Numbers of a wide type as the narrow one that they should fit."""
    limits = np.iinfo(dtype)
    if len(numbers) and (numbers.min() < limits.min or numbers.max() > limits.max):
        raise FormatError(f"{what} holds {numbers.min()} to {numbers.max()}, which are beyond {dtype}")
    return numbers.astype(dtype)


def _strings(values: list[bytes], what: str) -> Array:
    try:
        found = [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} holds strings that are no UTF-8") from error
    array = np.empty(len(found), object)
    array[:] = found
    return array
