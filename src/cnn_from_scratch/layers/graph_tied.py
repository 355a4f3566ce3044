"""Parameters of a graph as the layers of this package hold them: other views of the same memory.

A weight may be an initializer as it is, or a Reshape or Transpose of one; and a matrix that is multiplied from the
right is the transpose of a linear layer's. As long as that is the same memory seen otherwise, a layer can have it, and
what is written into one is written into the other. Gradients take the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ..errors import CnnError
from ..typing import Array
from .context import Context
from .graph_order import GraphNode

if TYPE_CHECKING:
    from .graph import Graph

Turn = Literal["", "T", "flat"]
"""What is done last: nothing, a transpose, or all in one row."""


class Tied(NamedTuple):
    """An array of a layer that is a view of an initializer, or a constant that nodes have computed."""

    source: str  # the initializer; "" for a constant
    steps: tuple[tuple[GraphNode, tuple[Array | None, ...]], ...] = ()  # that view it, with their other inputs
    turn: Turn = ""
    constant: Array | None = None

    def turned(self, turn: Turn) -> Tied:
        """The same, seen otherwise."""
        return self._replace(turn=turn)

    def view(self, graph: Graph) -> Array | None:
        """The array for the layer; None where it would have memory of its own."""
        source = self.constant if self.constant is not None else graph.initializer(self.source)
        try:
            seen, _ = self._through(source)
        except (CnnError, ValueError, TypeError, IndexError):
            return None
        if self.turn:
            seen = seen.T if self.turn == "T" else seen.reshape(-1)
        return seen if seen.size == 0 or np.shares_memory(seen, source) else None

    def gradient(self, graph: Graph, grad: Array) -> Array:
        """The gradient of the initializer, from that of the layer's array."""
        seen, caches = self._through(graph.initializer(self.source))
        grad = grad.T if self.turn == "T" else grad.reshape(seen.shape)
        for (node, others), cache in zip(reversed(self.steps), reversed(caches), strict=True):
            found = node.operation.backward([grad], cache, [True, *[False] * len(others)])[0]
            assert found is not None
            grad = found
        return np.ascontiguousarray(grad)

    def _through(self, array: Array) -> tuple[Array, list[object]]:
        """The array as the nodes see it, and their caches."""
        caches = []
        for node, others in self.steps:
            (made, *_), cache = node.operation.forward([array, *others], Context())
            assert made is not None
            array = made
            caches.append(cache)
        return array, caches
