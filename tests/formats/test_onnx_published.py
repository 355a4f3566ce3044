"""Nine published networks, in the light form that comes with ONNX: their graphs, with weights of one number each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnn_from_scratch import load_onnx
from cnn_from_scratch.layers import Graph

onnx = pytest.importorskip("onnx")
FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
         "zfnet512"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_published_graph(name):
    path = FOLDER / f"light_{name}.onnx"
    if not path.exists():
        pytest.skip("this version of ONNX comes without it")
    graph = load_onnx(path)
    source, target = graph.single("test")
    count = int(np.prod(source.shape))
    x = (np.arange(count).reshape(source.shape) / count).astype(np.float32)
    if name == "squeezenet":
        _assert_all_alike(graph, x)
        return
    recorded = onnx.TensorProto.FromString((FOLDER / f"light_{name}_output_0.pb").read_bytes())
    np.testing.assert_allclose(graph.run({source.name: x})[target], onnx.numpy_helper.to_array(recorded), rtol=1e-3)


def _assert_all_alike(graph, x):
    """Here a softmax of a thousand equal numbers near 1e10 would decide by the last bit: look at what goes into it."""
    before = graph.nodes[-1].inputs[0]
    given = dict(graph.params) | graph.buffers | graph.constants
    logits = Graph(graph.nodes, graph.inputs, [before], given).run({graph.inputs[0].name: x})[before]
    assert logits.min() > 1e9
    np.testing.assert_allclose(logits, logits.max(), rtol=1e-6)
