"""One node of a graph as a layer: what summaries and traces show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..typing import Array
from .arrays import Arrays
from .base import Grads, Layer, Shape
from .context import Context
from .graph_order import GraphNode

if TYPE_CHECKING:
    from .graph import Graph


class NodeLayer(Layer):
    """A node of a `Graph`, with the graph's own parameters as far as it reads them. The graph runs it, nobody else.

    Its parameters have the names that they have in the graph, without the node's name before them; two nodes may share
    one. See `full_key`.
    """

    def __init__(self, graph: Graph, node: GraphNode) -> None:
        super().__init__()
        self.graph, self.node = graph, node
        self.example_shapes: dict[Shape, tuple[Shape, int]] = {}  # of the output, and its multiply-adds, by the input's

    @property
    def params(self) -> Arrays:
        """Those of the graph's parameters that the node reads."""
        return Arrays({name: a for name, a in self.graph.params.items() if name in self.node.inputs})

    @params.setter
    def params(self, arrays: Any) -> None:
        raise TypeError("a node's parameters belong to its graph")

    @property
    def buffers(self) -> Arrays:
        """Those of the graph's buffers that the node reads."""
        return Arrays({name: a for name, a in self.graph.buffers.items() if name in self.node.inputs})

    @buffers.setter
    def buffers(self, arrays: Any) -> None:
        raise TypeError("a node's buffers belong to its graph")

    @property
    def frozen(self) -> frozenset[str]:
        """What the graph says."""
        return self.graph.frozen & {*self.params, *self.buffers}

    def full_key(self, key: str, name: str) -> str:
        """The graph's key, and the name: a node's own name is no part of it."""
        return key.removesuffix(self.node.name) + name

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """Not to be called: a node may have other inputs than x."""
        raise NotImplementedError(f"{self.node} is run by its graph")

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """Not to be called."""
        raise NotImplementedError(f"{self.node} is run by its graph")

    def output_shape(self, input_shape: Shape) -> Shape:
        """As it was when the graph looked at an example last."""
        return self.example_shapes.get(tuple(input_shape), (tuple(input_shape), 0))[0]

    def multiply_adds(self, input_shape: Shape) -> int:
        """Likewise."""
        return self.example_shapes.get(tuple(input_shape), ((), 0))[1]

    def config(self) -> dict[str, Any]:
        """What makes the operation again."""
        operation = self.node.operation
        return {"op_type": operation.op_type, "attributes": operation.attributes, "opset": operation.opset}

    def __repr__(self) -> str:
        return repr(self.node.operation)
