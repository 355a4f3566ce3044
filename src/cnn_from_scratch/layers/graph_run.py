"""Running the nodes of a graph, forward and backward. What is no longer needed is let go on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, TypeAlias

import numpy as np

from ..errors import CnnError, NotFiniteError, ShapeError, UnsupportedOpError
from ..ops.memory import empty_like
from ..typing import Array
from .context import Context
from .graph_order import GraphNode
from .operation import Values

Seen: TypeAlias = Callable[[GraphNode, Values, Values, Any], None]
"""seen(node, inputs, outputs, cache), called for every node that has run."""


class Runner:
    """Nodes in a row, and after which of them a value has been read for the last time."""

    def __init__(self, nodes: Sequence[GraphNode], outputs: Sequence[str]) -> None:
        self.nodes, self.outputs = tuple(nodes), tuple(outputs)
        last = {value: i for i, node in enumerate(self.nodes) for value in (*node.outputs, *node.inputs)}
        self._read_last: list[list[str]] = [[] for _ in self.nodes]
        for value, i in last.items():
            if value not in self.outputs:
                self._read_last[i].append(value)

    def forward(
        self,
        given: Mapping[str, Array],
        context: Callable[[GraphNode], Context],
        *,
        keep: bool,
        seen: Seen | None = None,
    ) -> tuple[dict[str, Array], list[Any]]:
        """Compute the outputs and, where they are to be kept, the caches of all nodes."""
        values: dict[str, Array | None] = dict(given)
        caches: list[Any] = []
        for node, done in zip(self.nodes, self._read_last, strict=True):
            inputs = [values[name] if name else None for name in node.inputs]
            outputs, cache = run_node(node, inputs, context(node))
            values.update(zip(node.outputs, outputs, strict=False))
            if seen is not None:
                seen(node, inputs, outputs, cache)
            if keep:
                caches.append(cache)
            for name in done:
                values.pop(name, None)
            del inputs, outputs, cache
        return {name: _there(name, values[name]) for name in self.outputs}, caches

    def reached(self, sources: Iterable[str]) -> set[str]:
        """All values that are computed, however indirectly, from `sources`, and these."""
        found = set(sources)
        for node in self.nodes:
            if not found.isdisjoint(filter(None, node.inputs)):
                found.update(filter(None, node.outputs))
        return found

    def backward(
        self,
        doutputs: Mapping[str, Array],
        caches: list[Any],
        wanted: Set[str],
        *,
        seen: Callable[[GraphNode, Values, Values], None] | None = None,
        let_go: bool = False,
    ) -> dict[str, Array]:
        """The chain rule, last node first: gradients by those of the `wanted` values that no node makes.

        The gradient of a value is the sum over all places that read it. A node that no gradient reaches, as one that
        computes a shape, is not asked. With `let_go`, caches are taken out of the list as they are used.
        """
        grads: dict[str, Array] = {name: dy for name, dy in doutputs.items() if name in wanted}
        for i in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[i]
            cache = caches.pop() if let_go else caches[i]
            douts = [grads.pop(name, None) if name else None for name in node.outputs]
            asked = [name in wanted for name in node.inputs]
            if any(d is not None for d in douts) and any(asked):
                dinputs = backward_of_node(node, douts, cache, asked)
                if seen is not None:
                    seen(node, douts, dinputs)
                for name, due, dinput in zip(node.inputs, asked, dinputs, strict=True):
                    if due and dinput is not None:
                        grads[name] = _add(grads[name], dinput) if name in grads else dinput
        return grads


def run_node(node: GraphNode, inputs: Values, ctx: Context) -> tuple[tuple[Array | None, ...], Any]:
    """One node's forward pass; an error says which node it was."""
    try:
        outputs, cache = node.operation.forward(inputs, ctx)
    except (CnnError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        shapes = ", ".join("none" if x is None else f"{x.dtype} {x.shape}" for x in inputs)
        raise _named(node, error, f" (its inputs: {shapes})") from error
    if sum(1 for name in node.outputs if name) > len(outputs):
        raise ValueError(f"Graph: {node} gave {len(outputs)} outputs; {len(node.outputs)} are read")
    return outputs, cache


def backward_of_node(node: GraphNode, douts: Values, cache: Any, asked: Sequence[bool]) -> tuple[Array | None, ...]:
    """One node's backward pass; an error says which node it was."""
    try:
        dinputs = node.operation.backward(douts, cache, asked)
    except (CnnError, ValueError, TypeError, IndexError) as error:
        raise _named(node, error, "") from error
    if len(dinputs) != len(node.inputs):
        raise ValueError(f"Graph: backward of {node} gave {len(dinputs)} gradients for {len(node.inputs)} inputs")
    return tuple(dinputs)


def _named(node: GraphNode, error: Exception, inputs: str) -> Exception:
    """The same error, with the name of the node before it."""
    text = f"Graph: {node}: {error}"
    if isinstance(error, NotFiniteError):
        return NotFiniteError(text, error.key)
    if isinstance(error, UnsupportedOpError):
        return UnsupportedOpError(text)
    if isinstance(error, ShapeError | ValueError | IndexError):
        return ShapeError(text + inputs)
    return TypeError(text + inputs) if isinstance(error, TypeError) else ValueError(text + inputs)


def _there(name: str, value: Array | None) -> Array:
    if value is None:
        raise ValueError(f"Graph: output {name!r} is an optional value that its node did not compute")
    return value


def _add(a: Array, b: Array) -> Array:
    """a + b in new memory, in the order of a."""
    total: Array = np.add(a, b, out=empty_like(a))
    return total
