"""Nodes that remember statistics from step to step: which do, and which must not because they are frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .context import Context
from .graph_order import GraphNode
from .graph_weights import remembered_inputs

if TYPE_CHECKING:
    from .graph import Graph


def node_contexts(graph: Graph, ctx: Context) -> Callable[[GraphNode], Context]:
    """The context of each node: with its own key, and in evaluation where its statistics must not change."""

    def context(node: GraphNode) -> Context:
        inside = ctx.child(node.name)
        return inside._replace(train=False) if ctx.train and _is_frozen(graph, node) else inside

    return context


def remembers(graph: Graph, node: GraphNode) -> bool:
    """Whether something of a node is among the graph's buffers."""
    return any(node.inputs[i] in graph.buffers for i in _places(node))


def _places(node: GraphNode) -> list[int]:
    return [i for i in remembered_inputs(node.operation) if i < len(node.inputs)]


def _is_frozen(graph: Graph, node: GraphNode) -> bool:
    """Whether training must not change what a node that normalizes does: its weights, or its statistics."""
    places = _places(node)
    if not places:
        return False
    kept = [node.inputs[i] for i in places]
    weights = [name for i, name in enumerate(node.inputs) if i not in places and name and name not in graph.data]
    learning = graph.runner.reached(graph.trainable) if weights else set()
    return any(name not in graph.buffers or name in graph.frozen for name in kept) or (
        bool(weights) and learning.isdisjoint(weights)
    )
