"""What becomes of shapes in a graph: two examples of zeros run through it, and every value is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import CnnError
from ..typing import Array
from .base import Shape
from .context import Context
from .graph_batch import BATCH, Fact, Facts
from .graph_inputs import check_input
from .graph_order import GraphNode
from .graph_statistics import node_contexts
from .operation import Values

if TYPE_CHECKING:
    from .graph import Graph

EXAMPLES = 2
"""Two: with one, an axis of length 1 that is the batch could not be told from one that is not."""


class Probe(NamedTuple):
    """Shapes and dtypes of all values, and what is known about each of them."""

    examples: int
    shapes: dict[str, Shape]
    dtypes: dict[str, np.dtype[Any]]
    facts: dict[str, Fact]
    multiply_adds: dict[str, int]  # of every node, for one example
    keeps_batch: bool

    def example(self, name: str) -> Shape:
        """The shape of one example where axis 0 is the batch, else of the value."""
        shape = self.shapes.get(name, ())
        return shape[1:] if name in self.facts and self.facts[name].kind == BATCH else shape

    def is_float(self, name: str) -> bool:
        """Whether a value is there, and floating."""
        return name in self.dtypes and self.dtypes[name].kind == "f"


def probe(graph: Graph, input_shape: Shape) -> Probe:
    """Run zeros of this shape (of one example) through a graph with one input.

    Raises
    ------
    ShapeError, TypeError ...
        Of the node that does not take what it is given.
    """
    source, target = graph.single("output_shape")
    if graph.batch is not None:
        return _run(graph, input_shape, graph.batch, source.name, target)
    try:
        return _run(graph, input_shape, EXAMPLES, source.name, target)
    except (CnnError, ValueError, TypeError):  # not for two, then: it says itself why not for one
        return _run(graph, input_shape, 1, source.name, target)._replace(keeps_batch=False)


def _run(graph: Graph, input_shape: Shape, examples: int, source: str, target: str) -> Probe:
    x = np.zeros((examples, *input_shape), graph.single("output_shape")[0].dtype)
    check_input("output_shape", graph.single("output_shape")[0], x)
    facts = Facts(examples, source)
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, np.dtype[Any]] = {}
    work: dict[str, int] = {}

    def note(values: Mapping[str, Array | None]) -> None:
        for name, array in values.items():
            if name and array is not None:
                shapes[name], dtypes[name] = array.shape, array.dtype

    def seen(node: GraphNode, inputs: Values, outputs: Values, cache: Any) -> None:
        note(dict(zip(node.outputs, outputs, strict=False)))
        facts.after(node, inputs, outputs)
        work[node.name] = multiply_adds(node, inputs, outputs) // max(examples, 1)

    given = {**graph.initializers(), source: x}
    note(given)
    for name, array in given.items():
        if name != source:
            facts.know(name, array)
    with np.errstate(all="ignore"):
        graph.runner.forward(given, node_contexts(graph, Context()), keep=False, seen=seen)
    keeps = facts.found[target].kind == BATCH
    return Probe(examples, shapes, dtypes, facts.found, work, keeps)


def multiply_adds(node: GraphNode, inputs: Values, outputs: Values) -> int:
    """Of a convolution or a matrix product; all else counts as nothing, as for our layers."""
    kind, y = node.operation.op_type, outputs[0]
    if y is None or len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        return 0
    if kind == "Conv":
        return y.size * math.prod(inputs[1].shape[1:])
    if kind == "ConvTranspose":
        return inputs[0].size * math.prod(inputs[1].shape[1:])
    if kind == "MatMul":
        return int(y.size * inputs[0].shape[-1])
    if kind == "Gemm":
        return int(y.size * inputs[0].shape[0 if node.operation.attributes.get("transA") else 1])
    return 0
