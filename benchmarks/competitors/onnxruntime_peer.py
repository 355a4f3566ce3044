"""onnxruntime: inference only, with a graph that is written node by node and all optimizations that it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from nets import NETS, our_model, weights_of
from onnx import TensorProto, helper, numpy_helper
from tasks import Array, Competitor, Runner, Task, batch

from cnn_from_scratch.formats.onnx.writing import to_onnx

VERSION = "onnxruntime"


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a task ready; it folds batch norm into the convolutions by itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = competitor.threads
    graph = model_of(task.net, task.shape).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    x, name = batch(task)[0], session.get_inputs()[0].name

    def run() -> Array:
        return session.run(None, {name: x})[0]

    return Runner(run, lambda: {"output": run()})


def model_of(net: str, shape: tuple[int, ...]) -> Any:
    """The network as an ONNX model."""
    if net not in NETS:  # a network that we write ourselves
        return to_onnx(our_model(net), input_shape=shape[1:])
    write = _Nodes(weights_of(net))
    y = NETS[net](write, "x")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(y, TensorProto.FLOAT, (shape[0], 10))]
    weights = [numpy_helper.from_array(np.ascontiguousarray(a), key) for key, a in write.weights.items() if a.ndim]
    graph = helper.make_graph(write.nodes, net, inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class _Nodes:
    """The verbs of `nets`: each adds a node, and gives the name of its output."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def conv(self, x: str, name: str, *, stride: int = 1, padding: int = 1) -> str:
        bias = [f"{name}.bias"] if f"{name}.bias" in self.weights else []
        return self._add("Conv", x, f"{name}.weight", *bias, strides=[stride] * 2, pads=[padding] * 4)

    def norm(self, x: str, name: str) -> str:
        keys = ("weight", "bias", "running_mean", "running_var")
        return self._add("BatchNormalization", x, *(f"{name}.{key}" for key in keys), epsilon=1e-5)

    def relu(self, x: str) -> str:
        return self._add("Relu", x)

    def pool(self, x: str) -> str:
        return self._add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def mean(self, x: str) -> str:
        return self.flatten(self._add("GlobalAveragePool", x))

    def flatten(self, x: str) -> str:
        return self._add("Flatten", x)

    def linear(self, x: str, name: str) -> str:
        return self._add("Gemm", x, f"{name}.weight", f"{name}.bias", transB=1)

    def add(self, x: str, y: str) -> str:
        return self._add("Add", x, y)
