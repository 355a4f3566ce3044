"""A published network beside onnxruntime: every value in it, and the network again after it has been trained on."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import CONFORMANCE, REAL_DATA

from cnn_from_scratch import Adam, fit, load_onnx, save_onnx
from cnn_from_scratch.data import load_mnist
from cnn_from_scratch.insight import trace

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
FILE = CONFORMANCE / "onnx_models" / "mnist_8" / "model.onnx"
pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason="the published network is not part of the repository"),
    pytest.mark.skipif(not (REAL_DATA / "mnist").is_dir(), reason="MNIST is not part of the repository"),
]


def session(message):
    return onnxruntime.InferenceSession(message.SerializeToString(), providers=["CPUExecutionProvider"])


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_a_trace_holds_the_value_of_every_node():
    """onnxruntime is asked for all of them, one image at a time, as the file declares."""
    images = load_mnist(REAL_DATA, verify=False).test.x[:3].astype(np.float32)
    message = onnx.load(FILE)
    names = {node.name: node.output[0] for node in message.graph.node}
    del message.graph.output[:]
    message.graph.output.extend(onnx.helper.make_empty_tensor_value_info(value) for value in names.values())
    peer = session(message)
    found = [dict(zip(names, peer.run(None, {"Input3": image[None]}), strict=True)) for image in images]
    seen = trace(load_onnx(FILE, batch="free"), images)
    for name in names:
        ours = seen[name].output
        if name == "Times212_reshape1":  # a weight: the same for all
            close(ours, found[0][name])
        else:
            close(ours, np.concatenate([values[name] for values in found]))


def test_trained_on_and_written_again_it_takes_any_batch(tmp_path):
    train = load_mnist(REAL_DATA, verify=False).train
    graph = load_onnx(FILE, batch="free")
    fit(graph, (train.x[:1000].astype(np.float32), train.y[:1000]), epochs=1, optimizer=Adam(lr=1e-4), seed=0)
    save_onnx(graph, tmp_path / "trained.onnx", input_shape=(1, 28, 28))
    onnx.checker.check_model(tmp_path / "trained.onnx", full_check=True)
    again = load_onnx(tmp_path / "trained.onnx")
    peer = session(onnx.load(tmp_path / "trained.onnx"))
    for count in (1, 5):
        x = train.x[-count:].astype(np.float32)
        (theirs,) = peer.run(None, {peer.get_inputs()[0].name: x})
        close(graph.predict(x), theirs)
        assert np.array_equal(again.predict(x), graph.predict(x))
