"""A graph as layers of this package: what is fused, planned and trained as fast as a model that was written so.

From the output back to the input, from one dominator to the next (graph_dominators.py), every piece of the graph is

- one node, for which lowering_rules.py knows a layer;
- two branches and a sum, which is a `Residual`, or branches side by side, a `Concat`; their insides likewise;
- anything else: a `Graph` of its own, which runs its nodes as they are.

The layers hold views of the graph's own arrays. They are made for examples of one shape, from which it follows what a
Reshape does; where a value on the way does not keep the batch, or two pieces share a weight, there is no such model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import Array
from .arrays import Arrays
from .base import Grads, Layer, Shape
from .branches import Concat, Residual
from .containers import Sequential
from .context import join
from .graph_batch import BATCH, CONSTANT
from .graph_dominators import Flow
from .graph_order import GraphNode, ValueInfo
from .graph_probe import Probe
from .graph_tied import Tied
from .lowering_rules import Made, NodeCase, Weight, as_layer, with_bias
from .program import Program
from .shape import Identity

if TYPE_CHECKING:
    from .graph import Graph

VIEWS = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators through which a weight can be seen."""


class Lowered:
    """The model that a graph has become, and how its parameters are those of the graph."""

    def __init__(self, graph: Graph, model: Layer, made: Sequence[Made]) -> None:
        self.model, self.made = model, tuple(made)
        paths = {id(layer): path for path, layer in model.layers()}
        self.sections = {path: layer for path, layer in model.layers() if is_graph(layer)}
        self.tied = {
            join(paths[id(each.layer)], key): tied for each in made for key, tied in each.params.items() if tied.source
        }
        self.names = {join(path, node.name): node.name for path, part in self.sections.items() for node in part.nodes}  # type: ignore[attr-defined]
        self._programs: dict[bool, Program] = {}
        self._bound: list[Any] = []
        self.bind(graph)

    def program(self, fuse: bool) -> Program:
        """The steps of the model."""
        from .fusion import as_program

        if fuse not in self._programs:
            self._programs[fuse] = as_program(self.model, fuse=fuse)
        return self._programs[fuse]

    def bind(self, graph: Graph) -> None:
        """Hold the graph's arrays, and what is frozen in it, as they are now."""
        now = [graph.frozen, *(id(a) for a in graph.params.values()), *(id(a) for a in graph.buffers.values())]
        if now == self._bound:
            return
        learning = graph.trainable
        for each in self.made:
            each.layer.params = {k: _view(graph, tied) for k, tied in each.params.items()}
            each.layer.buffers = {k: _view(graph, tied) for k, tied in each.buffers.items()} | _count(each.layer)
            frozen = {k for k, tied in each.params.items() if tied.source not in learning}
            frozen |= {k for k, t in each.buffers.items() if t.source not in graph.buffers or t.source in graph.frozen}
            each.layer._set_frozen(frozenset(frozen))
        for part in self.sections.values():
            part.params = Arrays({name: graph.params[name] for name in part.params})
            part.buffers = Arrays({name: graph.buffers[name] for name in part.buffers})
            part._set_frozen(graph.frozen & {*part.params, *part.buffers})
        self._bound = now

    def gradients(self, graph: Graph, grads: Grads) -> Grads:
        """The gradients of the model's parameters as those of the graph's; zeros for what the output does not need."""
        found: Grads = {}
        for key, grad in grads.items():
            if key in self.tied:
                found[self.tied[key].source] = self.tied[key].gradient(graph, grad)
            else:
                path = max((p for p in self.sections if key == p or key.startswith(f"{p}.") or not p), key=len)
                found[key.removeprefix(f"{path}.")] = grad
        learning = graph.trainable
        return {k: found[k] if k in found else np.zeros_like(a) for k, a in graph.params.items() if k in learning}


def is_graph(layer: Layer) -> bool:
    """Whether a layer is a graph."""
    from .graph import Graph

    return type(layer) is Graph


def lower(graph: Graph, input_shape: Shape) -> Lowered | None:
    """The graph as layers, for examples of this shape; None where nothing of it is a layer of this package."""
    found = graph.probe(input_shape)
    target = graph.single("lower")[1]
    if not found.keeps_batch:
        return None
    work = _Lowering(graph, found)
    try:
        layers = work.chain(work.flow.source, target)
    except _NotLoweredError:
        return None
    if not layers or (len(layers) == 1 and is_graph(layers[0][1])) or work.shares_weights():
        return None
    model = Sequential(_named(layers))
    lowered = Lowered(graph, model, work.made)
    return lowered if model.output_shape(input_shape) == found.example(target) else None


