"""The attributes of a node, each read as what it must be; a file that holds something else gets a clear error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar, overload

from ...errors import FormatError, UnsupportedOpError
from ...layers.operation import Operation
from ...typing import Array
from ..shown import short
from .registry import Node

T = TypeVar("T")


class NodeOperation(Operation):
    """An operation made of a node; it refuses a node with too few or too many inputs or outputs."""

    arity: ClassVar[tuple[int, int]] = (1, 1)
    """The fewest and the most inputs."""

    results: ClassVar[int] = 1
    """The most outputs."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.op_type, node.attributes, node.opset)
        fewest, most = self.arity
        if not fewest <= node.inputs <= most:
            expected = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise FormatError(f"{label(node)} has {node.inputs} inputs; {node.op_type} takes {expected}")
        if node.outputs > self.results:
            raise FormatError(f"{label(node)} has {node.outputs} outputs; {node.op_type} gives at most {self.results}")


def label(node: Node) -> str:
    """How errors call a node."""
    return f"node {node.name!r} ({node.op_type}, opset {node.opset})"


@overload
def integer(node: Node, name: str, default: int) -> int: ...
@overload
def integer(node: Node, name: str, default: None = None) -> int | None: ...
def integer(node: Node, name: str, default: int | None = None) -> int | None:
    """One int.

    Examples
    --------
    >>> node = Node("Conv", "first", {"group": 2, "auto_pad": "VALID"}, 11, 2, 1)
    >>> integer(node, "group", 1)
    2
    >>> integer(node, "auto_pad", 1)
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.FormatError: node 'first' (Conv, opset 11): auto_pad must be an int, got 'VALID'
    """
    return _attribute(node, name, default, int, "an int")


def number(node: Node, name: str, default: float) -> float:
    """One float, or an int in its place."""
    value: Any = node.attributes.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{label(node)}: {name} must be a float, got {short(value)}")
    return float(value)


@overload
def text(node: Node, name: str, default: str) -> str: ...
@overload
def text(node: Node, name: str, default: None = None) -> str | None: ...
def text(node: Node, name: str, default: str | None = None) -> str | None:
    """One string."""
    return _attribute(node, name, default, str, "a string")


def choice(node: Node, name: str, default: str, choices: Sequence[str]) -> str:
    """One of some strings."""
    value = text(node, name, default)
    if value not in choices:
        raise FormatError(f"{label(node)}: {name} must be one of {', '.join(choices)}, got {short(value)}")
    return value


@overload
def integers(node: Node, name: str, default: Sequence[int]) -> tuple[int, ...]: ...
@overload
def integers(node: Node, name: str, default: None = None) -> tuple[int, ...] | None: ...
def integers(node: Node, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
    """Several ints."""
    value: Any = node.attributes.get(name, default)
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(type(item) is int for item in value):
        raise FormatError(f"{label(node)}: {name} must be a list of ints, got {short(value)}")
    return tuple(value)


def require(node: Node, name: str, value: T | None) -> T:
    """The value of an attribute that must be there."""
    if value is None:
        raise FormatError(f"{label(node)}: attribute {name} is missing")
    return value


def unsupported(node: Node, what: str) -> UnsupportedOpError:
    """The error for a variant of an operator that is not here."""
    return UnsupportedOpError(f"{node.op_type} (opset {node.opset}) with {what} is not supported; {label(node)} has it")


def given(operation: Operation, inputs: Sequence[Array | None], count: int) -> list[Array]:
    """The first inputs, which must be there."""
    found = [array for array in inputs[:count] if array is not None]
    if len(found) < count:
        raise FormatError(f"{operation.op_type}: its first {count} inputs must be there")
    return found


def optional(inputs: Sequence[Array | None], index: int) -> Array | None:
    """The input at `index`, None where the node does not list so many."""
    return inputs[index] if index < len(inputs) else None


def _attribute(node: Node, name: str, default: T | None, kind: type[T], what: str) -> T | None:
    value = node.attributes.get(name, default)
    if value is None and default is None and name not in node.attributes:
        return None
    if type(value) is not kind:
        raise FormatError(f"{label(node)}: {name} must be {what}, got {short(value)}")
    return value
