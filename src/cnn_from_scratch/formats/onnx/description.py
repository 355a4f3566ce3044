"""An ONNX message in plain values: nodes, inputs, outputs and initializers, each checked by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import FormatError, LimitError, UnsupportedOpError
from ...layers.graph import ValueInfo
from ...typing import Array
from .messages import attributes_of, require_text, value_info
from .registry import Node
from .tensors import tensor_array

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

MAX_NODES = 100_000

OPTIONAL_INITIALIZERS = 4
"""Since this version of the format an initializer is an input only where it may be replaced; before, each had to be."""


class Placed(NamedTuple):
    """A node, and the values it reads and makes."""

    node: Node
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Described(NamedTuple):
    """A graph before its operations are made."""

    nodes: list[Placed]
    inputs: list[ValueInfo]
    outputs: list[str]
    initializers: dict[str, Array]  # and the values of Constant nodes
    fixed: frozenset[str] = frozenset()  # which of them are those of Constant nodes

    def required(self) -> list[ValueInfo]:
        """The inputs that must be given: an initializer of the same name is a default."""
        return [info for info in self.inputs if info.name not in self.initializers]


class _Versions(NamedTuple):
    """Which operators the model imports, and which it defines itself."""

    opsets: dict[str, int]  # by domain
    functions: frozenset[tuple[str, str]]

    @staticmethod
    def of(message: ModelProto) -> _Versions:
        """Files of the first two versions of the format import nothing, and mean version 1."""
        require_text([entry.domain for entry in (*message.opset_import, *message.functions)], "an operator set")
        opsets = {_domain(entry.domain): entry.version for entry in message.opset_import}
        if not opsets and message.ir_version < 3:
            opsets = {"": 1}
        return _Versions(opsets, frozenset((_domain(f.domain), f.name) for f in message.functions))


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def describe(message: ModelProto) -> Described:
    """The graph in plain values, checked one by one; whether they fit together is for the graph to say."""
    graph, versions = message.graph, _Versions.of(message)
    if len(graph.node) > MAX_NODES:
        raise LimitError(f"has {len(graph.node)} nodes; at most {MAX_NODES} are accepted")
    if len(graph.sparse_initializer):
        raise UnsupportedOpError("has sparse initializers, which are not supported")
    require_text([value.name for value in (*graph.input, *graph.output)], "an input or output")
    require_text([tensor.name for tensor in graph.initializer], "an initializer")
    require_text([node.name for node in graph.node], "a node")
    initializers = _initializers(graph)
    inputs = [value_info(value, f"input {value.name!r}") for value in graph.input]
    nodes: list[Placed] = []
    fixed: set[str] = set()
    taken = {node.name for node in graph.node}
    for index, node in enumerate(graph.node):
        placed = _placed(node, index, versions, taken)
        taken.add(placed.node.name)
        constant = _constant(placed)
        if constant is None:
            nodes.append(placed)
        elif placed.outputs[0] in initializers:
            raise FormatError(f"value {placed.outputs[0]!r} is given twice")
        else:
            initializers[placed.outputs[0]] = constant
            fixed.add(placed.outputs[0])
    if message.ir_version < OPTIONAL_INITIALIZERS:
        inputs = [info for info in inputs if info.name not in initializers]
    return Described(nodes, inputs, [v.name for v in graph.output], initializers, frozenset(fixed))


def _initializers(graph: GraphProto) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in found:
            raise FormatError(f"has two initializers named {tensor.name!r}, or one without a name")
        found[tensor.name] = tensor_array(tensor, f"initializer {tensor.name!r}")
    return found


def _placed(message: NodeProto, index: int, versions: _Versions, taken: set[str]) -> Placed:
    """One node; one without a name, or with that of another, gets one from its type and place."""
    domain, what = _domain(message.domain), f"node {message.name or index!r} ({message.op_type})"
    attributed = (attribute.name for attribute in message.attribute)
    require_text((message.op_type, domain, *message.input, *message.output, *attributed), what)
    if (domain, message.op_type) in versions.functions:
        raise UnsupportedOpError(f"{what} is a function that the model defines itself, which is not supported")
    if domain not in versions.opsets and not domain:
        raise FormatError(f"{what} is of ONNX's own operators, but the model does not say of which version")
    attributes = attributes_of(message, what)
    opset = versions.opsets.get(domain, 0)
    name = _name(message, index, taken)
    node = Node(message.op_type, name, attributes, opset, len(message.input), len(message.output), domain)
    return Placed(node, tuple(message.input), tuple(message.output))


def _name(message: NodeProto, index: int, taken: set[str]) -> str:
    if message.name:
        return message.name
    name = f"{message.op_type}_{index}"
    while name in taken:
        name += "_"
    return name


def _constant(placed: Placed) -> Array | None:
    """What a node Constant holds, as an initializer has it; None for any other node."""
    node = placed.node
    if node.op_type != "Constant" or node.domain:
        return None
    if len(node.attributes) != 1 or len(placed.outputs) != 1 or placed.inputs:
        raise FormatError(f"node {node.name!r} (Constant) must have one attribute, one output and no input")
    ((name, value),) = node.attributes.items()
    if name == "value" and isinstance(value, np.ndarray):
        return value
    dtypes = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64,
              "value_string": object, "value_strings": object}  # fmt: skip
    if name not in dtypes:
        raise FormatError(f"node {node.name!r} (Constant) has an attribute {name!r}, which it cannot have")
    return np.array(value, dtypes[name])
