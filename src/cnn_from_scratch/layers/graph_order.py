"""The nodes of a graph in an order in which they can run; everything that keeps them from running is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .operation import Operation


class GraphNode(NamedTuple):
    """One operation at its place: which values it reads and makes."""

    name: str  # the key under which traces and summaries show it
    operation: Operation
    inputs: tuple[str, ...]  # "" for an optional one that is not there
    outputs: tuple[str, ...]  # "" for one that nobody asks for

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.operation.op_type})"


class ValueInfo(NamedTuple):
    """What an input of a graph looks like."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...] | None  # a str or None for an axis of any length; None: any shape

    def __str__(self) -> str:
        shape = "(...)" if self.shape is None else f"({', '.join('?' if n is None else str(n) for n in self.shape)})"
        return f"{self.name} {self.dtype} {shape}"


def in_order(
    nodes: Sequence[GraphNode], inputs: Sequence[str], initializers: Iterable[str], outputs: Sequence[str]
) -> tuple[GraphNode, ...]:
    """The nodes that contribute to an output, each after those whose values it reads; else as they were given.

    Raises
    ------
    ValueError
        If two nodes, or two values, have one name, a value is read or asked for that nothing makes, or nodes wait for
        each other in a circle.

    Examples
    --------
    >>> relu = Operation("Relu")
    >>> second, first = GraphNode("b", relu, ("y",), ("z",)), GraphNode("a", relu, ("x",), ("y",))
    >>> [node.name for node in in_order([second, first], ["x"], [], ["z"])]
    ['a', 'b']
    >>> in_order([second], ["x"], [], ["z"])
    Traceback (most recent call last):
        ...
    ValueError: Graph: node 'b' (Relu) reads 'y', which is no input, no initializer and no node's output
    """
    maker = _makers(nodes, [*inputs, *(name for name in initializers if name not in inputs)])
    for node in nodes:
        for value in node.inputs:
            if value and value not in maker:
                raise ValueError(
                    f"Graph: {node} reads {value!r}, which is no input, no initializer and no node's output"
                )
    for value in outputs:
        if value not in maker:
            raise ValueError(f"Graph: output {value!r} is no input, no initializer and no node's output")
    if repeated := [value for i, value in enumerate(outputs) if value in outputs[:i]]:
        raise ValueError(f"Graph: output {repeated[0]!r} is named twice")
    return tuple(_sorted(_contributing(nodes, maker, outputs), maker))


def _makers(nodes: Sequence[GraphNode], given: Sequence[str]) -> dict[str, GraphNode | None]:
    """Who makes each value; None for what is given. Every value is made once, every name belongs to one node."""
    maker: dict[str, GraphNode | None] = {}
    for name in given:
        if not name or name in maker:
            raise ValueError(f"Graph: an input must have a name of its own, got {name!r} in {', '.join(given)}")
        maker[name] = None
    named: dict[str, GraphNode] = {}
    for node in nodes:
        if not node.name or node.name in named:
            other = f", which {named[node.name]} has" if node.name in named else ""
            raise ValueError(f"Graph: a node must have a name of its own; {node} has {node.name!r}{other}")
        named[node.name] = node
        for value in filter(None, node.outputs):
            if value in maker:
                other = maker[value] or "the graph's inputs or initializers"  # type: ignore[assignment]
                raise ValueError(f"Graph: {node} makes {value!r}, which {other} gave already")
            maker[value] = node
    return maker


def _contributing(
    nodes: Sequence[GraphNode], maker: Mapping[str, GraphNode | None], outputs: Sequence[str]
) -> list[GraphNode]:
    """The nodes without those that no output needs."""
    needed, waiting = set[str](), list(outputs)
    while waiting:
        node = maker[waiting.pop()]
        if node is not None and node.name not in needed:
            needed.add(node.name)
            waiting += filter(None, node.inputs)
    return [node for node in nodes if node.name in needed]


def _sorted(nodes: Sequence[GraphNode], maker: Mapping[str, GraphNode | None]) -> list[GraphNode]:
    """Kahn's algorithm in rounds: whoever has all it reads may run."""
    done: list[GraphNode] = []
    made = {value for value, node in maker.items() if node is None}
    waiting = list(nodes)
    while waiting:
        later = []
        for node in waiting:
            if made.issuperset(filter(None, node.inputs)):
                done.append(node)
                made.update(node.outputs)
            else:
                later.append(node)
        if len(later) == len(waiting):
            names = ", ".join(str(node) for node in later[:5])
            raise ValueError(f"Graph: these nodes wait for each other, in a circle: {names}")
        waiting = later
    return done
