"""From what the exporters wrote to the messages of the package `onnx`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__
from ...typing import Array
from .export_graph import ExportGraph, ExportNode, ExportValue

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

NAME = "model"
PRODUCER = "cnn-from-scratch"


def model_proto(graph: ExportGraph, metadata: Mapping[str, str]) -> ModelProto:
    """The whole model: the oldest version of the file format that has this opset, so that many can read it."""
    from onnx import helper, shape_inference

    opset = helper.make_opsetid("", graph.opset)
    version = helper.find_min_ir_version_for([opset], ignore_unknown=True)  # unknown: an opset not yet published
    message = helper.make_model(
        helper.make_graph(
            [_node(node, graph.opset) for node in graph.nodes],
            NAME,
            [_value(value) for value in graph.inputs],
            [_value(value) for value in graph.outputs],
            [_tensor(name, array) for name, array in graph.initializers.items()],
        ),
        opset_imports=[opset],
        ir_version=max(version, 4),  # from 4 on initializers need not be inputs
        producer_name=PRODUCER,
        producer_version=__version__,
    )
    helper.set_model_props(message, dict(metadata))
    if any(value.dtype is None for value in graph.outputs):
        message = shape_inference.infer_shapes(message)
        _describe(message.graph.output, graph.otherwise)
    return message


def _describe(outputs: Iterable[ValueInfoProto], otherwise: Callable[[], Mapping[str, ExportValue]]) -> None:
    """Say what is known of outputs that ONNX could infer nothing about; a valid file has type and rank of each."""
    known: Mapping[str, ExportValue] | None = None
    for output in outputs:
        kind = output.type.tensor_type
        if kind.elem_type and kind.HasField("shape"):
            continue
        known = otherwise() if known is None else known
        if output.name in known:
            output.CopyFrom(_value(known[output.name]))


def _node(node: ExportNode, opset: int) -> NodeProto:
    from onnx import defs, helper

    message = helper.make_node(node.op_type, node.inputs, node.outputs, name=node.name)
    known = defs.get_schema(node.op_type, opset).attributes
    for name, value in node.attributes.items():
        kind = known[name].type if name in known else None
        message.attribute.append(_attribute(name, value, kind))
    return message


def _attribute(name: str, value: Any, kind: Any) -> AttributeProto:
    """An attribute of the type that the operator declares, by which a 1 may be a 1.0 and a list may be empty."""
    from onnx import defs, helper

    types = defs.OpSchema.AttrType
    if isinstance(value, np.ndarray):
        value = _tensor("", value)
    elif kind == types.FLOAT:
        value = float(value)
    elif kind == types.FLOATS:
        value = [float(number) for number in value]
    empty = isinstance(value, list) and not value and kind is not None
    return helper.make_attribute(name, value, attr_type=int(kind.value) if empty else None)


def _tensor(name: str, array: Array) -> TensorProto:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def _value(value: ExportValue) -> ValueInfoProto:
    from onnx import helper

    if value.dtype is None:
        return helper.make_empty_tensor_value_info(value.name)
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(value.name, kind, value.shape)
