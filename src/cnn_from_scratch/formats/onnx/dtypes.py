"""ONNX's numbers for types of elements, and NumPy's dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import FormatError, UnsupportedOpError

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    8: np.dtype(object),  # strings, as Python's str
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
    14: np.dtype(np.complex64),
    15: np.dtype(np.complex128),
}
"""TensorProto.DataType, as onnx.proto numbers it."""

FOREIGN = {
    16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4",
    22: "int4", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
"""Those that NumPy lacks."""


def numpy_dtype(code: int, what: str) -> np.dtype[Any]:
    """The dtype for one of ONNX's numbers; `what` is named in the errors.

    Raises
    ------
    UnsupportedOpError
        If it is one that NumPy lacks.
    FormatError
        If it is none of ONNX's.

    Examples
    --------
    >>> numpy_dtype(1, "weight")
    dtype('float32')
    >>> numpy_dtype(16, "weight")
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.UnsupportedOpError: weight is of type bfloat16, which NumPy lacks
    """
    if code in FOREIGN:
        raise UnsupportedOpError(f"{what} is of type {FOREIGN[code]}, which NumPy lacks")
    if code not in DTYPES:
        raise FormatError(f"{what} is of type {code}, which ONNX does not define")
    return DTYPES[code]


def onnx_type(dtype: np.dtype[Any]) -> int:
    """ONNX's number for a dtype, whatever its byte order; strings (object, "U") are 8.

    Raises
    ------
    TypeError
        If ONNX has none.

    Examples
    --------
    >>> onnx_type(np.dtype(">f4")), onnx_type(np.dtype("U3"))
    (1, 8)
    """
    if dtype.kind == "U":
        return 8
    for code, known in DTYPES.items():
        if known == dtype.newbyteorder("="):
            return code
    raise TypeError(f"ONNX has no type for {dtype}")
