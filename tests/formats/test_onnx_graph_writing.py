"""Graphs written as ONNX: under their own names as a whole, behind their key inside of a model."""

from __future__ import annotations

import numpy as np
import pytest
from formats.test_onnx_writing import examples, runtime

from cnn_from_scratch.errors import UnsupportedOpError
from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.formats.onnx.writing import to_onnx
from cnn_from_scratch.layers import LayerNorm, Linear, ReLU, Sequential
from cnn_from_scratch.layers.graph import Graph, GraphNode, ValueInfo

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[test]'")

FLOAT = np.dtype(np.float32)


def step(name, op_type, inputs, outputs, opset=13, **attributes):
    operation = make_operation(Node(op_type, name, attributes, opset, len(inputs), len(outputs)))
    return GraphNode(name, operation, tuple(inputs), tuple(outputs))


def two_heads(opset=13):
    """A convolution whose filters are stored as a matrix; its maps are scaled by a constant, and summed up."""
    rng = np.random.default_rng(0)
    nodes = [
        step("shape it", "Reshape", ("filters", "shape"), ("weight",), opset),
        step("x", "Conv", ("x", "weight", "bias"), ("maps",), opset, pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        step("mul", "Mul", ("maps", "two"), ("doubled",), opset),
        step("sum", "Add", ("doubled", "other"), ("total",), opset),
    ]
    arrays = {
        "filters": rng.standard_normal((3, 18)).astype(np.float32),
        "shape": np.array([3, 2, 3, 3]),
        "bias": rng.standard_normal(3).astype(np.float32),
        "two": np.array(2, np.float32),
    }
    inputs = [ValueInfo("x", FLOAT, ("batch", 2, 5, None)), ValueInfo("other", FLOAT, ("batch", 3, 5, None))]
    return Graph(nodes, inputs, ["total", "maps"], arrays)


def small(opset=13):
    weight = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
    nodes = [step("fc", "Gemm", ("in", "w"), ("h",), opset, transB=1), step("act", "Relu", ("h",), ("out",), opset)]
    return Graph(nodes, [ValueInfo("in", FLOAT, ("N", 3))], ["out"], {"w": weight})


def test_a_whole_graph_keeps_its_names():
    graph = two_heads()
    message = to_onnx(graph)
    onnx.checker.check_model(message, full_check=True)
    written = message.graph
    assert [(n.name, n.op_type, *n.input, *n.output) for n in written.node] == [
        ("shape it", "Reshape", "filters", "shape", "weight"),
        ("x", "Conv", "x", "weight", "bias", "maps"),
        ("mul", "Mul", "maps", "two", "doubled"),
        ("sum", "Add", "doubled", "other", "total"),
    ]
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in written.initializer}
    for name, array in {**graph.params, **graph.constants}.items():
        np.testing.assert_array_equal(found.pop(name), array, strict=True)
    assert not found
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in written.input]
    assert shapes == [["batch", 2, 5, 0], ["batch", 3, 5, 0]]
    assert (message.opset_import[0].version, message.ir_version) == (13, 7)


def test_onnxruntime_runs_it():
    graph = two_heads()
    session = runtime(to_onnx(graph))
    for count in (1, 3):
        given = {"x": examples(count, (2, 5, 4)), "other": examples(count, (3, 5, 4), 1)}
        ours = graph.run(given)
        for name, theirs in zip(ours, session.run(list(ours), given), strict=True):
            np.testing.assert_allclose(ours[name], theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_a_graph_inside_of_a_model():
    model = Sequential({"base": small(), "head": Sequential(ReLU(), Linear(4, 2, rng=0))})
    message = to_onnx(model, input_shape=(3,))
    onnx.checker.check_model(message, full_check=True)
    assert [(n.name, *n.input, *n.output) for n in message.graph.node] == [
        ("base.fc", "input", "base.w", "base.h"),
        ("base.act", "base.h", "base.out"),
        ("head.0.Relu", "base.out", "head.0.Relu.output"),
        ("head.1.Gemm", "head.0.Relu.output", "head.1.weight", "head.1.bias", "output"),
    ]
    assert message.opset_import[0].version == 13
    x = examples(2, (3,))
    np.testing.assert_allclose(model.predict(x), runtime(message).run(None, {"input": x})[0], rtol=1e-5, atol=1e-6)


def test_a_graph_stays_in_its_opset():
    assert to_onnx(small(), opset=13).opset_import[0].version == 13
    with pytest.raises(UnsupportedOpError) as caught:
        to_onnx(small(), opset=21)
    assert str(caught.value) == (
        "save_onnx: nodes of a Graph stay in the opset that they were read in, 13, and cannot be written in opset 21"
    )
    with pytest.raises(UnsupportedOpError) as caught:
        to_onnx(Sequential({"a": small(13), "b": Sequential(Linear(4, 3)), "c": small(11)}), input_shape=(3,))
    assert str(caught.value) == (
        "save_onnx: nodes of a Graph stay in the opset that they were read in, 11 and 13; a file has one for all"
    )
    with pytest.raises(
        UnsupportedOpError, match=r"layer 'b' = LayerNorm can be written in opset 17 or newer, not in opset 13"
    ):
        to_onnx(Sequential({"a": small(13), "b": LayerNorm(4)}), input_shape=(3,))


def test_a_graph_inside_must_have_one_input_and_one_output():
    with pytest.raises(ValueError, match="one input and one output"):
        to_onnx(Sequential(two_heads()), input_shape=(2, 5, 5))


def test_outputs_that_onnx_infers_nothing_about():
    """GroupNormalization: rank and dtype are those that a run gives."""
    node = step("norm", "GroupNormalization", ("x", "s", "b"), ("y",), 21, num_groups=2)
    arrays = {"s": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}
    message = to_onnx(Graph([node], [ValueInfo("x", FLOAT, ("N", 4, None))], ["y"], arrays))
    onnx.checker.check_model(message, full_check=True)
    kind = message.graph.output[0].type.tensor_type
    assert (kind.elem_type, len(kind.shape.dim)) == (onnx.TensorProto.FLOAT, 3)


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [("LeakyRelu", {"alpha": 1}), ("Elu", {"alpha": 0.5}), ("Concat", {"axis": 1}), ("Flatten", {})],
)
def test_attributes_get_the_types_of_the_operator(op_type, attributes):
    node = step("n", op_type, ("x",), ("y",), **attributes)
    graph = Graph([node], [ValueInfo("x", FLOAT, ("N", 3))], ["y"], {})
    message = to_onnx(graph)
    onnx.checker.check_model(message, full_check=True)
    found = {a.name: onnx.helper.get_attribute_value(a) for a in message.graph.node[0].attribute}
    assert found == attributes
    x = examples(2, (3,))
    np.testing.assert_allclose(runtime(message).run(None, {"x": x})[0], graph.run({"x": x})["y"], rtol=1e-6)
