"""Does a graph treat the examples of a batch one by one? Shown for its nodes one after the other, or not at all.

Every value is one of these::

    constant    the same in every pass: weights, and what is computed from them alone
    sizes       integers that depend on the length of the batch only; a mask says which of them are that length
    batch       axis 0 is the batch, and example n is computed from example n of the input alone
    unknown     anything else

The rules are in batch_rules.py, by operator; an operation of one's own answers for itself (`Operation.keeps_batch`).
Whatever no rule knows is unknown, and a graph whose output is unknown runs in one piece.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import CnnError
from ..typing import Array
from .context import Context
from .graph_order import GraphNode
from .operation import Values

CONSTANT, SIZES, BATCH, UNKNOWN = "constant", "sizes", "batch", "unknown"


class Fact(NamedTuple):
    """What is known of a value."""

    kind: str
    value: Array | None = None  # of a constant, or of sizes
    is_length: Array | None = None  # of sizes: which of them are the length of the batch


NOTHING = Fact(CONSTANT)
"""About an optional input that is not there."""

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
"""Operators that give something else each time."""

CHOOSING: dict[str, int] = {"Cast": 1, "Gather": 1, "Identity": 1, "Reshape": 1, "Slice": 1, "Squeeze": 1,
                            "Unsqueeze": 1, "Concat": 99}  # fmt: skip
"""Operators that only move numbers from their first so many inputs: what moves the sizes moves the mask, too."""


class Facts:
    """What is known of all values, found out node by node as they run."""

    def __init__(self, length: int, source: str) -> None:
        self.length = length  # of the batch that is run
        self.found: dict[str, Fact] = {source: Fact(BATCH)}

    def know(self, name: str, value: Array) -> None:
        """A value that is the same in every pass."""
        self.found[name] = Fact(CONSTANT, value)

    def after(self, node: GraphNode, inputs: Values, outputs: Values) -> None:
        """What is known of the outputs of a node that has run."""
        facts = [self.found[name] if name else NOTHING for name in node.inputs]
        kinds = self._outputs(node, facts, inputs, outputs)
        for name, value, fact in zip(node.outputs, outputs, kinds, strict=False):
            whole = fact.kind != BATCH or (value is not None and value.ndim > 0 and len(value) == self.length)
            self.found[name] = fact if whole else Fact(UNKNOWN)

    def _outputs(self, node: GraphNode, facts: list[Fact], inputs: Values, outputs: Values) -> list[Fact]:
        from .batch_rules import keeps_batch

        operation, kinds = node.operation, {fact.kind for fact in facts}
        if UNKNOWN in kinds or operation.op_type in RANDOM:
            return [Fact(UNKNOWN)] * len(outputs)
        if kinds <= {CONSTANT}:
            return [Fact(CONSTANT, y) for y in outputs]
        if operation.op_type == "Shape" and facts[0].kind == BATCH:
            return [self._shape(node, inputs, outputs)]
        if BATCH not in kinds and (sizes := self._sizes(node, facts, inputs, outputs)) is not None:
            return [sizes]
        kept = keeps_batch(node, facts, inputs, outputs)
        return [Fact(BATCH if i < kept else UNKNOWN) for i in range(len(outputs))]

    def _shape(self, node: GraphNode, inputs: Values, outputs: Values) -> Fact:
        """The shape of a batch: its first entry is the length."""
        x, sizes = inputs[0], outputs[0]
        assert x is not None
        attributes = node.operation.attributes
        first = np.arange(x.ndim)[attributes.get("start") or 0 : attributes.get("end")] == 0
        return Fact(SIZES, sizes, first) if sizes is not None and first.shape == sizes.shape else Fact(UNKNOWN)

    def _sizes(self, node: GraphNode, facts: list[Fact], inputs: Values, outputs: Values) -> Fact | None:
        """Sizes that are chosen from sizes; None where the node does anything else with the length of the batch."""
        masks = [_mask(fact, x)
                 for fact, x in zip(facts, inputs, strict=True)]  # fmt: skip
        if not any(mask.any() for mask in masks):
            return Fact(CONSTANT, outputs[0]) if len(outputs) == 1 else None
        moved = CHOOSING.get(node.operation.op_type, 0)
        if not moved or any(mask.any() for mask in masks[moved:]):
            return None
        dtype = np.int64 if node.operation.op_type == "Cast" else None
        marks = [m.astype(dtype or np.asarray(x).dtype) if i < moved else x
                 for i, (m, x) in enumerate(zip(masks, inputs, strict=True))]  # fmt: skip
        try:
            (moved_mask, *_), _ = node.operation.forward(marks, Context())
        except (CnnError, ValueError, TypeError, IndexError):
            return None
        return None if moved_mask is None else Fact(SIZES, outputs[0], np.asarray(moved_mask) != 0)


def _mask(fact: Fact, x: Array | None) -> Array:
    """Which numbers of a value are the length of the batch."""
    if fact.is_length is not None:
        return fact.is_length
    return np.zeros(() if x is None else x.shape, bool)
