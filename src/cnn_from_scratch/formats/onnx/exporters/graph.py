"""A graph gives its nodes back: operators, attributes and names are those that it was read with."""

from __future__ import annotations

import numpy as np

from ....errors import CnnError
from ....layers.base import Shape
from ....layers.context import join
from ....layers.graph import Graph
from ....typing import Array
from ..export_graph import ExportGraph, ExportValue, Place
from .table import exports


@exports(Graph, since=1)
def graph(place: Place, layer: Graph, x: str, shape: Shape) -> str:
    """The nodes of a graph with one input and one output, their names behind the key of the graph."""
    source, target = layer.single("save_onnx")
    return write_nodes(place.graph, layer, place.key, {source.name: x})[target]


def write_whole_graph(graph: ExportGraph, layer: Graph) -> None:
    """A graph that is the whole model, with all of its inputs and outputs, under its own names."""
    given = {value.name: graph.new_name(value.name) for value in layer.inputs if value.name not in held(layer)}
    names = write_nodes(graph, layer, "", given)
    graph.inputs += [ExportValue(names[value.name], value.dtype, value.shape) for value in layer.inputs]
    graph.outputs += [ExportValue(names[name], None, None) for name in layer.outputs]
    graph.otherwise = lambda: {names[value.name]: value._replace(name=names[value.name]) for value in _tried(layer)}


def _tried(layer: Graph) -> list[ExportValue]:
    """dtype and rank of every output, by running the graph with zeros; nothing if it does not take them."""
    given = {
        value.name: np.zeros([n if isinstance(n, int) else 2 for n in value.shape or ()], value.dtype)
        for value in layer.inputs
        if value.name not in held(layer)
    }
    try:
        found = layer.run(given)
    except (CnnError, ValueError, TypeError, ArithmeticError, MemoryError):
        return []
    return [ExportValue(name, array.dtype, (None,) * array.ndim) for name, array in found.items()]


def held(layer: Graph) -> dict[str, object]:
    """Every array that a graph holds, by its name."""
    return {**layer.params, **layer.buffers, **layer.constants}


def write_nodes(graph: ExportGraph, layer: Graph, key: str, given: dict[str, str]) -> dict[str, str]:
    """Write nodes and initializers; gives the names that the values of the layer now have.

    Parameters
    ----------
    graph : ExportGraph
    layer : Graph
    key : str
        Of the layer.
    given : dict of str
        What its inputs are called.
    """
    learned = {**layer.params, **layer.buffers}
    names = {"": "", **given, **{name: join(key, name) for name in learned}}
    names |= {name: graph.new_name(join(key, name)) for name in layer.constants}
    used = {name for node in layer.nodes for name in node.inputs} | set(layer.outputs)
    for name, array in {**learned, **layer.constants}.items():
        if name in used and _looks_learned(array) and name in layer.constants:
            graph.add(f"{names[name]}.Constant", "Constant", (), (names[name],), {"value": array})
        elif name in used:
            graph.initializers[names[name]] = array
    for node in layer.nodes:
        names |= {name: graph.new_name(join(key, name)) for name in node.outputs if name}
        operation, inputs = node.operation, [names[name] for name in node.inputs]
        outputs = [names[name] for name in node.outputs]
        graph.add(join(key, node.name), operation.op_type, inputs, outputs, operation.attributes)
    return names


def _looks_learned(array: Array) -> bool:
    """Whether this would be taken for a parameter if it were an initializer: floating numbers, and no single one."""
    return array.dtype.kind == "f" and array.ndim > 0
