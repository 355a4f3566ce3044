"""What traces are shown of a graph: every node that makes floating numbers, under its own name.

A node may have several inputs and outputs. Shown are its first output and the input that depends on the graph's inputs
(the first of them); gradients are those of the graph's parameters that the node reads itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import Grads
from .context import Context, join
from .graph_order import GraphNode
from .graph_run import Seen
from .operation import Values

if TYPE_CHECKING:
    from .graph import Graph


def forward_tap(graph: Graph, ctx: Context) -> Seen:
    """Calls the tap after each node of a forward pass."""

    def seen(node: GraphNode, inputs: Values, outputs: Values, cache: Any) -> None:
        name, y = graph.main_input(node), outputs[0] if outputs else None
        if ctx.tap is not None and name is not None and y is not None and y.dtype.kind == "f":
            x = inputs[node.inputs.index(name)]
            ctx.tap(join(ctx.key, node.name), "forward", {"input": x, "output": y, "cache": cache})

    return seen


def backward_tap(graph: Graph, ctx: Context) -> Callable[[GraphNode, Values, Values], None]:
    """Calls the tap after each node of a backward pass; dx is None where nobody wants it."""
    learning = graph.trainable

    def seen(node: GraphNode, douts: Values, dinputs: Values) -> None:
        name, dy = graph.main_input(node), douts[0]
        if ctx.tap is None or name is None or dy is None:
            return
        dx, grads = None, Grads()
        for own, grad in zip(node.inputs, dinputs, strict=True):
            if grad is None:
                continue
            if own == name:
                dx = grad if dx is None else dx + grad
            if own in learning:
                grads[own] = grads[own] + grad if own in grads else grad
        ctx.tap(join(ctx.key, node.name), "backward", {"dy": dy, "dx": dx, "grads": grads})

    return seen
