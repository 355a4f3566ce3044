"""Files of models: small valid ones, how they are read, and changes that keep checksums right."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from . import archives, described
from .mutations import mutate_json, written


def arrays() -> dict[str, np.ndarray]:
    return {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "count": np.array(3),
        "half": np.ones(2, np.float16),
    }


def tensors_seeds() -> list[bytes]:
    from cnn_from_scratch.formats.tensors import write_tensors

    return [written(lambda path: write_tensors(path, arrays(), {"format": "pt"}))]


def tensors(path: Path) -> None:
    from cnn_from_scratch.formats import read_state_dict
    from cnn_from_scratch.formats.tensors import read_tensors

    read_tensors(path)
    read_state_dict(path)


def model_seeds() -> list[bytes]:
    from cnn_from_scratch import layers
    from cnn_from_scratch.formats import save_model

    body = layers.Sequential(layers.Conv2d(1, 2, 3, padding=1, bias=False, rng=0), layers.BatchNorm2d(2), layers.ReLU())
    tail = (layers.MaxPool2d(2), layers.Flatten(), layers.Dropout(0.5), layers.Linear(32, 3, rng=0))
    run = {
        "dataset": "d",
        "classes": ["a", "b", "c"],
        "input_shape": [1, 8, 8],
        "normalization": [[0.5], [0.2]],
        "preparation": "uci-digit",
    }
    models = [
        layers.Sequential(layers.Residual(body, layers.Conv2d(1, 2, 1, rng=0)), *tail),
        layers.Sequential(
            {
                "a": layers.GroupNorm(1, 1),
                "b": layers.AdaptiveAvgPool2d(4),
                "c": layers.Flatten(),
                "d": layers.Linear(16, 3, rng=0),
            }
        ),
    ]
    found = [written(lambda path, model=model: save_model(model, path, metadata=run)) for model in models]
    run |= {"input_shape": [1, 4, 4], "preparation": "picture"}
    return [*found, written(lambda path: save_model(graph(), path, metadata=run))]


def graph() -> Any:
    from cnn_from_scratch.formats import load_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.onnx"
        path.write_bytes(onnx_seeds()[0])
        return load_onnx(path)


def model(path: Path) -> None:
    from cnn_from_scratch.cli.saved_run import load_run
    from cnn_from_scratch.formats import load_model

    load_model(path)
    load_run(path)


def checkpoint_seeds() -> list[bytes]:
    from cnn_from_scratch import SGD, BestWeights, fit, layers

    rng = np.random.default_rng(0)
    data = rng.random((6, 3), np.float32), np.array([0, 1, 0, 1, 0, 1])
    with tempfile.TemporaryDirectory() as folder:
        model = layers.Sequential(layers.BatchNorm1d(3), layers.Linear(3, 2, rng=0))
        options = {"optimizer": SGD(0.1, momentum=0.9), "callbacks": [BestWeights("loss")], "checkpoint": folder}
        fit(model, data, epochs=1, batch_size=3, shards=1, **options)
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())][:1]


def checkpoint(path: Path) -> None:
    from cnn_from_scratch.training.checkpoint import load_checkpoint_model, read_checkpoint

    read_checkpoint(path)
    load_checkpoint_model(path)


def mutate_checkpoint(data: bytes, rng: Random) -> bytes:
    """Another state, for which the digest is right."""
    from cnn_from_scratch.formats.document import write_described
    from cnn_from_scratch.training.checkpoint import CHECKPOINT, STATE

    arrays = described.arrays_of(*described.split(data))
    state = json.loads(arrays[STATE].tobytes())
    part = rng.choice(list(state))
    state[part] = mutate_json(state[part], rng)
    arrays[STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    return written(lambda path: write_described(CHECKPOINT, path, {}, arrays))


def job_seeds() -> list[bytes]:
    from typer.testing import CliRunner

    from cnn_from_scratch.cli.app import app

    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        CliRunner().invoke(app, ["train", "digits", "--epochs", "1", "--shards", "1", "--out", run])
        return [(Path(run) / "job.json").read_bytes()]


def job(path: Path) -> None:
    from cnn_from_scratch.cli import job_file

    job_file.JOB = path.name
    job_file.read_job(path.parent)


def mutate_job(data: bytes, rng: Random) -> bytes:
    """Another order."""
    return json.dumps(mutate_json(json.loads(data), rng)).encode()


def trace_seeds() -> list[bytes]:
    from cnn_from_scratch import layers
    from cnn_from_scratch.insight import save_trace, trace

    rng = np.random.default_rng(0)
    model = layers.Sequential(
        layers.Conv2d(1, 2, 3, rng=0),
        layers.BatchNorm2d(2),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(2, 2, rng=0),
    )
    x = rng.random((2, 1, 4, 4), np.float32)
    return [
        written(lambda path: save_trace(trace(model, x, np.array([0, 1])), path)),
        written(lambda path: save_trace(trace(model, x), path)),
    ]


def trace(path: Path) -> None:
    from cnn_from_scratch.insight import load_trace, trace_values

    if not trace_values._HINTS:  # made by eval, of our own annotations: before anything is watched
        for kind in trace_values.NAMED.values():
            trace_values._hints(kind)

    load_trace(path)


def torch_seeds() -> list[bytes]:
    from formats.pickles import archive, tensor

    two = {"weight": tensor(), "bias": tensor("1", kind="Half", count=2, shape=(1, 2), strides=(2, 1))}
    storages = {"0": np.arange(4, dtype=np.float32).tobytes(), "1": np.ones(2, np.float16).tobytes()}
    return [archive(two, storages), archive({"epoch": 3, "model": two}, storages, byteorder=b"little")]


def legacy_seeds() -> list[bytes]:
    from formats.pickles import legacy, tensor

    numbers = (4).to_bytes(8, "little") + np.arange(4, dtype=np.float32).tobytes()
    return [legacy({"weight": tensor()}, ["0"], numbers)]


def mutate_legacy(data: bytes, rng: Random) -> bytes:
    """Changed behind the magic number, the version and the facts about the machine."""
    start = data.index(b"ctorch") - 20
    return data[:start] + archives.mutate_pickle(data[start:], rng)


def state_dict(path: Path) -> None:
    from cnn_from_scratch.formats import read_state_dict

    read_state_dict(path)


def pickle_seeds() -> list[bytes]:
    import pickle

    from formats.pickles import pickled, tensor

    value = {"a": [1, (2.5, None)], "b": "text", "c": {"d": True, 3: 1 << 70}}
    return [pickled({"weight": tensor()}), *(pickle.dumps(value, protocol) for protocol in (2, 4, 5))]


def pickle(path: Path) -> None:
    from cnn_from_scratch.errors import CnnError
    from cnn_from_scratch.formats.pytorch_file import select
    from cnn_from_scratch.formats.pytorch_tensors import NAMES, as_storage
    from cnn_from_scratch.formats.restricted_unpickler import unpickle

    try:
        value = unpickle(io.BytesIO(path.read_bytes()), NAMES, as_storage)
        if type(value) is dict and "a" not in value:
            select(value, None)
    except CnnError as error:
        raise type(error)(f"{path}: {error}") from error


def onnx_seeds() -> list[bytes]:
    from onnx import TensorProto, helper, numpy_helper

    def node(kind: str, inputs: str, outputs: str, **more: Any) -> Any:
        return helper.make_node(kind, inputs.split(" "), outputs.split(" "), **more)

    rng = np.random.default_rng(0)
    nodes = [
        node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", "c shape", "d"),
        node("Gemm", "d v u", "e", transB=1),
        node("Softmax", "e", "y", axis=1),
    ]
    others = [
        node("Transpose", "x", "a", perm=[0, 2, 3, 1]),
        node("ReduceMean", "a", "b", axes=[1], keepdims=0),
        node("Unsqueeze", "b axes", "c"),
        node("Concat", "c c", "d", axis=1),
        node("Pad", "d pads", "e"),
        node("Resize", "e  scales", "f", mode="linear"),
        node("Slice", "f starts ends", "g"),
        node("Cast", "g", "h", to=1),
        node("AveragePool", "h", "i", kernel_shape=[2, 2]),
        node("Flatten", "i", "y"),
    ]
    arrays = {
        "w": rng.random((2, 1, 3, 3), np.float32),
        "shape": np.array([1, 8]),
        "v": rng.random((3, 8), np.float32),
        "u": np.zeros(3, np.float32),
    }
    second = {
        "axes": np.array([1]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 0, 1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "starts": np.array([0]),
        "ends": np.array([9]),
    }

    def model(nodes: list[Any], arrays: dict[str, Any], opset: int) -> bytes:
        values = [
            helper.make_tensor_value_info(*v)
            for v in (("x", TensorProto.FLOAT, [1, 1, 4, 4]), ("y", TensorProto.FLOAT, None))
        ]
        weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
        graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        ).SerializeToString()

    return [model(nodes, arrays, 17), model(others, second, 13)]


def onnx(path: Path) -> None:
    from cnn_from_scratch.cli.saved_run import load_run
    from cnn_from_scratch.formats import load_onnx, load_onnx_metadata

    load_onnx_metadata(path)
    load_onnx(path)
    load_run(path)
