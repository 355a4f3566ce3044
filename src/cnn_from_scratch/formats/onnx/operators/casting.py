"""Numbers of another type: Cast and CastLike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ....errors import UnsupportedOpError
from ....typing import Array
from ..attributes import integer, label, require, text, unsupported
from ..dtypes import FOREIGN, numpy_dtype
from ..registry import Node, operator
from .pure import OneInput, PureOperation

NAMES = (
    "UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64 COMPLEX64 COMPLEX128"
).split()
"""How Cast called its target before version 6, by number."""


def cast(x: Array, dtype: np.dtype[Any]) -> tuple[Array, np.dtype[Any]]:
    """x as numbers of another type, and the type that it had.

    Floats lose what is behind the point, as in C; floats that the new type has no room for become infinite, and
    integers keep their lowest bits. Only conversion to float8 saturates, which NumPy lacks. True is 1.

    Examples
    --------
    >>> cast(np.array([-1.9, 300.0]), np.dtype(np.int64))[0]
    array([ -1, 300])
    >>> cast(np.array([1e5, 2.0]), np.dtype(np.float16))[0]
    array([inf,  2.], dtype=float16)
    """
    if x.dtype.kind in "OUS":
        raise UnsupportedOpError("Cast: input is of strings; strings are not converted to numbers here")
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(dtype), x.dtype


def cast_back(dy: Array, dtype: np.dtype[Any]) -> Array | None:
    """dy as numbers of the type that x had; zero, and so None, where that were no floats."""
    return dy.astype(dtype) if dtype.kind == "f" else None


@operator("Cast")
def cast_(node: Node) -> OneInput:
    """y = x in the type `to`, a name before version 6 and a number from then on."""
    if node.opset < 6:
        name = require(node, "to", text(node, "to")).upper()
        code = NAMES.index(name) if name in NAMES else -1
    else:
        code = require(node, "to", integer(node, "to"))
    if code in FOREIGN:
        raise unsupported(node, f"to = {FOREIGN[code]}, which NumPy lacks,")
    dtype = numpy_dtype(code, f"{label(node)}: to")
    if dtype.kind == "O":
        raise unsupported(node, "to = string")
    return OneInput(node, partial(cast, dtype=dtype), cast_back)


@operator("CastLike")
class CastLike(PureOperation):
    """y = x in the type of the second input, whose numbers do not matter."""

    arity = (2, 2)

    def compute(self, x: Array, like: Array) -> tuple[Array, np.dtype[Any]]:
        """As Cast."""
        if like.dtype.kind in "OUS":
            raise UnsupportedOpError("CastLike: numbers are not converted to strings here")
        return cast(x, like.dtype.newbyteorder("="))

    def gradients(self, dy: Array, cache: np.dtype[Any], wanted: Sequence[bool]) -> Sequence[Array | None]:
        """As Cast."""
        return cast_back(dy, cache), None
