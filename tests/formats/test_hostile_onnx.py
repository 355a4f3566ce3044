"""ONNX files that mean harm: numbers in other files, sizes that lie, graphs that are none. Built here by hand."""

from __future__ import annotations

import os

import numpy as np
import pytest
from fuzzing.guard import at_most, guard

from cnn_from_scratch import load_onnx
from cnn_from_scratch.cli.saved_run import load_run
from cnn_from_scratch.errors import CnnError, FormatError, LimitError, ShapeError, UnsupportedOpError
from cnn_from_scratch.formats import load_onnx_metadata

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


def value(name, shape=(1, 4)):
    return helper.make_tensor_value_info(name, FLOAT, shape)


def model(nodes, arrays=None, *, shape=(1, 4), opset=17):
    weights = [numpy_helper.from_array(array, name) for name, array in (arrays or {}).items()]
    graph = helper.make_graph(nodes, "g", [value("x", shape)], [value("y", None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(kind, inputs="x", outputs="y", **more):
    return helper.make_node(kind, inputs.split(" "), outputs.split(" "), **more)


def small():
    return model([node("MatMul", "x w", "a"), node("Relu", "a")], {"w": np.ones((4, 2), np.float32)})


@pytest.fixture
def refused(tmp_path):
    """Write a message, or bytes; nothing but the file is opened, and little memory taken. The text of the error."""
    path = tmp_path / "model.onnx"
    path.write_bytes(small().SerializeToString())
    load_onnx(path)  # and now all is imported

    def refused(message, kind=CnnError, read=load_onnx, size=4 << 20):
        path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
        with guard().watching(path) as seen, at_most(size), pytest.raises(kind) as caught:
            read(path)
        assert not seen
        assert str(caught.value).startswith(f"{path}: ")
        assert str(caught.value).isprintable()
        return str(caught.value)

    return refused


# --- numbers in other files -------------------------------------------------------------------------------------------

PLACES = {
    "above": {"location": "../secret.bin"},
    "absolute": {"location": "/etc/passwd"},
    "a link": {"location": "link.bin"},
    "a folder": {"location": "."},
    "beside": {"location": "weights.bin"},
    "missing": {"location": "none.bin"},
    "nowhere": {},
    "an address": {"location": "https://example.com/weights.bin"},
    "an offset that lies": {"location": "weights.bin", "offset": str(1 << 62), "length": "32"},
    "a length that lies": {"location": "weights.bin", "offset": "0", "length": str(1 << 62)},
    "a negative offset": {"location": "weights.bin", "offset": "-8"},
    "a device": {"location": "/dev/zero"},
}


@pytest.mark.fault("onnx-external-data")
@pytest.mark.parametrize("case", PLACES)
@pytest.mark.parametrize("where", ["initializer", "attribute"])
@pytest.mark.parametrize("told", [True, False])
def test_no_other_file_is_opened(refused, tmp_path, case, where, told):
    (tmp_path / "weights.bin").write_bytes(bytes(32))
    os.symlink("/etc/passwd", tmp_path / "link.bin")
    message = small()
    tensor = message.graph.initializer[0]
    if where == "attribute":
        tensor = message.graph.node.add(op_type="Constant", output=["c"]).attribute.add(name="value", type=4).t
        tensor.CopyFrom(message.graph.initializer[0])
    tensor.ClearField("raw_data")
    for key, text in PLACES[case].items():
        tensor.external_data.add(key=key, value=text)
    if told:
        tensor.data_location = onnx.TensorProto.EXTERNAL
    text = refused(message, FormatError)
    outside = told or PLACES[case]
    assert ("has its numbers in another file" if outside else "claims the shape") in text


# --- files that are no ONNX, or half of it ----------------------------------------------------------------------------


def field(number, kind, body=b""):
    """A field of protobuf: its tag, and for texts and messages (kind 2) their length."""
    tag = varint(number << 3 | kind)
    return tag + (varint(len(body)) + body if kind == 2 else body)


def varint(n):
    found = bytearray()
    while n >= 128:
        found.append(n & 127 | 128)
        n >>= 7
    return bytes([*found, n])


def nested(depth):
    """Graphs in attributes of nodes of graphs in attributes of nodes ..."""
    body = b""
    for _ in range(depth):
        body = field(1, 2, field(5, 2, field(6, 2, body)))
    return field(7, 2, body)


WHOLE = small().SerializeToString()
NO_TEXT = b"\xff\xfe"
BYTES = {
    "nothing": b"",
    "a page": b"<html>404</html>",
    "a length of 2^63": b"\x3a" + b"\xff" * 8 + b"\x7f",
    "a length beyond the end": b"\x3a\xff\x01abc",
    "a number without end": b"\x08" + b"\xff" * 20,
    "a field of number 0": b"\x02\x00",
    "a group without end": b"\x3b",
    "a wrong kind": b"\x38\x01",
    "depth of 50": nested(10),
    "depth of 100,000": nested(5_000),
    "no graph": field(8, 2, b"\x10\x11"),
    "a name that is no text": WHOLE.replace(b"MatMul", b"\xff\xfetMul"),
    "an input that is no text": WHOLE.replace(b"\x0a\x01x", b"\x0a\x01\xff"),
    "a million empty dims": field(7, 2, field(5, 2, field(1, 2, b"\x01" * 1_000_000) + field(8, 2, b"w"))),
}


@pytest.mark.fault("onnx-corrupt")
@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_model(refused, case):
    refused(BYTES[case], (FormatError, UnsupportedOpError), size=32 << 20)


@pytest.mark.fault("onnx-corrupt")
def test_metadata_that_are_no_text(refused):
    broken = WHOLE + field(14, 2, field(1, 2, b"a") + field(2, 2, NO_TEXT))
    assert "its metadata has a name that is no text" in refused(broken, FormatError, load_onnx_metadata)


@pytest.mark.fault("onnx-corrupt")
def test_every_truncation_and_a_flip_in_every_byte(tmp_path):
    path, refusals = tmp_path / "a.onnx", 0
    for at in range(len(WHOLE)):
        for data in (WHOLE[:at], WHOLE[:at] + bytes([WHOLE[at] ^ (1 << at % 8)]) + WHOLE[at + 1 :]):
            path.write_bytes(data)
            try:
                load_onnx(path, batch="free")
            except CnnError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017
                refusals += 1
    assert refusals > len(WHOLE)


# --- tensors and graphs that lie --------------------------------------------------------------------------------------


def tensor(dims, raw=bytes(32), kind=FLOAT):
    message = small()
    lying = message.graph.initializer[0]
    del lying.dims[:]
    lying.dims.extend(dims)
    lying.raw_data, lying.data_type = raw, kind
    return message


def unknown(kind, **more):
    return model([node(kind, **more)])


GRAPHS = {
    "dims of 2^62": (tensor([1 << 62, 1 << 62]), FormatError, "claims the shape"),
    "dims that overflow to 8": (tensor([1 << 61, 1 << 61, 8]), FormatError, "claims the shape"),
    "dims of 2^62 and 0": (tensor([1 << 62, 0], b""), FormatError, "which is too large though it is empty"),
    "a negative dim": (tensor([-1, 8]), FormatError, "claims the shape [-1, 8]"),
    "two negative dims": (tensor([-4, -2]), FormatError, "claims the shape [-4, -2]"),
    "100 dims": (tensor([1] * 100), FormatError, "claims the shape"),
    "raw bytes too few": (tensor([4, 2], bytes(31)), FormatError, "which are no whole number of float32"),
    "raw bytes too many": (tensor([4, 2], bytes(64)), FormatError, "but holds 16 numbers"),
    "a type of 99": (tensor([4, 2], kind=99), FormatError, "which ONNX does not define"),
    "a cycle": (
        model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "a")]),
        FormatError,
        "in a circle: node 'Add_0'",
    ),
    "a node of itself": (model([node("Add", "x y", "y")]), FormatError, "in a circle: node 'Add_0'"),
    "an undefined input": (model([node("Relu", "nothing")]), FormatError, "'nothing'"),
    "an output twice": (model([node("Relu"), node("Relu")]), FormatError, "'y'"),
    "an output that is an input": (model([node("Relu", "x", "x"), node("Relu")]), FormatError, "'x'"),
    "no nodes": (model([]), FormatError, "'y'"),
    "an opset from the future": (
        model([node("Relu")], opset=1000),
        UnsupportedOpError,
        "Relu (opset 1000) is not supported",
    ),
    "an opset of 2^62": (model([node("Relu")], opset=1 << 62), UnsupportedOpError, "is not supported"),
    "an opset below 0": (model([node("Relu")], opset=-1), UnsupportedOpError, "Relu (opset -1) is not supported"),
    "an unknown operator": (unknown("System"), UnsupportedOpError, "System (opset 17) is not supported"),
    "another domain": (
        unknown("Relu", domain="evil"),
        UnsupportedOpError,
        "Relu (domain 'evil', version 0) is not supported",
    ),
    "an operator that loads a library": (
        unknown("PyOp", domain="ai.onnx.contrib"),
        UnsupportedOpError,
        "PyOp (domain ",
    ),
    "an attribute of another type": (unknown("Flatten", axis="1"), FormatError, "axis must be an int"),
}


