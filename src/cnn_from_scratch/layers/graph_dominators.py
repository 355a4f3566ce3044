"""Where all that flows through a graph must pass: the values that dominate its output.

A value d dominates v if every path from the source to v leads through d. The closest one is called v's immediate
dominator. What lies between v and its immediate dominator is one piece of the graph with one way in and one way out.

Reference: Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm (2001), whose `intersect` this is; in a graph
without circles one round is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .graph_order import GraphNode


class Flow:
    """The nodes whose values depend on one source, and which of their inputs do.

    Examples
    --------
    >>> from cnn_from_scratch.layers.operation import Operation
    >>> relu, add = Operation("Relu"), Operation("Add")
    >>> nodes = [
    ...     GraphNode("a", relu, ("x",), ("a",)),
    ...     GraphNode("b", relu, ("a",), ("b",)),
    ...     GraphNode("c", add, ("a", "b"), ("c",)),
    ... ]
    >>> flow = Flow(nodes, "x", lambda node: node.inputs)
    >>> flow.dominator["c"], flow.dominator["a"], [node.name for node in flow.between("a", "c")]
    ('a', 'x', ['b', 'c'])
    """

    def __init__(self, nodes: Sequence[GraphNode], source: str, reads: Callable[[GraphNode], Sequence[str]]) -> None:
        self.nodes, self.source = tuple(nodes), source
        self.maker: dict[str, GraphNode] = {}
        self.readers: dict[str, int] = {}
        self.dominator: dict[str, str] = {}
        self.order: dict[str, int] = {source: 0}
        self._reads: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            data = tuple(name for name in reads(node) if name in self.order)
            self._reads[node.name] = data
            if not data:
                continue
            for name in data:
                self.readers[name] = self.readers.get(name, 0) + 1
            for value in filter(None, node.outputs):
                self.order[value], self.maker[value] = len(self.order), node
                self.dominator[value] = self._meeting(data)

    def data(self, node: GraphNode) -> tuple[str, ...]:
        """Those of a node's inputs that depend on the source."""
        return self._reads[node.name]

    def _meeting(self, values: Sequence[str]) -> str:
        """The last value that dominates all of these; a value dominates itself here."""
        met, *others = values
        for other in others:
            while met != other:
                if self.order[met] > self.order[other]:
                    met = self.dominator[met]
                else:
                    other = self.dominator[other]
        return met

    def between(self, start: str, end: str) -> list[GraphNode]:
        """The nodes on all ways from `start` to `end`."""
        found, waiting = set[str](), [end]
        while waiting:
            value = waiting.pop()
            if value != start and value in self.maker and (node := self.maker[value]).name not in found:
                found.add(node.name)
                waiting += self.data(node)
        return [node for node in self.nodes if node.name in found]
