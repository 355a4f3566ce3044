"""Which layer reads what: a model written out as a flat list of nodes whose values are numbered.

A chain hands a value from one layer to the next. A branch needs more: `Residual` reads one value twice and adds two.
So every result gets a number, and a node says which numbers it reads and which one it makes::

    Residual(conv, shortcut)  of value 3     ->     conv:      3 -> 4
                                                    shortcut:  3 -> 5
                                                    Residual:  4, 5 -> 6

Containers are gone after that, and what does nothing in evaluation (Dropout, Identity) is not there at all.
"""

from __future__ import annotations

from typing import NamedTuple

from ..base import Layer, Shape
from ..branches import Concat, Residual
from ..containers import Sequential
from ..context import join
from ..dropout import Dropout
from ..graph import Graph as LayerGraph
from ..shape import Identity


class Node(NamedTuple):
    """One layer at its place: what it reads, what it makes, and their shapes without the batch axis."""

    key: str
    layer: Layer
    inputs: tuple[int, ...]
    output: int
    input_shape: Shape
    output_shape: Shape


class Graph:
    """The nodes of a model in the order they run. Value 0 is the input, `output` the number of the result.

    Examples
    --------
    >>> from cnn_from_scratch.layers import ReLU
    >>> graph = Graph(Sequential(Residual(ReLU()), Dropout()), (4,))
    >>> [(node.key, node.inputs, node.output) for node in graph.nodes]
    [('0.body', (0,), 1), ('0', (1, 0), 2)]
    """

    def __init__(self, model: Layer, input_shape: Shape) -> None:
        self.nodes: list[Node] = []
        self.shapes: list[Shape] = [input_shape]
        self.output = self._add("", model, 0)

    def readers(self, value: int) -> list[Node]:
        """The nodes that read this value."""
        return [node for node in self.nodes if value in node.inputs]

    def only_reader(self, value: int) -> Node | None:
        """The node that reads this value, if it is one and nobody else wants it."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and value != self.output and len(readers[0].inputs) == 1 else None

    def _add(self, key: str, layer: Layer, value: int) -> int:
        """Write out `layer` reading `value`; the number of its result. Subclasses may compute anything: they stay."""
        kind = type(layer)
        if kind is Sequential:
            for name, child in layer.children.items():  # type: ignore[attr-defined]
                value = self._add(join(key, name), child, value)
            return value
        if kind is Residual:
            branches = [self._add(join(key, name), child, value) for name, child in layer.children.items()]  # type: ignore[attr-defined]
            return self._node(key, layer, (*branches, value) if len(branches) == 1 else tuple(branches), value)
        if kind is Concat:
            branches = [self._add(join(key, name), child, value) for name, child in layer.children.items()]  # type: ignore[attr-defined]
            return self._node(key, layer, tuple(branches), value)
        if kind is LayerGraph:
            return self._add_graph(key, layer, value)  # type: ignore[arg-type]
        if kind in (Dropout, Identity):
            return value
        return self._node(key, layer, (value,), value)

    def _add_graph(self, key: str, layer: LayerGraph, value: int) -> int:
        """A graph as the layers that it can be written as; one that does nothing in evaluation is not there."""
        if all(node.operation.op_type in ("Dropout", "Identity") and not node.outputs[1:] for node in layer.nodes):
            return value
        lowered = layer.to_layers(self.shapes[value])
        return self._node(key, layer, (value,), value) if lowered is None else self._add(key, lowered, value)

    def _node(self, key: str, layer: Layer, inputs: tuple[int, ...], value: int) -> int:
        shape = layer.output_shape(self.shapes[value])
        self.nodes.append(Node(key, layer, inputs, len(self.shapes), self.shapes[value], shape))
        self.shapes.append(shape)
        return len(self.shapes) - 1