@pytest.mark.fault("onnx-corrupt", "onnx-unsupported")
@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_that_mean_harm(refused, case):
    message, kind, text = GRAPHS[case]
    assert text in refused(message, kind)


def fill(size):
    """A graph of some bytes that would make an array of `size` numbers."""
    return model([node("Expand", "x s")], {"s": np.array([size // 4, 4])})


@pytest.mark.fault("onnx-corrupt")
def test_what_is_only_found_by_running_the_graph(refused):
    """The length of a batch is made free by running zeros through the graph."""

    def free(path):
        return load_onnx(path, batch="free")

    reshape = model([node("Reshape", "x s")], {"s": np.array([1, 5])})
    assert "node 'Reshape_0' (Reshape)" in refused(reshape, ShapeError, free)
    assert "are accepted (its inputs: float32 (1, 4), int64 (2,))" in refused(fill(1 << 60), CnnError, free)
    far = unknown("Flatten", axis=(1 << 63) - 1)
    assert "node 'Flatten_0' (Flatten)" in refused(far, ShapeError, free)


@pytest.mark.fault("onnx-corrupt")
def test_a_batch_of_nothing(tmp_path):
    """Found by fuzzing: a division by the length of the batch."""
    nodes = [node("Conv", "x w", "a"), node("Flatten", "a")]
    message = model(nodes, {"w": np.ones((2, 1, 3, 3), np.float32)}, shape=(0, 1, 5, 5))
    (tmp_path / "a.onnx").write_bytes(message.SerializeToString())
    assert load_run(tmp_path / "a.onnx").model.output_shape((1, 5, 5)) == (18,)


@pytest.mark.fault("onnx-corrupt")
def test_many_nodes(refused):
    nodes = [node("Relu", "x", f"y{n}") for n in range(100_001)]
    assert "has 100001 nodes; at most 100000 are accepted" in refused(model(nodes), LimitError, size=64 << 20)
