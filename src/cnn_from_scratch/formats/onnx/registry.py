"""Which operators of ONNX there are here, by name: an operator is a function that makes an `Operation` of a node.

A function registers itself with ``@operator("Relu")``. It is given the node alone, so everything in which two versions
of an operator differ (attributes that became inputs, defaults that changed) is decided once, when the graph is read, by
``node.opset``. Operators live in ``operators/``, by family; the first look-up imports all of its modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ...errors import UnsupportedOpError
from ...layers.operation import Operation

NEWEST_OPSET = 27
"""The newest version of ONNX's own operators that has been compared with ONNX's tests (onnx 1.22)."""


class Node(NamedTuple):
    """One node of an ONNX graph, without its names: what decides how it computes."""

    op_type: str
    name: str
    attributes: dict[str, Any]  # int, float, str, bytes that are no text, lists of these, and arrays (tensors)
    opset: int  # of the node's domain, as the model imports it
    inputs: int  # how many are listed; an empty name in the middle counts
    outputs: int
    domain: str = ""


Make: TypeAlias = Callable[[Node], Operation]
"""A function, or a class of operations that is made of a node."""

M = TypeVar("M", bound=Make)

_OPERATORS: dict[str, Make] = {}


def operator(*names: str) -> Callable[[M], M]:
    """Register a function, or a class, that makes the operation of a node of one of these types.

    Raises
    ------
    ValueError
        If a name is taken.
    """

    def register(make: M) -> M:
        for name in names:
            if name in _OPERATORS:
                raise ValueError(f"operator: {name!r} is registered twice")
            _OPERATORS[name] = make
        return make

    return register


def supported_operators() -> tuple[str, ...]:
    """The names of all operators that can be read, in alphabetical order.

    Examples
    --------
    >>> "Conv" in supported_operators()
    True
    """
    _load()
    return tuple(sorted(_OPERATORS))


def make_operation(node: Node) -> Operation:
    """The operation that a node computes.

    Raises
    ------
    UnsupportedOpError
        If there is no such operator here, or not in this version or with these attributes.

    Examples
    --------
    >>> make_operation(Node("Foo", "head", {}, 18, 1, 1))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.UnsupportedOpError: Foo (opset 18) is not supported; node 'head' ...
    """
    _load()
    if node.domain not in ("", "ai.onnx"):
        raise UnsupportedOpError(
            f"{node.op_type} (domain {node.domain!r}, version {node.opset}) is not supported; node {node.name!r} "
            "is of a domain other than ONNX's own"
        )
    if node.op_type not in _OPERATORS:
        raise UnsupportedOpError(
            f"{node.op_type} (opset {node.opset}) is not supported; node {node.name!r} computes it. "
            "cnn_from_scratch.formats.onnx.supported_operators() lists those that are"
        )
    if not 1 <= node.opset <= NEWEST_OPSET:
        raise UnsupportedOpError(
            f"{node.op_type} (opset {node.opset}) is not supported; node {node.name!r} needs it, "
            f"but opsets 1 to {NEWEST_OPSET} are known"
        )
    return _OPERATORS[node.op_type](node)


@cache
def _load() -> None:
    """Import every module of operators, each of which registers its own."""
    from . import operators

    for module in pkgutil.iter_modules(operators.__path__):
        importlib.import_module(f"{operators.__name__}.{module.name}")
