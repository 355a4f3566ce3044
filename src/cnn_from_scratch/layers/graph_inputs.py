"""What is given to a graph must be what its inputs are declared to be."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .graph_order import ValueInfo


def check_input(function: str, declared: ValueInfo, x: Array) -> None:
    """Raise unless an input has the declared dtype and shape.

    Raises
    ------
    TypeError
        If it is no array, or of another dtype.
    ShapeError
        If it has another rank, or another length along an axis whose length is declared.

    Examples
    --------
    >>> check_input("run", ValueInfo("x", np.dtype(np.float32), ("N", 3)), np.zeros((2, 4), np.float32))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.ShapeError: run: input x float32 (N, 3) was given an array of shape (2, 4)
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{function}: input {declared.name!r} must be a NumPy array, got {type(x).__name__}")
    if x.dtype.newbyteorder("=") != declared.dtype and "O" not in (x.dtype.kind, declared.dtype.kind):
        raise TypeError(f"{function}: input {declared.name!r} must be {declared.dtype}, got {x.dtype}")
    shape = declared.shape
    if shape is not None and (
        len(shape) != x.ndim or any(isinstance(n, int) and n != m for n, m in zip(shape, x.shape, strict=True))
    ):
        raise ShapeError(f"{function}: input {declared} was given an array of shape {x.shape}")
