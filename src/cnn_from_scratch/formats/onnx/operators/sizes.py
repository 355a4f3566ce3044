"""The sizes of an array as numbers: Shape and Size. They do not depend on what is in it, so there is no gradient."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....typing import Array
from ..attributes import integer
from ..registry import Node, operator
from .pure import OneInput


@operator("Shape")
def shape(node: Node) -> OneInput:
    """The sizes of the axes from `start` to before `end`; nothing in it depends on the numbers of x."""
    forward = partial(_shape_forward, start=integer(node, "start", 0), end=integer(node, "end"))
    return OneInput(node, forward, _no_gradient)


def _shape_forward(x: Array, *, start: int, end: int | None) -> tuple[Array, None]:
    return np.array(x.shape[start:end], np.int64), None  # slices clip out-of-range ends just as ONNX does


@operator("Size")
def size(node: Node) -> OneInput:
    """How many numbers x has."""
    return OneInput(node, _size_forward, _no_gradient)


def _size_forward(x: Array) -> tuple[Array, None]:
    return np.array(x.size, np.int64), None


def _no_gradient(dy: Array, cache: None) -> None:
    return None
