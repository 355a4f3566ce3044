"""Which graphs can be shown to treat examples one by one: and those that can, do."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import as_graph

from cnn_from_scratch import models
from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.layers import BatchNorm2d, Graph, GraphNode, Residual, Sequential, ValueInfo

IMAGE = (4, 6, 6)


def onnx(op_type, inputs, outputs="y", opset=17, **attributes):
    inputs, outputs = inputs.split(), outputs.split()
    operation = make_operation(Node(op_type, outputs[0], attributes, opset, len(inputs), len(outputs)))
    return GraphNode(outputs[0], operation, tuple("" if name == "-" else name for name in inputs), tuple(outputs))


def ints(*values):
    return np.array(values, np.int64)


def floats(*shape):
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype(np.float32)


def made(nodes, arrays, shape=IMAGE):
    nodes = [nodes] if isinstance(nodes, GraphNode) else nodes
    return Graph(nodes, [ValueInfo("x", np.dtype(np.float32), ("N", *shape))], ["y"], arrays)


LENGTH = [onnx("Shape", "x", "s"), onnx("Gather", "s zero", "n", axis=0), onnx("Unsqueeze", "n zero1", "first")]
"""The length of the batch, as a list of one."""
KNOWN = {"zero": np.array(0), "zero1": ints(0)}

KEPT = {
    "relu": (onnx("Relu", "x"), {}),
    "a constant for each channel": (onnx("Add", "x c"), {"c": floats(4, 1, 1)}),
    "a constant of as many axes": (onnx("Mul", "c x"), {"c": floats(1, 4, 1, 1)}),
    "with itself": (onnx("Mul", "x x"), {}),
    "conv": (onnx("Conv", "x k", kernel_shape=[3, 3]), {"k": floats(2, 4, 3, 3)}),
    "norm": (onnx("BatchNormalization", "x a b m v"), {n: floats(4) for n in "abmv"}),
    "flatten": (onnx("Flatten", "x"), {}),
    "softmax": (onnx("Softmax", "x", axis=1), {}),
    "softmax before 13": (onnx("Softmax", "x", opset=11), {}),
    "mean of pixels": (onnx("ReduceMean", "x", axes=[2, -1]), {}),
    "sum along an input": (onnx("ReduceSum", "x axes"), {"axes": ints(1)}),
    "transpose of pixels": (onnx("Transpose", "x", perm=[0, 2, 3, 1]), {}),
    "reshape to -1": (onnx("Reshape", "x s"), {"s": ints(-1, 144)}),
    "reshape that copies": (onnx("Reshape", "x s"), {"s": ints(0, 2, -1)}),
    "matmul": (onnx("MatMul", "x w"), {"w": floats(6, 3)}),
    "matmul of examples": ([onnx("Transpose", "x", "t", perm=[0, 1, 3, 2]), onnx("MatMul", "x t")], {}),
    "matmul from the left": (onnx("MatMul", "w x"), {"w": floats(3, 6)}),
    "concat of channels": (onnx("Concat", "x x", axis=1), {}),
    "slice of channels": (onnx("Slice", "x a b axes"), {"a": ints(1), "b": ints(3), "axes": ints(1)}),
    "gather of channels": (onnx("Gather", "x i", axis=1), {"i": ints(2, 0)}),
    "unsqueeze": (onnx("Unsqueeze", "x axes"), {"axes": ints(2)}),
    "squeeze": ([onnx("GlobalAveragePool", "x", "p"), onnx("Squeeze", "p axes")], {"axes": ints(2, 3)}),
    "padding of pixels": (onnx("Pad", "x p"), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}),
    "split of channels": ([onnx("Split", "x", "a b", axis=1), onnx("Add", "a b")], {}),
    "resize": (onnx("Resize", "x - f", mode="nearest"), {"f": np.array([1, 1, 2, 2], np.float32)}),
    "best of channels": ([onnx("ArgMax", "x", "i", axis=1), onnx("Cast", "i", to=1)], {}),
    "tile of pixels": (onnx("Tile", "x r"), {"r": ints(1, 1, 2, 1)}),
    "the length, as PyTorch writes it": (
        [*LENGTH, onnx("Concat", "first rest", "t", axis=0), onnx("Reshape", "x t")], KNOWN | {"rest": ints(-1)}),
    "a constant for each of the batch": (
        [*LENGTH, onnx("Concat", "first rest", "t", axis=0), onnx("Expand", "c t", "e"), onnx("Add", "x e")],
        KNOWN | {"rest": ints(4, 6, 6), "c": floats(1, 4, 1, 1)}),
    "zeros for each of the batch": (
        [*LENGTH, onnx("Concat", "first rest", "t", axis=0), onnx("ConstantOfShape", "t", "e"), onnx("Add", "x e")],
        KNOWN | {"rest": ints(4, 6, 6)}),
}  # fmt: skip

LOST = {
    "a constant for each example of two": (onnx("Add", "x c"), {"c": floats(2, 1, 1, 1)}),
    "mean of the batch": (onnx("ReduceMean", "x", axes=[0]), {}),
    "mean of all": (onnx("ReduceMean", "x"), {}),
    "softmax along the batch": (onnx("Softmax", "x", axis=0), {}),
    "norm by the batch": (onnx("BatchNormalization", "x a b m v", training_mode=1), {n: floats(4) for n in "abmv"}),
    "transpose": (onnx("Transpose", "x", perm=[1, 0, 2, 3]), {}),
    "flatten of all": (onnx("Flatten", "x", axis=0), {}),
    "flatten of channels": (onnx("Flatten", "x", axis=2), {}),
    "reshape to a number": (onnx("Reshape", "x s"), {"s": ints(2, 144)}),
    "reshape over examples": (onnx("Reshape", "x s"), {"s": ints(-1, 72)}),
    "concat of examples": (onnx("Concat", "x x", axis=0), {}),
    "slice of examples": (onnx("Slice", "x a b axes"), {"a": ints(0), "b": ints(1), "axes": ints(0)}),
    "reversed": (
        onnx("Slice", "x a b axes d"), {"a": ints(-1), "b": ints(-99), "axes": ints(0), "d": ints(-1)}),
    "the first example": (onnx("Gather", "x i", axis=0), {"i": ints(0)}),
    "padding of examples": (onnx("Pad", "x p"), {"p": ints(1, 0, 0, 0, 0, 0, 0, 0)}),
    "the length as a number": (
        [onnx("Shape", "x", "s"), onnx("Gather", "s zero", "n", axis=0), onnx("Cast", "n", "f", to=1),
         onnx("Mul", "x f")], {"zero": np.array(0)}),
    "an operator without a rule": (onnx("Transpose", "x"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_what_keeps_the_batch_computes_its_parts(name):
    model = made(*KEPT[name])
    assert model.keeps_batch(IMAGE)
    for count, cut in ((5, 2), (3, 1)):
        x = floats(count, *IMAGE)
        whole, parts = model.run({"x": x})["y"], [model.run({"x": part})["y"] for part in (x[:cut], x[cut:])]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5)
    assert model.output_shape(IMAGE) == whole.shape[1:]


@pytest.mark.parametrize("name", LOST)
def test_what_does_not_or_is_not_known_to(name):
    assert not made(*LOST[name]).keeps_batch(IMAGE)


def test_our_networks_do():
    for name, shape in {"resnet20": (3, 32, 32), "digits_cnn": (1, 8, 8)}.items():
        assert as_graph(models.MODELS[name](), shape).keeps_batch(shape)
        assert models.MODELS[name]().keeps_batch(shape)


def test_a_container_asks_the_graphs_inside():
    lost, kept = made(*LOST["mean of the batch"]), made(*KEPT["relu"])
    body = Sequential(made(*LOST["softmax along the batch"]))
    assert not Residual(body).keeps_batch(IMAGE)
    assert Residual(Sequential(BatchNorm2d(4), kept)).keeps_batch(IMAGE)
    assert not Sequential(BatchNorm2d(4), lost).keeps_batch(IMAGE)
