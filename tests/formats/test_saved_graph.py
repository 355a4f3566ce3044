"""A graph in our own file: it comes back bitwise, and a description that is none is a FormatError."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from graphs import Relu, as_graph, graph, node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnn_from_scratch import models
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import load_model, save_model
from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.graph_spec import build_graph, decode, describe_graph, encode
from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.formats.saved_model import ENTRY
from cnn_from_scratch.formats.tensors import read_tensors, write_tensors
from cnn_from_scratch.layers import Flatten, Graph, GraphNode, Linear, Sequential, ValueInfo


def onnx(op_type, inputs, outputs, **attributes):
    inputs, outputs = inputs.split(), outputs.split()
    operation = make_operation(Node(op_type, outputs[0], attributes, 18, len(inputs), len(outputs)))
    return GraphNode(outputs[0], operation, tuple(inputs), tuple(outputs))


def small():
    """Parameters, constants of two dtypes, an attribute that is an array, an optional input that is not there."""
    tensor = np.array([2.0], np.float32)
    return Graph(
        [
            onnx("ConstantOfShape", "sizes", "twos", value=tensor),
            onnx("Mul", "x twos", "a"),
            GraphNode("b", make_operation(Node("Clip", "b", {}, 18, 3, 1)), ("a", "", "high"), ("b",)),
            onnx("MatMul", "b w", "y"),
        ],
        [ValueInfo("x", np.dtype(np.float32), ("N", 3)), ValueInfo("sizes", np.dtype(np.int64), (1,))],
        ["y", "a"],
        {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "high": np.array(4, np.float32), "sizes": np.array([3])},
    )


def assert_same(again, model):
    assert repr(again) == repr(model)
    for kind in ("params", "buffers", "constants"):
        own, loaded = getattr(model, kind), getattr(again, kind)
        assert list(loaded) == list(own)
        for key, array in own.items():
            np.testing.assert_array_equal(loaded[key], array)
            assert loaded[key].dtype == array.dtype


def test_a_graph_comes_back(tmp_path):
    model = small()
    model.notes = ("input x: its first axis, 1, is free now",)
    save_model(model, tmp_path / "a", metadata={"classes": ["a", "b"]})
    again = load_model(tmp_path / "a")
    assert_same(again, model)
    assert again.notes == model.notes
    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    found = again.run({"x": x})
    np.testing.assert_array_equal(found["a"], 2 * x)
    np.testing.assert_array_equal(found["y"], np.array([[2.0, 4.0, 4.0]]) @ model.params["w"])
    again.params["w"] += 1  # it can be trained


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_a_network_comes_back(tmp_path, name, dtype):
    shape = {"digits_cnn": (1, 8, 8)}.get(name, (3, 32, 32))
    model = as_graph(models.MODELS[name]().astype(dtype), shape)
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(dtype)
    save_model(model, tmp_path / "a")
    again = load_model(tmp_path / "a")
    assert_same(again, model)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_a_graph_among_layers(tmp_path):
    body = Graph([onnx("Mul", "x w", "y")], [ValueInfo("x", np.dtype("f4"), None)], ["y"], {"w": np.ones(4, "f4")})
    model = Sequential({"body": body, "flatten": Flatten(), "head": Linear(4, 2, rng=0)})
    save_model(model, tmp_path / "a")
    again = load_model(tmp_path / "a")
    assert list(again.params) == ["body.w", "head.weight", "head.bias"]
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_an_operation_of_ones_own_is_refused_when_it_is_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save_model: node 'node_y' \(Relu\) of graph '' has an operation of your own"):
        save_model(graph([node(Relu(), "x", "y")]), tmp_path / "a")


@pytest.mark.parametrize(
    "value",
    [1, 2.5, "text", None, [1, [2.0, "a"]], b"\x00\xff", float("inf"), np.array([[1, 2]]), np.array([True]),
     np.zeros((0, 2), np.float32), np.array(np.nan)],
)  # fmt: skip
def test_attributes_come_back(value):
    again = decode(json.loads(json.dumps(encode(value, "a"), allow_nan=False)), "a")
    assert type(again) is type(value)
    if not isinstance(value, np.ndarray):
        assert again == value
    else:
        np.testing.assert_array_equal(again, value)
        assert (again.dtype, again.shape) == (value.dtype, value.shape)


def test_attributes_that_cannot_be_written():
    with pytest.raises(TypeError, match=r"here is .*object.*, which cannot be written"):
        encode(object(), "here")


# --- descriptions that are none -------------------------------------------------------------------------------------


def changed(path, value):
    """The description of `small`, with something else at one place."""
    spec = copy.deepcopy(describe_graph(small(), ""))
    inside = spec
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return spec


@pytest.mark.fault("hostile-architecture")
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["more"], 1, "must have exactly nodes, inputs, outputs"),
        (["nodes"], {}, "nodes must be of type list, got {}"),
        (["nodes", 0], 5, "node 5 must have exactly name, op_type"),
        (["nodes", 0, "op_type"], "Evil", "UnsupportedOpError: Evil (opset 18) is not supported"),
        (["nodes", 0, "opset"], "x", "opset must be of type int, got 'x'"),
        (["nodes", 0, "opset"], True, "opset must be of type int, got True"),
        (["nodes", 0, "inputs"], [1], "inputs must be names, got [1]"),
        (["nodes", 0, "inputs"], ["nowhere"], "reads 'nowhere', which is no input"),
        (["nodes", 1, "inputs"], ["a", "a"], "wait for each other"),
        (["nodes", 0, "attributes"], {"value": {"array": "<f4", "shape": [2], "base64": "AAAAAA=="}}, "is damaged"),
        (
            ["nodes", 0, "attributes"],
            {"value": {"array": "|O", "shape": [1], "base64": ""}},
            "dtype '|O', which is not",
        ),
        (["nodes", 0, "attributes"], {"value": {"what": 1}}, "value is no attribute"),
        (["nodes", 0, "attributes"], {"value": {"bytes": "?"}}, "is damaged"),
        (["nodes", 0, "name"], "a", "a node must have a name of its own"),
        (["outputs"], ["nowhere"], "output 'nowhere' is no input"),
        (["outputs"], [{}], "outputs must be names"),
        (["trainable"], ["nowhere"], "trainable names 'nowhere'"),
        (["inputs", 0], ["x", "<f4", [-1]], "has the shape [-1]"),
        (["inputs", 0], ["x", "q", [1]], "has the dtype 'q'"),
        (["inputs", 0], ["x", "/f4", [1]], "has the dtype '/f4'"),  # found by fuzzing
        (["inputs", 0], "x", "an input must be [name, dtype, shape]"),
        (["initializers", 0], ["w", "<f4", [1.5]], "an initializer must be [name, dtype, shape]"),
        (["initializers", 0], ["w", "O", []], "has the dtype 'O'"),
    ],
)
def test_what_describes_no_graph(path, value, message):
    with pytest.raises(FormatError, match="graph") as error:
        build_graph(changed(path, value), "")
    assert message in str(error.value)


@pytest.mark.fault("hostile-architecture")
def test_a_file_that_asks_for_too_much_memory(tmp_path):
    save_model(small(), tmp_path / "a")
    tensors = read_tensors(tmp_path / "a")
    document = json.loads(tensors.metadata[ENTRY])
    document.pop("sha256")
    document["architecture"]["config"]["initializers"][0][2] = [1 << 40, 1 << 20]
    document["sha256"] = digest({k: v for k, v in document.items() if k != "sha256"}, tensors.arrays)
    write_tensors(tmp_path / "a", tensors.arrays, {ENTRY: json.dumps(document)})
    with pytest.raises(FormatError, match=r"a: its layers ask for 1152921504606846978 numbers, but it holds 8"):
        load_model(tmp_path / "a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1 << 40) | st.text(max_size=4) | st.sampled_from(["x", "w", "Relu"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=2),
    max_leaves=6,
)


def places(value, path=()):
    """Every place within a description."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@pytest.mark.fault("hostile-architecture")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_stands_anywhere_gives_a_graph_or_our_error(data):
    path = data.draw(st.sampled_from([p for p in places(describe_graph(small(), "")) if p]))
    if path[:1] == ("initializers",) and len(path) > 2:
        return  # sizes are limited by `graph_size` before anything is made
    spec = changed(path, data.draw(JSON))
    try:
        assert isinstance(build_graph(spec, ""), Graph)
    except FormatError as error:
        if not str(error).startswith("graph ''"):
            raise
