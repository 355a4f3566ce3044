"""Make the batch of a graph free that was written for batches of one length.

Only the shape of the input, and Reshapes that name the length, stand in the way: a Reshape of what is computed from the
input to ``[length, ...]`` becomes one to ``[-1, ...]``. That is right only where its first axis was the batch; the
finished graph is asked whether it can show that every example is computed by itself (`Graph.keeps_batch`), and refused
if it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ShapeError
from ...layers.graph import ValueInfo
from ...typing import Array
from .description import Described, Placed
from .registry import Node

FREE = "batch"
"""How the free axis is called."""


def declared_batch(graph: Described) -> int | None:
    """The length of batch that the inputs declare; None where it is free.

    Raises
    ------
    ShapeError
        If they declare several.
    """
    lengths = {info.shape[0] for info in graph.required() if info.shape and isinstance(info.shape[0], int)}
    if len(lengths) > 1:
        raise ShapeError(f"the batch cannot be freed: inputs begin with axes of {sorted(lengths)}")
    return next(iter(lengths), None)


def freed(graph: Described, length: int) -> tuple[Described, tuple[str, ...]]:
    """The same graph for batches of any length, and what was changed, one sentence for each change."""
    data = {info.name for info in graph.required()}
    inputs = [_free_input(info, length) if info.name in data else info for info in graph.inputs]
    changed = [str(old) for old, new in zip(graph.inputs, inputs, strict=True) if old is not new]
    notes = [f"input {info}: its first axis, {length}, is free now" for info in changed]
    initializers, nodes = dict(graph.initializers), []
    for placed in graph.nodes:
        if not data.isdisjoint(placed.inputs):
            data.update(placed.outputs)
            placed, note = _free_reshape(placed, length, initializers)
            notes += [note] if note else []
        nodes.append(placed)
    read = {name for placed in nodes for name in placed.inputs}.union(graph.outputs, (info.name for info in inputs))
    kept = {name: array for name, array in initializers.items() if name in read}
    return graph._replace(nodes=nodes, inputs=inputs, initializers=kept), tuple(notes)


def _free_input(info: ValueInfo, length: int) -> ValueInfo:
    if not info.shape or info.shape[0] != length:
        return info
    return info._replace(shape=(FREE, *info.shape[1:]))


def _free_reshape(placed: Placed, length: int, initializers: dict[str, Array]) -> tuple[Placed, str]:
    """A Reshape to [length, ...] as one to [-1, ...]; any other node as it is. New shapes go into `initializers`."""
    node = placed.node
    if node.op_type != "Reshape" or node.domain:
        return placed, ""
    if node.opset < 5:
        old = node.attributes.get("shape")
        new = _free_shape(old, length, zero_copies=True)
        if new is None:
            return placed, ""
        return placed._replace(node=node._replace(attributes=node.attributes | {"shape": new})), _note(node, old, new)
    name = placed.inputs[1] if len(placed.inputs) > 1 else ""
    array = initializers.get(name)
    old = array.tolist() if array is not None and array.dtype == np.int64 and array.ndim == 1 else None
    new = _free_shape(old, length, zero_copies=not node.attributes.get("allowzero"))
    if new is None:
        return placed, ""
    free = f"{name}.free"
    while free in initializers and initializers[free].tolist() != new:
        free += "_"
    initializers[free] = np.array(new, np.int64)
    return placed._replace(inputs=(placed.inputs[0], free)), _note(node, old, new)


def _free_shape(shape: Sequence[int] | None, length: int, *, zero_copies: bool) -> list[int] | None:
    """What [length, ...] becomes; None where it is something else.

    Of the axes behind, one may be -1 already; then the first is copied from the input, as 0 says.

    Examples
    --------
    >>> _free_shape([1, 256], 1, zero_copies=True), _free_shape([8, -1], 8, zero_copies=True)
    ([-1, 256], [0, -1])
    >>> _free_shape([256, 10], 1, zero_copies=True)
    """
    if not shape or shape[0] != length:
        return None
    if -1 not in shape[1:]:
        return [-1, *shape[1:]]
    return [0, *shape[1:]] if zero_copies else None


def _note(node: Node, old: object, new: object) -> str:
    return f"node {node.name!r} (Reshape): the shape {old} is {new} now"
