"""Which of the cases in the wheel count: those of the operators that this library says it has."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto
from trial import Outcome, Status

from cnn_from_scratch.formats.onnx import supported_operators

SUITES = ("node", "pytorch-converted", "pytorch-operator", "simple")

PROMISED = frozenset(
    """
    Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool BatchNormalization
    InstanceNormalization LayerNormalization GroupNormalization LRN Gemm MatMul Relu LeakyRelu PRelu Elu Selu Celu Gelu
    Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Swish Softmax LogSoftmax Flatten Reshape Transpose Concat
    Split Slice Gather Squeeze Unsqueeze Expand Shape Constant ConstantOfShape Cast Add Sub Mul Div Pow Sqrt Exp Log Neg
    Abs Clip Min Max Pad Dropout Identity ReduceMean ReduceSum ReduceMax ReduceMin ArgMax Resize Upsample DepthToSpace
    SpaceToDepth Col2Im
    """.split()
)
"""Operators whose cases count even if they should no longer be registered; those that are registered count, too."""

DISAGREE = "onnxruntime and ONNX's reference disagree, and this library gives what onnxruntime does"

EXCLUDED = {
    "test_resize_downsample_scales_cubic_align_corners": f"{DISAGREE}: 2.5, not 2.3952, at [0, 0, 0, 1]",
    "test_resize_downsample_scales_linear_align_corners": f"{DISAGREE}: 4, not 3.1429, at [0, 0, 0, 1]",
}
"""Cases that prove nothing, by name, and why."""

NOT_IN_NUMPY = ("BFLOAT16", "FLOAT4", "FLOAT8", "INT2", "UINT2", "INT4", "UINT4")
"""Types of numbers that NumPy does not have, by how their names begin."""


class Case:
    """A model, inputs for it, and the outputs that are expected."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.suite = f"{suite}, expanded" if "_expanded" in folder.name else suite

    @cached_property
    def model(self) -> ModelProto:
        return onnx.load(self.folder / "model.onnx")

    @property
    def operators(self) -> set[str]:
        """Of all nodes; with their domain where it is not ONNX's own."""
        nodes = self.model.graph.node
        return {f"{n.domain}.{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type for n in nodes}

    @property
    def operator(self) -> str:
        """The one that is tested: of nodes that hold constants before it, the next."""
        found = [node.op_type for node in self.model.graph.node]
        return next((name for name in found if name != "Constant"), found[0] if found else "")

    def described(self) -> dict[str, Any]:
        return {"suite": self.suite, "name": self.name, "operator": self.operator}


def wheel() -> Path:
    """Where the cases lie in the wheel."""
    return Path(onnx.__file__).parent / "backend" / "test" / "data"


def cases_in(data: Path) -> Iterator[Case]:
    """All, suite by suite, in alphabetical order."""
    for suite in SUITES:
        for model in sorted((data / suite).glob("*/model.onnx")):
            yield Case(suite, model.parent)


def scope_of(case: Case) -> Outcome | None:
    """Why a case does not count; None where it does."""
    if others := sorted(case.operators - _ours()):
        return Outcome(Status.OTHER, f"{', '.join(others)}: no operator of this library")
    if kinds := sorted({kind for kind in types_in(case.model) if not _has_type(kind)}):
        return Outcome(Status.LEFT_OUT, f"{', '.join(kinds)}: not a type of NumPy's arrays")
    if case.name in EXCLUDED:
        return Outcome(Status.EXCLUDED, EXCLUDED[case.name])
    return None


@cache
def _ours() -> frozenset[str]:
    return PROMISED | set(supported_operators())


def _has_type(kind: str) -> bool:
    return not kind.startswith(NOT_IN_NUMPY) and kind not in ("sequence", "optional", "map", "sparse tensor")


# --- types ----------------------------------------------------------------------------------------------------------


def types_in(model: ModelProto) -> Iterator[str]:
    """The types of all values, tensors and casts in a model."""
    graph: GraphProto = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield _type_of(value)
    for tensor in graph.initializer:
        yield TensorProto.DataType.Name(tensor.data_type)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield TensorProto.DataType.Name(attribute.t.data_type)
            elif node.op_type == "Cast" and attribute.name == "to":
                yield TensorProto.DataType.Name(attribute.i)


def _type_of(value: ValueInfoProto) -> str:
    kind = value.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        return kind.removesuffix("_type").replace("_", " ")
    return TensorProto.DataType.Name(value.type.tensor_type.elem_type)
