"""Numbers out of bytes, by the names that safetensors has for dtypes; those of 16 bits become float32.

float16 and bfloat16 are for storing and for special hardware; computed with is float32, which holds each of them
exactly. A bfloat16 is the upper half of a float32.
"""

from __future__ import annotations

import numpy as np

from ..errors import FormatError
from ..typing import Array

CODES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
         "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "u1"}  # fmt: skip
"""What lies in the bytes."""


def itemsize(code: str) -> int:
    """How many bytes a number takes in a file.

    Examples
    --------
    >>> itemsize("BF16")
    2
    """
    return np.dtype(CODES[code]).itemsize


def decode(data: bytes | bytearray, code: str, order: str = "<") -> Array:
    """Numbers in a row, read-only: float16 and bfloat16 as float32, the others as they are.

    Raises
    ------
    FormatError
        If the dtype is none of `CODES`, or the bytes are no whole numbers.

    Examples
    --------
    1.5 is 0 01111111 1000000... in float32, and bfloat16 ends where the dots begin.

    >>> decode(bytes([0b11000000, 0b00111111]), "BF16")
    array([1.5], dtype=float32)
    """
    if code not in CODES:
        raise FormatError(f"has numbers of type {code!r}, which NumPy lacks")
    stored = np.dtype(order + CODES[code])
    if len(data) % stored.itemsize:
        raise FormatError(f"has {len(data)} bytes for numbers of {stored.itemsize} bytes")
    numbers: Array = np.frombuffer(data, stored)
    if code == "BF16":
        numbers = (numbers.astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif code == "BOOL":
        numbers = numbers != 0
    else:
        numbers = numbers.astype(np.float32 if code == "F16" else stored.newbyteorder("="), copy=False)
    numbers.flags.writeable = False
    return numbers
