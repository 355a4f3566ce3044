"""Where the largest and the smallest numbers are: ArgMax, ArgMin. A position has no gradient."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....errors import ShapeError
from ....typing import Array
from ..attributes import integer
from ..registry import Node, operator
from .axes import axis_in
from .pure import OneInput


@operator("ArgMax", "ArgMin")
def argument(node: Node) -> OneInput:
    """y = the index of the extreme along `axis`, of the first one unless ``select_last_index=1``."""
    forward = partial(
        _position,
        name=node.op_type,
        axis=integer(node, "axis", 0),
        keepdims=bool(integer(node, "keepdims", 1)),
        last=bool(integer(node, "select_last_index", 0)),
    )
    return OneInput(node, forward)


def _position(x: Array, *, name: str, axis: int, keepdims: bool, last: bool) -> tuple[Array, None]:
    axis = axis_in(name, axis, x.ndim)
    if x.shape[axis] == 0:
        raise ShapeError(f"{name}: axis {axis} of an array {x.shape} is empty, so there is nothing to choose from")
    find = np.argmax if name == "ArgMax" else np.argmin
    if last:  # the first from behind
        return x.shape[axis] - 1 - find(np.flip(x, axis), axis, keepdims=keepdims), None
    return find(x, axis, keepdims=keepdims), None
