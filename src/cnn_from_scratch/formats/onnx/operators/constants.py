"""Values that stand in the file: Constant in all its forms, and ConstantOfShape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ....errors import FormatError, ShapeError
from ....typing import Array
from ..attributes import label
from ..registry import Node, operator
from .axes import integers_of
from .layout import require_room
from .pure import OneInput, PureOperation

FORMS = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": object,
    "value_strings": object,
}
"""The attributes of Constant, of which a node has one, and the dtype of those that are not a tensor."""


@operator("Constant")
class Constant(PureOperation):
    """y = a value: a tensor, or since version 12 also numbers and strings; sparse tensors are refused by the reader."""

    arity = (0, 0)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        found = [name for name in FORMS if name in node.attributes]
        if len(found) != 1:
            raise FormatError(f"{label(node)}: must have exactly one of {', '.join(FORMS)}, got {found}")
        (name,) = found
        value = node.attributes[name]
        if FORMS[name] is None and not isinstance(value, np.ndarray):
            raise FormatError(f"{label(node)}: {name} must be a tensor, got {type(value).__name__}")
        self._value = np.array(value, FORMS[name])
        self._value.flags.writeable = False  # every pass gives out this very array

    def compute(self, *inputs: Any) -> tuple[Array, None]:
        """The array, which nobody may write."""
        return self._value, None

    def gradients(self, dy: Array, cache: None, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """There are no inputs."""
        return ()


@operator("ConstantOfShape")
def constant_of_shape(node: Node) -> OneInput:
    """y = an array of the shape that the input holds, full of one value; float32 zeros unless one is given."""
    value = node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise FormatError(f"{label(node)}: value must be a tensor of one number, got {value!r}")
    return OneInput(node, partial(_full, value=value.reshape(())), _no_gradient)


def _full(shape: Array, *, value: Array) -> tuple[Array, None]:
    sizes = integers_of("ConstantOfShape", "input", shape)
    if min(sizes, default=0) < 0:
        raise ShapeError(f"ConstantOfShape: sizes must be at least 0, got {sizes}")
    require_room("ConstantOfShape", sizes, value.dtype)
    return np.full(sizes, value), None


def _no_gradient(dy: Array, cache: None) -> None:
    return None
