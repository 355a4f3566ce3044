"""By operator: under which conditions it treats the examples of a batch one by one. See graph_batch.py.

A rule is given the node, what is known of its inputs, and shapes as they came out of a pass; it says how many of the
outputs, from the first on, keep the batch. It holds for any length of the batch or it does not say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .base import Shape
from .graph_batch import BATCH, CONSTANT, SIZES, Fact
from .graph_order import GraphNode
from .operation import Values

FIRST, ALL, NONE = 1, 99, 0
"""How many outputs keep the batch."""


class Case(NamedTuple):
    """One node, and all that a rule may ask."""

    attributes: dict[str, Any]
    opset: int
    facts: Sequence[Fact]
    inputs: Sequence[Shape | None]
    outputs: Sequence[Shape | None]

    @property
    def x(self) -> Shape:
        """The shape of the first input."""
        return self.inputs[0] or ()

    @property
    def y(self) -> Shape:
        """The shape of the first output."""
        return self.outputs[0] or ()

    def is_batch(self, i: int) -> bool:
        """Whether this input is there and a batch."""
        return i < len(self.facts) and self.facts[i].kind == BATCH

    def only_first(self) -> bool:
        """Whether the first input is a batch and the others are the same in every pass."""
        return self.is_batch(0) and all(fact.kind == CONSTANT for fact in self.facts[1:])

    def ints(self, name: str, place: int) -> list[int] | None:
        """Numbers from an attribute, or from a constant input; None where there are none (or they are not known)."""
        value = self.attributes.get(name)
        if value is None and place < len(self.facts) and self.facts[place].kind == CONSTANT:
            value = self.facts[place].value
        return None if value is None else [int(n) for n in np.asarray(value).ravel()]

    def axis(self, default: int, rank: int | None = None) -> int:
        """The attribute `axis`, counted from the front."""
        found = int(self.attributes.get("axis", default))
        return found % max(1, len(self.x) if rank is None else rank) if found < 0 else found


Rule: TypeAlias = Callable[[Case], int]


def keeps_batch(node: GraphNode, facts: Sequence[Fact], inputs: Values, outputs: Values) -> int:
    """How many outputs of the node keep the batch, from the first on; at least one of its inputs is no constant."""
    shapes = [None if x is None else x.shape for x in inputs]
    batched = [fact.kind == BATCH for fact in facts]
    said = node.operation.keeps_batch(shapes, batched, [f.value if f.kind == CONSTANT else None for f in facts])
    if said is not None:
        return ALL if said and all(fact.kind in (BATCH, CONSTANT) for fact in facts) else NONE
    rule = RULES.get(node.operation.op_type)
    if rule is None:
        return NONE
    made = [None if y is None else y.shape for y in outputs]
    return rule(Case(node.operation.attributes, node.operation.opset, facts, shapes, made))


# --- rules ------------------------------------------------------------------------------------------------------------


def _each(case: Case) -> int:
    """Number by number, or image by image, with constants beside it."""
    return FIRST if case.only_first() else NONE


def _broadcast(case: Case) -> int:
    """Number by number over several inputs: axis 0 must be the batch of all that have it."""
    rank = max(len(shape) for shape in case.inputs if shape is not None)
    for fact, shape in zip(case.facts, case.inputs, strict=True):
        if shape is None:
            continue
        if fact.kind == BATCH and len(shape) != rank:
            return NONE
        if fact.kind == CONSTANT and len(shape) == rank and shape[0] != 1:
            return NONE
        if fact.kind == SIZES:
            return NONE
    return FIRST


def _matmul(case: Case) -> int:
    """Rows of a batch times constants, or one product for each example."""
    a, b = (shape or () for shape in case.inputs)
    if case.is_batch(0) and case.is_batch(1):
        return FIRST if len(a) == len(b) >= 3 else NONE
    if case.is_batch(0):
        return FIRST if len(a) >= 2 and (len(b) <= 2 or len(b) < len(a) or (len(b) == len(a) and b[0] == 1)) else NONE
    return FIRST if len(b) >= 3 and (len(a) < len(b) or (len(a) == len(b) and a[0] == 1)) else NONE


def _gemm(case: Case) -> int:
    bias = case.inputs[2] if len(case.inputs) > 2 else None
    fits = bias is None or len(bias) < 2 or bias[0] == 1
    return FIRST if case.only_first() and not case.attributes.get("transA") and fits else NONE


def _flatten(case: Case) -> int:
    return FIRST if case.axis(1) == 1 else NONE


def _transpose(case: Case) -> int:
    return FIRST if list(case.attributes.get("perm") or [])[:1] == [0] else NONE


def _not_along(default: int, *, outputs: int = FIRST) -> Rule:
    """Whatever happens along one axis that is not the batch."""
    return lambda case: outputs if case.only_first() and case.axis(default) != 0 else NONE


def _softmax(case: Case) -> int:
    """Before opset 13, `axis` cuts the shape into rows, by default after the batch."""
    return FIRST if case.only_first() and case.axis(1 if case.opset < 13 else -1) > 0 else NONE


def _layer_norm(case: Case) -> int:
    return FIRST if case.only_first() and case.axis(-1) > 0 else NONE


def _concat(case: Case) -> int:
    return FIRST if all(f.kind == BATCH for f in case.facts) and case.axis(1) != 0 else NONE


def _slice(case: Case) -> int:
    starts, axes = case.ints("starts", 1), case.ints("axes", 3)
    axes = list(range(len(starts or []))) if axes is None else axes
    known = case.only_first() and starts is not None
    return FIRST if known and all(axis % len(case.x) != 0 for axis in axes) else NONE


def _gather(case: Case) -> int:
    """Chosen from each example, or one row of a table for each index."""
    axis = case.axis(0)
    if case.only_first():
        return FIRST if axis != 0 else NONE
    return FIRST if case.facts[0].kind == CONSTANT and case.is_batch(1) and axis == 0 else NONE


def _squeeze(case: Case) -> int:
    axes = case.ints("axes", 1)
    return FIRST if case.only_first() and axes is not None and 0 not in [a % len(case.x) for a in axes] else NONE


def _unsqueeze(case: Case) -> int:
    axes = case.ints("axes", 1)
    return FIRST if case.only_first() and axes is not None and 0 not in [a % len(case.y) for a in axes] else NONE


def _reduce(case: Case) -> int:
    axes = case.ints("axes", 1)
    return FIRST if case.only_first() and axes and 0 not in [axis % len(case.x) for axis in axes] else NONE


def _pad(case: Case) -> int:
    pads = case.ints("pads", 1) or case.ints("paddings", 9)
    plain = case.only_first() and len(case.facts) < 4 and pads is not None
    return FIRST if plain and pads[0] == 0 == pads[len(case.x)] else NONE  # type: ignore[index]


def _reshape(case: Case) -> int:
    """(N, a, b) -> (N, c, d) with a * b = c * d; N is written as the length of the batch, as 0 or as -1."""
    if not case.is_batch(0):
        return NONE
    wanted, mask = _target(case, "shape")
    if wanted is None or mask[1:].any() or not len(wanted):
        return NONE
    free = mask[0] or wanted[0] == -1 or (wanted[0] == 0 and not case.attributes.get("allowzero"))
    return FIRST if free and math.prod(case.x[1:]) == math.prod(case.y[1:]) > 0 else NONE


def _expand(case: Case) -> int:
    """To more rows, or to the length of the batch."""
    wanted, mask = _target(case, "shape")
    if wanted is None or mask[1:].any() or not len(wanted):
        return NONE
    if case.is_batch(0):
        stays = len(wanted) < len(case.x) or (len(wanted) == len(case.x) and (mask[0] or wanted[0] == 1))
        return FIRST if stays else NONE
    return FIRST if mask[0] and (len(case.x) < len(wanted) or case.x[0] == 1) else NONE


def _filled(case: Case) -> int:
    """ConstantOfShape of the length of the batch and fixed numbers."""
    mask = case.facts[0].is_length
    return FIRST if mask is not None and mask.ndim == 1 and len(mask) and mask[0] and not mask[1:].any() else NONE


def _target(case: Case, name: str) -> tuple[np.ndarray[Any, Any] | None, np.ndarray[Any, Any]]:
    """The shape that is asked for, and which of its entries are the length of the batch."""
    if name in case.attributes:
        wanted = np.asarray(case.attributes[name])
        return wanted, np.zeros(wanted.shape, bool)
    fact = case.facts[1] if len(case.facts) > 1 else Fact(BATCH)
    if fact.kind not in (CONSTANT, SIZES) or fact.value is None:
        return None, np.zeros(0, bool)
    return fact.value, np.zeros(fact.value.shape, bool) if fact.is_length is None else fact.is_length


def _resize(case: Case) -> int:
    """A factor of 1 for the batch, or the same length."""
    scales = case.attributes.get("scales")
    if (
        not case.is_batch(0)
        or case.attributes.get("axes")
        or "crop" in str(case.attributes.get("coordinate_transformation_mode", ""))
    ):
        return NONE
    if len(case.facts) == 4 and case.inputs[3]:
        mask = case.facts[3].is_length
        return FIRST if mask is not None and mask[0] and not mask[1:].any() else NONE
    place = 1 if len(case.facts) == 2 else 2
    if scales is None and place < len(case.facts) and case.facts[place].kind == CONSTANT:
        scales = case.facts[place].value
    return FIRST if scales is not None and len(scales) and float(scales[0]) == 1 else NONE


def _tile(case: Case) -> int:
    repeats = case.ints("repeats", 1)
    return FIRST if case.only_first() and repeats and repeats[0] == 1 else NONE


def _batch_norm(case: Case) -> int:
    """By running statistics; in training shards add up theirs. Not where it asks for those of each batch it meets."""
    a, asks = case.attributes, len(case.outputs) > 1 and case.opset < 14
    of_batch = a.get("training_mode") or asks or (case.opset < 7 and not a.get("is_test"))
    return FIRST if case.only_first() and not of_batch else NONE


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ["Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "Cast", "Ceil",
         "Celu", "Clip", "Col2Im", "Conv", "ConvTranspose", "Cos", "Cosh", "DepthToSpace", "Dropout", "Elu", "Erf",
         "Exp", "Floor", "Gelu", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "GroupNormalization",
         "HardSigmoid", "HardSwish", "Identity", "ImageScaler", "InstanceNormalization", "IsInf", "IsNaN", "LRN",
         "LeakyRelu", "Log", "LpPool", "MaxPool", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu",
         "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "SpaceToDepth", "Sqrt", "Swish", "Tan",
         "Tanh", "ThresholdedRelu"],
        _each,
    ),
    **dict.fromkeys(
        ["Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
         "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"],
        _broadcast,
    ),
    **dict.fromkeys(
        ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
         "ReduceProd", "ReduceSum", "ReduceSumSquare"],
        _reduce,
    ),
    "ArgMax": _not_along(0),
    "ArgMin": _not_along(0),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "Hardmax": _softmax,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _not_along(0, outputs=ALL),
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}  # fmt: skip
"""What is not here does not keep the batch."""
