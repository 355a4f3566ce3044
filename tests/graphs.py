"""Graphs for tests: small operations with hand-written gradients, and our models written out as ONNX nodes."""

from __future__ import annotations

import numpy as np

from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    GraphNode,
    Layer,
    Linear,
    MaxPool2d,
    Operation,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    ValueInfo,
)
from cnn_from_scratch.layers.context import join

FLOAT64 = np.dtype(np.float64)


# --- operations -----------------------------------------------------------------------------------------------------


def reduced(gradient, shape):
    """A gradient summed over the axes that were broadcast."""
    lead = gradient.ndim - len(shape)
    gradient = gradient.sum(tuple(range(lead)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(stretched, keepdims=True)


class Add(Operation):
    def forward(self, inputs, ctx):
        a, b = inputs
        return (a + b,), (a.shape, b.shape)

    def backward(self, doutputs, cache, wanted):
        return tuple(reduced(doutputs[0], shape) for shape in cache)


class Mul(Operation):
    def forward(self, inputs, ctx):
        return (inputs[0] * inputs[1],), inputs

    def backward(self, doutputs, cache, wanted):
        a, b = cache
        return reduced(doutputs[0] * b, a.shape), reduced(doutputs[0] * a, b.shape)


class MatMul(Operation):
    def forward(self, inputs, ctx):
        return (inputs[0] @ inputs[1],), inputs

    def backward(self, doutputs, cache, wanted):
        a, b = cache
        return doutputs[0] @ b.T, a.T @ doutputs[0]


class Relu(Operation):
    def forward(self, inputs, ctx):
        return (np.maximum(inputs[0], 0),), inputs[0]

    def backward(self, doutputs, cache, wanted):
        return (doutputs[0] * (cache > 0),)


class Tanh_(Operation):  # noqa: N801
    op_type = "Tanh"

    def forward(self, inputs, ctx):
        y = np.tanh(inputs[0])
        return (y,), y

    def backward(self, doutputs, cache, wanted):
        return (doutputs[0] * (1 - cache * cache),)


class Reshape(Operation):
    def forward(self, inputs, ctx):
        return (inputs[0].reshape(inputs[1]),), inputs[0].shape

    def backward(self, doutputs, cache, wanted):
        return doutputs[0].reshape(cache), None


class Split(Operation):
    """In two halves, along axis 1."""

    def forward(self, inputs, ctx):
        first, second = np.split(inputs[0], 2, axis=1)
        return (first, second), inputs[0].shape

    def backward(self, doutputs, cache, wanted):
        dx = np.zeros(cache)
        middle = cache[1] // 2
        for part, dy in ((slice(0, middle), doutputs[0]), (slice(middle, None), doutputs[1])):
            if dy is not None:
                dx[:, part] = dy
        return (dx,)


class ArgMax(Operation):
    """Without a gradient."""

    def forward(self, inputs, ctx):
        return (inputs[0].argmax(1),), None


class Shape(Operation):
    def forward(self, inputs, ctx):
        return (np.array(inputs[0].shape, np.int64),), None


def node(operation, inputs, outputs, name=None):
    """A node named as its first output unless told otherwise."""
    inputs, outputs = inputs.split(), outputs.split()
    return GraphNode(name or f"node_{outputs[0]}", operation, tuple(inputs), tuple(outputs))


def graph(nodes, outputs="y", inputs=None, shape=("N", 4), dtype=FLOAT64, trainable=None, **initializers):
    """A graph with the input x of this shape, unless others are given."""
    inputs = [ValueInfo("x", np.dtype(dtype), shape)] if inputs is None else inputs
    return Graph(nodes, inputs, outputs.split(), initializers, trainable=trainable)


# --- our models as ONNX nodes ---------------------------------------------------------------------------------------


def as_graph(model: Layer, shape, *, batch="N", opset=17) -> Graph:
    """The model with ONNX's operators, its parameters copied under their own keys, nodes named as the layers are."""
    writer = _Writer(opset)
    output = writer.layer("", model, "x")
    inputs = [ValueInfo("x", model.dtype, (batch, *shape))]
    return Graph(writer.nodes, inputs, [output], writer.initializers)


class _Writer:
    def __init__(self, opset):
        self.opset, self.nodes, self.initializers = opset, [], {}

    def add(self, op_type, key, inputs, **attributes):
        """One node with one output."""
        operation = make_operation(Node(op_type, key, attributes, self.opset, len(inputs), 1))
        self.nodes.append(GraphNode(key, operation, tuple(inputs), (f"{key}:0",)))
        return f"{key}:0"

    def layer(self, key, layer, value):
        """All nodes of a layer; the name of what they compute."""
        if isinstance(layer, Sequential):
            for name, child in layer.children.items():
                value = self.layer(join(key, name), child, value)
            return value
        if isinstance(layer, Residual | Concat):
            parts = [self.layer(join(key, name), child, value) for name, child in layer.children.items()]
            if isinstance(layer, Concat):
                return self.add("Concat", f"{key}/Concat", parts, axis=1)
            return self.add("Add", f"{key}/Add", parts if len(parts) == 2 else [*parts, value])
        return self._plain(key, layer, value)

    def _plain(self, key, layer, value):
        for name, array in (layer.params | layer.buffers).items():
            if name != "num_batches_tracked":
                self.initializers[join(key, name)] = array.copy()
        held = [join(key, name) for name in ("weight", "bias", "running_mean", "running_var")
                if name in layer.params | layer.buffers]  # fmt: skip
        if isinstance(layer, Conv2d):
            windows = _windows(layer) | {"group": layer.groups, "dilations": _pair(layer.dilation)}
            return self.add("Conv", key, [value, *held], **windows)
        if isinstance(layer, BatchNorm2d):
            momentum = 1 - layer.momentum
            return self.add("BatchNormalization", key, [value, *held], epsilon=layer.eps, momentum=momentum)
        if isinstance(layer, MaxPool2d):
            return self.add("MaxPool", key, [value], ceil_mode=int(layer.ceil_mode), **_windows(layer))
        if isinstance(layer, AvgPool2d):
            return self.add("AveragePool", key, [value], count_include_pad=1, **_windows(layer))
        if isinstance(layer, Linear):
            return self.add("Gemm", key, [value, *held], transB=1)
        if isinstance(layer, Dropout):
            self.initializers[join(key, "ratio")] = np.array(layer.p, np.float32)
            return self.add("Dropout", key, [value, join(key, "ratio")])
        names = {ReLU: "Relu", Flatten: "Flatten", GlobalAvgPool2d: "GlobalAveragePool", Tanh: "Tanh"}
        return self.add(names[type(layer)], key, [value])


def _pair(value):
    return [value, value] if isinstance(value, int) else list(value)


def _windows(layer):
    stride = layer.kernel_size if layer.stride is None else layer.stride
    sides = np.array(np.broadcast_to(np.reshape(layer.padding, (-1, 1)) if np.ndim(layer.padding) < 2
                                     else layer.padding, (2, 2)))  # fmt: skip
    return {"kernel_shape": _pair(layer.kernel_size), "strides": _pair(stride), "pads": sides.T.ravel().tolist()}
