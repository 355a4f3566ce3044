"""A graph as plain data, and back: its nodes by operator, version and attributes, and what its initializers look like.

The numbers of the initializers, constants too, lie beside the architecture in the file, as those of layers do. An
operation is made again by the registry of ONNX's operators, so a file can ask for nothing but these.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import FormatError
from ..layers import Graph, GraphNode, Layer, ValueInfo
from ..layers.context import join
from ..layers.operation import Operation
from ..typing import Array
from .onnx.registry import Node, make_operation
from .shown import short
from .tensors import DTYPES

GraphSpec: TypeAlias = dict[str, Any]

PARTS = {"nodes": list, "inputs": list, "outputs": list, "initializers": list, "trainable": list, "notes": list}
NODE = {"name": str, "op_type": str, "opset": int, "attributes": dict, "inputs": list, "outputs": list}
MAX_NODES = 100_000


def describe_graph(graph: Graph, key: str) -> GraphSpec:
    """All of a graph but the numbers in its initializers.

    Raises
    ------
    TypeError
        If an operation is not one that the registry makes of its operator, version and attributes.
    """
    arrays = dict(graph.params) | graph.buffers | graph.constants
    return {
        "nodes": [_node_spec(node, key) for node in graph.nodes],
        "inputs": [[v.name, v.dtype.str, None if v.shape is None else list(v.shape)] for v in graph.inputs],
        "outputs": list(graph.outputs),
        "initializers": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
        "trainable": list(graph.params),
        "notes": list(graph.notes),
    }


def constants_of(model: Layer) -> dict[str, Array]:
    """The constants of all graphs inside, under their full keys: neither params nor buffers, but part of the file."""
    graphs = [(key, layer) for key, layer in model.layers() if isinstance(layer, Graph)]
    return {join(key, name): array for key, graph in graphs for name, array in graph.constants.items()}


def graph_size(spec: Any) -> int:
    """How many numbers a graph's initializers claim to have; 0 for what `build_graph` will refuse.

    An empty axis does not excuse the others: NumPy takes no absurd sizes in any case.
    """
    entries = spec.get("initializers") if isinstance(spec, Mapping) else None
    listed = entries if isinstance(entries, list) else []
    shapes = [entry[2] for entry in listed if isinstance(entry, list) and len(entry) == 3]
    return sum(math.prod(max(size, 1) for size in shape) for shape in shapes if _is_shape(shape))


def build_graph(spec: Any, key: str) -> Graph:
    """The graph that was described, with zeros for its initializers.

    Raises
    ------
    FormatError
        If it describes no graph. Nothing in it is run.
    """
    if not isinstance(spec, dict) or spec.keys() != PARTS.keys():
        raise FormatError(f"graph {key!r}: must have exactly {', '.join(PARTS)}")
    _require_types(spec, PARTS, f"graph {key!r}")
    if len(spec["nodes"]) > MAX_NODES:
        raise FormatError(f"graph {key!r}: has more than {MAX_NODES} nodes")
    for part in ("outputs", "trainable", "notes"):
        _require_strings(spec[part], f"graph {key!r}: {part}")
    initializers = dict(_initializer(entry, key) for entry in spec["initializers"])
    inputs = [_input(entry, key) for entry in spec["inputs"]]
    try:
        nodes = [_node(entry, key) for entry in spec["nodes"]]
        graph = Graph(nodes, inputs, spec["outputs"], initializers, trainable=spec["trainable"])
    except FormatError as error:
        raise FormatError(f"graph {key!r}: {str(error).removeprefix(f'graph {key!r}: ')}") from error
    except Exception as error:  # an operator meets attributes that no exporter would write
        raise FormatError(f"graph {key!r} cannot be made: {type(error).__name__}: {error}") from error
    graph.notes = tuple(spec["notes"])
    return graph


# --- nodes ------------------------------------------------------------------------------------------------------------


def _node_spec(node: GraphNode, key: str) -> dict[str, Any]:
    operation = node.operation
    where = f"save_model: {node} of graph {key!r}"
    attributes = {name: encode(value, f"{where}: {name}") for name, value in operation.attributes.items()}
    try:
        again: Operation | None = make_operation(_as_node(node))
    except Exception:  # whatever it says, it is not made by the registry
        again = None
    if type(again) is not type(operation):
        raise TypeError(f"{where} has an operation of your own, {type(operation).__name__}, which cannot be saved")
    return {
        "name": node.name,
        "op_type": operation.op_type,
        "opset": operation.opset,
        "attributes": attributes,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
    }


def _as_node(node: GraphNode) -> Node:
    operation = node.operation
    sizes = len(node.inputs), len(node.outputs)
    return Node(operation.op_type, node.name, dict(operation.attributes), operation.opset, *sizes)


def _node(entry: Any, key: str) -> GraphNode:
    where = f"graph {key!r}: node {short(entry.get('name') if isinstance(entry, dict) else entry)}"
    if not isinstance(entry, dict) or entry.keys() != NODE.keys():
        raise FormatError(f"{where} must have exactly {', '.join(NODE)}")
    _require_types(entry, NODE, where)
    for part in ("inputs", "outputs"):
        _require_strings(entry[part], f"{where}: {part}")
    attributes = {name: decode(value, f"{where}: {name}") for name, value in entry["attributes"].items()}
    sizes = len(entry["inputs"]), len(entry["outputs"])
    operation = make_operation(Node(entry["op_type"], entry["name"], attributes, entry["opset"], *sizes))
    return GraphNode(entry["name"], operation, tuple(entry["inputs"]), tuple(entry["outputs"]))


def _input(entry: Any, key: str) -> ValueInfo:
    where = f"graph {key!r}: an input"
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[0], str):
        raise FormatError(f"{where} must be [name, dtype, shape], got {short(entry)}")
    name, dtype, shape = entry
    free = isinstance(shape, list) and all(n is None or isinstance(n, str) or _is_count(n) for n in shape)
    if shape is not None and not free:
        raise FormatError(f"{where}, {name!r}, has the shape {short(shape)}")
    return ValueInfo(name, _dtype(dtype, where, others=("|O",)), None if shape is None else tuple(shape))


def _initializer(entry: Any, key: str) -> tuple[str, Array]:
    where = f"graph {key!r}: an initializer"
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[0], str) or not _is_shape(entry[2]):
        raise FormatError(f"{where} must be [name, dtype, shape], got {short(entry)}")
    return entry[0], np.zeros(entry[2], _dtype(entry[1], where))


# --- attributes -------------------------------------------------------------------------------------------------------


def encode(value: Any, where: str) -> Any:
    """An attribute as JSON has it; arrays as their bytes.

    Raises
    ------
    TypeError
        If it is nothing that an attribute can be.

    Examples
    --------
    >>> encode([1, 2.5], "x"), encode(np.ones(1, np.float32), "x")
    ([1, 2.5], {'array': '<f4', 'shape': [1], 'base64': 'AACAPw=='})
    """
    if isinstance(value, np.ndarray) and value.dtype.str[1:] in DTYPES:
        little = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
        text = base64.b64encode(little.tobytes()).decode()
        return {"array": little.dtype.str, "shape": list(value.shape), "base64": text}
    if isinstance(value, list | tuple):
        return [encode(item, where) for item in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{where} is {value!r}, which cannot be written")


def decode(value: Any, where: str) -> Any:
    """What `encode` was given.

    Examples
    --------
    >>> decode(encode(np.ones(1, np.float32), "x"), "x"), decode({"float": "-inf"}, "x")
    (array([1.], dtype=float32), -inf)
    """
    if isinstance(value, list):
        return [decode(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if value.keys() == {"bytes"}:
            return base64.b64decode(value["bytes"], validate=True)
        if value.keys() == {"float"} and value["float"] in ("inf", "-inf", "nan"):
            return float(value["float"])
        if value.keys() == {"array", "shape", "base64"} and _is_shape(value["shape"]):
            data = base64.b64decode(value["base64"], validate=True)
            return np.frombuffer(data, _dtype(value["array"], where)).reshape(value["shape"]).copy()
    except (TypeError, ValueError, binascii.Error) as error:
        raise FormatError(f"{where} is damaged: {error}") from error
    raise FormatError(f"{where} is no attribute: {short(value)}")


# --- checks -----------------------------------------------------------------------------------------------------------


def _dtype(text: Any, where: str, *, others: tuple[str, ...] = ()) -> np.dtype[Any]:
    if not isinstance(text, str) or not ((text[:1] in "<>|=" and text[1:] in DTYPES) or text in others):
        raise FormatError(f"{where} has the dtype {short(text)}, which is not known")
    return np.dtype(text)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 32 and all(map(_is_count, value))


def _require_types(spec: Mapping[str, Any], types: Mapping[str, type], where: str) -> None:
    for name, kind in types.items():
        if not isinstance(spec[name], kind) or isinstance(spec[name], bool):
            raise FormatError(f"{where}: {name} must be of type {kind.__name__}, got {short(spec[name])}")


def _require_strings(values: list[Any], where: str) -> None:
    if not all(isinstance(value, str) for value in values):
        raise FormatError(f"{where} must be names, got {short(values)}")
