"""Which initializers of a graph are learned, which are remembered, and which are constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..typing import Array
from .graph_order import GraphNode
from .operation import Operation

REMEMBERED: dict[str, tuple[int, ...]] = {"BatchNormalization": (3, 4)}
"""By operator: the inputs that are remembered from step to step (running mean and variance)."""

SETTINGS: dict[str, tuple[int, ...]] = {
    "Clip": (1, 2),
    "Dropout": (1, 2),
    "Pad": (1, 2, 3),
    "Pow": (1,),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
}
"""By operator: inputs that say how it computes and are not learned, though they may be floating."""


class Kinds(NamedTuple):
    """The names of a graph's initializers, by what becomes of them."""

    params: tuple[str, ...]
    buffers: tuple[str, ...]
    constants: tuple[str, ...]


def sort_initializers(
    nodes: Sequence[GraphNode],
    initializers: Mapping[str, Array],
    outputs: Sequence[str],
    trainable: Iterable[str] | None = None,
) -> Kinds:
    """Learned is what is floating, no scalar, and reaches an output through operations that have gradients.

    Scalars, such as the 3 and the 6 of a hard swish, belong to the formula. `trainable` names what is learned instead.

    Raises
    ------
    ValueError
        If `trainable` names no initializer, or one that is not floating.
    """
    remembered = _remembered(nodes, initializers)
    if trainable is None:
        reached = _differentiable(nodes, outputs)
        learned = {k for k, a in initializers.items() if a.dtype.kind == "f" and a.ndim and k in reached}
    else:
        learned = set(trainable)
        for name in sorted(learned):
            if name not in initializers or initializers[name].dtype.kind != "f":
                raise ValueError(f"Graph: trainable names {name!r}, which is no floating initializer")
    remembered -= learned if trainable is not None else set()
    return Kinds(
        tuple(k for k in initializers if k in learned and k not in remembered),
        tuple(k for k in initializers if k in remembered),
        tuple(k for k in initializers if k not in learned and k not in remembered),
    )


def remembered_inputs(operation: Operation) -> tuple[int, ...]:
    """What an operation says itself, or the table says of its type."""
    return operation.remembered or REMEMBERED.get(operation.op_type, ())


def _remembered(nodes: Sequence[GraphNode], initializers: Mapping[str, Array]) -> set[str]:
    """Initializers that one node remembers, and nobody else reads."""
    uses: dict[str, int] = {}
    for node in nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    found = (node.inputs[i] for node in nodes for i in remembered_inputs(node.operation) if i < len(node.inputs))
    return {name for name in found if name in initializers and uses[name] == 1}


def _differentiable(nodes: Sequence[GraphNode], outputs: Sequence[str]) -> set[str]:
    """The values through which a gradient can flow, on the way back from the outputs."""
    found = set(outputs)
    for node in reversed(nodes):
        operation = node.operation
        if type(operation).backward is not Operation.backward and not found.isdisjoint(filter(None, node.outputs)):
            kept = SETTINGS.get(operation.op_type, ())
            found.update(name for i, name in enumerate(node.inputs) if name and i not in kept)
    return found