class _NotLoweredError(Exception):
    """A value on the way is not floating, or does not keep the batch."""


class _Lowering:
    """The work of `lower`."""

    def __init__(self, graph: Graph, found: Probe) -> None:
        self.graph, self.found = graph, found
        self.maker = {value: node for node in graph.nodes for value in node.outputs if value}
        self.flow = Flow(graph.nodes, graph.single("lower")[0].name, self._reads)
        self.made: list[Made] = []
        self._used: list[str] = []  # parameters, by the layers and sections that have them

    def shares_weights(self) -> bool:
        """Whether a parameter would be in two places, which each have a gradient of it."""
        return len(self._used) != len(set(self._used))

    def _reads(self, node: GraphNode) -> Sequence[str]:
        """What a node reads of what flows. A Reshape that is a flatten does not read how long the batch is."""
        return node.inputs[:1] if self._is_flatten(node) else [name for name in node.inputs if name]

    def _is_flatten(self, node: GraphNode) -> bool:
        return node.operation.op_type == "Reshape" and len(self.found.example(node.outputs[0])) == 1

    def chain(self, start: str, end: str) -> list[tuple[str, Layer]]:
        """The layers from one value to another, which it dominates."""
        layers: list[tuple[str, Layer]] = []
        while end != start:
            self._require_batch(end)
            piece, end = self._piece(end)
            layers.insert(0, piece)
        self._require_batch(start)
        return layers

    def _require_batch(self, value: str) -> None:
        fact = self.found.facts.get(value)
        if fact is None or fact.kind != BATCH or self.found.dtypes[value] != self.graph.dtype:
            raise _NotLoweredError

    def _piece(self, end: str) -> tuple[tuple[str, Layer], str]:
        """The last layer before a value, with its name, and the value that it reads."""
        node, start = self.flow.maker[end], self.flow.dominator[end]
        if len(self.flow.data(node)) == 1:
            layer, start = self._single(node, start)
            return (node.name, layer), start
        branches = self._branches(node, start, end)
        return (node.name, branches or self._section(self.flow.between(start, end), start, end)), start

    # --- one node -------------------------------------------------------------------------------------------------

    def _single(self, node: GraphNode, start: str) -> tuple[Layer, str]:
        """The layer for a node; with the bias that is added behind, if it is one."""
        biased = self._with_bias(node, start)
        if biased is not None:
            made, start = biased
        else:
            own = self._case(node, start)
            made = None if own is None else as_layer(own)  # type: ignore[assignment]
        if made is None or not self._can_hold(made):
            return self._section([node], start, node.outputs[0]), start
        self.made.append(made)
        self._used += [tied.source for tied in made.params.values() if tied.source in self.graph.params]
        return made.layer, start

    def _case(self, node: GraphNode, start: str) -> NodeCase | None:
        """The node with its weights; None where the value that flows is not its first input."""
        if node.inputs[0] != start:
            return None
        others = {i: name for i, name in enumerate(node.inputs[1:], 1) if name}
        if self._is_flatten(node):
            others = {}
        weights = {i: self._weight(name) for i, name in others.items()}
        return NodeCase(node, self.found.example(start), self.found.example(node.outputs[0]), weights)

    def _with_bias(self, node: GraphNode, start: str) -> tuple[Made, str] | None:
        """Conv or MatMul before a node that adds a constant, as one layer, and what it reads."""
        before = self.flow.maker.get(start)
        others = [name for name in node.inputs if name and name != start]
        if node.operation.op_type != "Add" or before is None or len(others) != 1 or self.flow.readers[start] != 1:
            return None
        if len(self.flow.data(before)) != 1 or before.outputs[0] != start or start in self.graph.outputs:
            return None
        source = self.flow.data(before)[0]
        case = self._case(before, source)
        made = None if case is None else as_layer(case)
        biased = None if made is None else with_bias(made, self._weight(others[0]))
        return None if biased is None or not self._can_hold(biased) else (biased, source)

    def _weight(self, name: str) -> Weight:
        """An input that does not flow, as a layer could hold it."""
        fact = self.found.facts[name]
        value = self.graph.initializer(name) if name not in self.maker else fact.value
        return Weight(self._tied(name), value)

    def _tied(self, name: str) -> Tied | None:
        """The initializer that is seen, and by which nodes."""
        steps: list[tuple[GraphNode, tuple[Array | None, ...]]] = []
        while name in self.maker:
            node, fact = self.maker[name], self.found.facts[name]
            if fact.kind != CONSTANT:
                return None
            if not self._learned(name):
                constant = None if fact.value is None else np.array(fact.value, order="C")
                return None if constant is None else Tied("", tuple(reversed(steps)), constant=constant)
            if node.operation.op_type not in VIEWS:
                return None
            steps.append((node, tuple(self.found.facts[n].value if n else None for n in node.inputs[1:])))
            name = node.inputs[0]
        return Tied(name, tuple(reversed(steps)))

    def _learned(self, name: str) -> bool:
        """Whether a value depends on a parameter."""
        waiting = [name]
        while waiting:
            value = waiting.pop()
            if value in self.graph.params:
                return True
            if value in self.maker:
                waiting += filter(None, self.maker[value].inputs)
        return False

    def _can_hold(self, made: Made) -> bool:
        """Whether all its arrays are views, of the model's dtype, and running statistics are the graph's buffers."""
        views = [tied.view(self.graph) for tied in (*made.params.values(), *made.buffers.values())]
        direct = all(not tied.steps for tied in made.buffers.values())
        return direct and all(view is not None and view.dtype == self.graph.dtype for view in views)

    # --- several nodes --------------------------------------------------------------------------------------------

    def _branches(self, node: GraphNode, start: str, end: str) -> Layer | None:
        """Two branches that are added, or several side by side; None where they touch each other on the way."""
        data, kind = self.flow.data(node), node.operation.op_type
        ways = [self.flow.between(start, value) for value in data]
        apart = sum(map(len, ways)) == len({part.name for way in ways for part in way})
        same = len({self.found.shapes[value] for value in data}) == 1
        if not apart or len(data) != len([name for name in node.inputs if name]) or len(set(data)) != len(data):
            return None
        if kind in ("Add", "Sum") and len(data) == 2 and same:
            return self._residual(start, data)
        attributes = node.operation.attributes
        if kind == "Concat" and attributes.get("axis", 1) in (1, 1 - len(self.found.shapes[end])):
            parts = [(f"branch{i}", self._layer(start, value)) for i, value in enumerate(data)]
            return Concat(dict(parts))
        return None

    def _residual(self, start: str, data: Sequence[str]) -> Residual:
        body, around = data if data[0] != start else data[::-1]
        return Residual(self._layer(start, body), None if around == start else self._layer(start, around))

    def _layer(self, start: str, end: str) -> Layer:
        """A branch."""
        layers = self.chain(start, end)
        return Sequential(_named(layers)) if layers else Identity()

    def _section(self, nodes: Sequence[GraphNode], start: str, end: str) -> Layer:
        """A graph of its own, of these nodes and those that compute what they read besides."""
        from .graph import Graph

        wanted, waiting = {node.name for node in nodes}, [name for node in nodes for name in node.inputs]
        while waiting:
            name = waiting.pop()
            node = self.maker.get(name) if name != start else None
            if node is not None and node.name not in wanted:
                if name in self.flow.maker:
                    raise _NotLoweredError  # it reads what flows elsewhere, as the length of the batch
                wanted.add(node.name)
                waiting += node.inputs
        parts = [node for node in self.graph.nodes if node.name in wanted]
        held = {name: self.graph.initializer(name) for node in parts for name in node.inputs
                if name and name not in self.maker and name != start}  # fmt: skip
        params = [name for name in held if name in self.graph.params]
        self._used += params
        return Graph(parts, [ValueInfo(start, self.found.dtypes[start], None)], [end], held, trainable=params)


def _named(layers: Sequence[tuple[str, Layer]]) -> dict[str, Layer]:
    """Under the names of their nodes, as far as these can be names of layers and are there once."""
    named: dict[str, Layer] = {}
    for name, layer in layers:
        own = name.replace(".", "_")
        named[own if own not in named else f"{own}_{len(named)}"] = layer
    return named


def _view(graph: Graph, tied: Tied) -> Array:
    found = tied.view(graph)
    assert found is not None
    return found


def _count(layer: Layer) -> dict[str, Array]:
    """How many batches a batch norm has seen, which ONNX does not count."""
    return {"num_batches_tracked": np.zeros((), np.int64)} if layer.buffers else {}
