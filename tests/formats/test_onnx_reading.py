"""ONNX files into graphs: what is in them, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cnn_from_scratch import load_onnx
from cnn_from_scratch.errors import CnnError, FormatError, LimitError, MissingPackageError, UnsupportedOpError
from cnn_from_scratch.formats.onnx import Node, description, make_operation, operator, reading, supported_operators
from cnn_from_scratch.formats.onnx.registry import NEWEST_OPSET
from cnn_from_scratch.formats.onnx.tensors import tensor_array

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


def value(name, shape=(None,), kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, initializers=(), *, inputs=("x",), outputs=("y",), opset=18, ir_version=8, **more):
    graph = helper.make_graph(
        nodes,
        "g",
        [value(v) if isinstance(v, str) else v for v in inputs],
        [value(v, None) for v in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(initializers).items()],
    )
    opsets = more.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, **more)


def relu(source="x", target="y", **more):
    return helper.make_node("Relu", [source], [target], **more)


@pytest.fixture
def load(tmp_path):
    """Write a message, or bytes, and read it back."""

    def load(message, **options):
        path = tmp_path / "model.onnx"
        path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
        return load_onnx(path, **options)

    return load


def small():
    """x @ weight + bias through a Relu."""
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"], name="first"),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        relu("sum"),
    ]
    arrays = {"weight": np.array([[1.0, -2.0], [3.0, 4.0]], np.float32), "bias": np.array([10.0, 20.0], np.float32)}
    return model(nodes, arrays, inputs=[value("x", ("N", 2))])


def test_a_network_by_hand(load):
    """(1, 10) @ ((1, -2), (3, 4)) = (31, 38), plus (10, 20) = (41, 58)."""
    graph = load(small())
    assert graph.run({"x": np.array([[1, 10]], np.float32)})["y"].tolist() == [[41, 58]]
    assert graph.predict(np.array([[1, 10], [-9, 0]], np.float32)).tolist() == [[41, 58], [1, 38]]
    assert list(graph.params) == ["weight", "bias"]
    assert [node.name for node in graph.nodes] == ["first", "Add_1", "Relu_2"]
    assert graph.inputs[0].shape == ("N", 2)
    assert graph.inputs[0].dtype == np.float32
    assert graph.notes == ()


# --- tensors --------------------------------------------------------------------------------------------------------

VALUES = [
    np.array([[1.5, -2.0, np.inf]], np.float32),
    np.array([1.5, -2.0, np.nan], np.float64),
    np.array([1.5, -2.0, 6e4], np.float16),
    *(np.array([0, 1, np.iinfo(t).max, np.iinfo(t).min], t) for t in "bhilBHIL"),
    np.array([True, False]),
    np.array([1 + 2j, -3j], np.complex64),
    np.array([1 + 2j, -3j], np.complex128),
    np.array(7.0, np.float32),
    np.zeros((0, 3), np.float32),
]


@pytest.mark.parametrize("array", VALUES, ids=lambda a: f"{a.dtype}{a.shape}")
def test_tensors_of_all_types_as_bytes_and_in_lists(array):
    for raw in (True, False):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        content = array.tobytes() if raw else array.ravel()
        if not raw and array.dtype == np.float16:
            content = array.ravel().astype(np.float32)
        found = tensor_array(helper.make_tensor("t", kind, array.shape, content, raw=raw), "t")
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, array, equal_nan=array.dtype.kind in "fc")


def test_strings():
    found = tensor_array(helper.make_tensor("t", onnx.TensorProto.STRING, (2,), [b"a", "\u00e4".encode()]), "t")
    assert found.tolist() == ["a", "\u00e4"]
    with pytest.raises(FormatError, match="t holds strings that are no UTF-8"):
        tensor_array(helper.make_tensor("t", onnx.TensorProto.STRING, (1,), [b"\xff"]), "t")


@pytest.mark.parametrize("kind", ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "UINT4", "FLOAT4E2M1"])
def test_types_that_numpy_lacks(load, kind):
    tensor = onnx.TensorProto(name="w", data_type=getattr(onnx.TensorProto, kind), dims=[1], raw_data=b"ab")
    message = model([helper.make_node("Add", ["x", "w"], ["y"])])
    message.graph.initializer.append(tensor)
    with pytest.raises(
        UnsupportedOpError, match=rf"model\.onnx: initializer 'w' is of type {kind.lower()}, which NumPy"
    ):
        load(message)


def test_a_type_that_nobody_knows(load):
    message = small()
    message.graph.initializer[0].data_type = 99
    with pytest.raises(FormatError, match="initializer 'weight' is of type 99, which ONNX does not define"):
        load(message)


@pytest.mark.fault("onnx-corrupt")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": [1 << 40, 1 << 40]}, r"claims the shape \[1099511627776, 1099511627776\], but holds 4 numbers"),
        ({"dims": [-2, -2]}, r"claims the shape \[-2, -2\]"),
        ({"dims": [3]}, r"claims the shape \[3\], but holds 4 numbers"),
        ({"dims": [1] * 70}, "claims the shape"),
        ({"raw_data": b"abcde"}, "has 5 bytes, which are no whole number of float32"),
    ],
)
def test_tensors_that_lie(load, change, message):
    lying = small()
    tensor = lying.graph.initializer[0]
    if "dims" in change:
        del tensor.dims[:]
        tensor.dims.extend(change["dims"])
    else:
        tensor.raw_data = change["raw_data"]
    with pytest.raises(FormatError, match=rf"model\.onnx: initializer 'weight' {message}"):
        load(lying)


@pytest.mark.fault("onnx-external-data")
@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "weights.bin"])
def test_nothing_outside_of_the_file_is_read(load, tmp_path, place):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 16)
    message = small()
    tensor = message.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    with pytest.raises(FormatError, match="has its numbers in another file, and only the model's own file is read"):
        load(message)


def test_small_types_that_overflow():
    tensor = onnx.TensorProto(name="t", data_type=onnx.TensorProto.UINT8, dims=[1], int32_data=[256])
    with pytest.raises(FormatError, match="t holds 256 to 256, which are beyond uint8"):
        tensor_array(tensor, "t")


# --- attributes and constants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value": numpy_helper.from_array(np.array([1.5, 2.5], np.float32))}, [1.5, 2.5]),
        ({"value_float": 0.5}, 0.5),
        ({"value_floats": [0.5, 1.0]}, [0.5, 1.0]),
        ({"value_int": 3}, 3),
        ({"value_ints": [3, 4]}, [3, 4]),
    ],
)
def test_constants_become_initializers(load, attribute, expected):
    nodes = [helper.make_node("Constant", [], ["c"], **attribute), helper.make_node("Identity", ["c"], ["y"])]
    graph = load(model(nodes, inputs=[]))
    assert [node.operation.op_type for node in graph.nodes] == ["Identity"]
    found = graph.run({})["y"]
    assert found.tolist() == expected
    assert found.dtype == (np.float32 if "float" in next(iter(attribute)) or "value" in attribute else np.int64)


def test_constants_are_not_learned_where_there_are_weights(load):
    """Some programs write every weight as a constant; then these are what there is to learn."""
    factor = numpy_helper.from_array(np.array([2.0, 3.0], np.float32))
    nodes = [helper.make_node("Constant", [], ["c"], value=factor), helper.make_node("Mul", ["x", "c"], ["z"])]
    graph = load(model([*nodes, helper.make_node("Add", ["z", "w"], ["y"])], {"w": np.ones(2, np.float32)}))
    assert (list(graph.params), list(graph.constants)) == (["w"], ["c"])
    assert list(load(model(nodes, outputs=["z"])).params) == ["c"]


def test_constants_that_are_none(load):
    for attributes, message in [
        ({}, "must have one attribute, one output and no input"),
        ({"value_int": 1, "value_float": 1.0}, "must have one attribute, one output and no input"),
        ({"other": 1}, "has an attribute 'other', which it cannot have"),
    ]:
        with pytest.raises(FormatError, match=rf"node 'Constant_0' \(Constant\) {message}"):
            load(model([helper.make_node("Constant", [], ["y"], **attributes)], inputs=[]))


def test_attributes_of_the_first_version_of_the_format_say_no_type(load):
    message = model([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.25)])
    message.graph.node[0].attribute[0].ClearField("type")
    assert load(message).run({"x": np.array([-4, 4], np.float32)})["y"].tolist() == [-1, 4]


def test_attributes_that_are_refused(load):
    twice = model([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.25)])
    twice.graph.node[0].attribute.append(twice.graph.node[0].attribute[0])
    with pytest.raises(FormatError, match="has an attribute 'alpha' twice"):
        load(twice)
    referring = model([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.25)])
    referring.graph.node[0].attribute[0].ref_attr_name = "slope"
    with pytest.raises(FormatError, match="refers to the attribute of a function"):
        load(referring)
    unknown = model([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.25)])
    unknown.graph.node[0].attribute[0].ClearField("type")
    unknown.graph.node[0].attribute[0].ClearField("f")
    with pytest.raises(FormatError, match="is of type 0, which ONNX does not define"):
        load(unknown)


# --- what is not supported ------------------------------------------------------------------------------------------


@pytest.mark.fault("onnx-unsupported")
def test_every_operator_that_is_missing_is_named(load):
    nodes = [relu("x", "a"), helper.make_node("Foo", ["a"], ["b"], name="head"),
             helper.make_node("Bar", ["b"], ["c"]), helper.make_node("Foo", ["c"], ["y"])]  # fmt: skip
    with pytest.raises(
        UnsupportedOpError, match=r"model\.onnx: Foo \(opset 18\).*node 'head' computes it.*; nor are Bar"
    ):
        load(model(nodes))


@pytest.mark.fault("onnx-unsupported")
def test_an_opset_from_the_future(load):
    with pytest.raises(UnsupportedOpError, match=rf"Relu \(opset 99\).*opsets 1 to {NEWEST_OPSET} are known"):
        load(model([relu()], opset=99))


@pytest.mark.fault("onnx-unsupported")
def test_operators_of_others(load):
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    message = model([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], opset_imports=imports)
    with pytest.raises(UnsupportedOpError, match=r"Gelu \(domain 'com.microsoft', version 1\) is not supported"):
        load(message)


def test_the_long_name_of_onnx_s_own_domain(load):
    message = model([relu(domain="ai.onnx")], opset_imports=[helper.make_opsetid("ai.onnx", 18)])
    assert load(message).run({"x": np.array([-1, 2], np.float32)})["y"].tolist() == [0, 2]


def test_functions_and_graphs_inside_of_nodes(load):
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "Twice", ["a"], ["b"], [relu("a", "b")], [helper.make_opsetid("", 18)])
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    with pytest.raises(UnsupportedOpError, match=r"node 0 \(Twice\) is a function that the model defines itself"):
        load(model([node], opset_imports=imports, functions=[function]))
    branch = helper.make_graph([relu("x", "z")], "b", [], [value("z")])
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(UnsupportedOpError, match=r"attribute '(then|else)_branch' of node 0 \(If\) is a graph"):
        load(model([node]))


def test_inputs_that_are_no_tensors(load):
    sequence = helper.make_tensor_sequence_value_info("x", FLOAT, None)
    with pytest.raises(UnsupportedOpError, match="input 'x' is of sequence type; only tensors are supported"):
        load(model([relu()], inputs=[sequence]))
    message = model([relu()])
    message.graph.input[0].ClearField("type")
    with pytest.raises(FormatError, match="input 'x' has no type"):
        load(message)
    with pytest.raises(FormatError, match="input 'x' claims a size of -3"):
        load(model([relu()], inputs=[value("x", (-3,))]))


# --- graphs that are none -------------------------------------------------------------------------------------------


@pytest.mark.fault("onnx-corrupt")
@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([relu("b", "a"), relu("a", "b"), relu("b", "y")], "circle"),
        ([relu("nothing")], "reads 'nothing', which is no input"),
        ([relu("x", "z")], "output 'y' is no input"),
        ([relu(), relu()], "makes 'y', which node"),
        ([relu("x", "x"), relu()], "makes 'x'"),
        ([helper.make_node("Relu", [], ["y"])], r"node 'Relu_0' \(Relu, opset 18\) has 0 inputs"),
    ],
)
def test_graphs_that_contradict_themselves(load, nodes, message):
    with pytest.raises(FormatError, match=rf"model\.onnx: .*{message}"):
        load(model(nodes))


@pytest.mark.fault("onnx-corrupt")
def test_initializers_twice_and_no_version(load):
    message = small()
    message.graph.initializer.append(message.graph.initializer[0])
    with pytest.raises(FormatError, match="has two initializers named 'weight'"):
        load(message)
    with pytest.raises(FormatError, match="the model does not say of which version"):
        load(model([relu()], opset_imports=[helper.make_opsetid("own", 1)]))


@pytest.mark.fault("onnx-corrupt")
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\x00" * 100, b"PK\x03\x04" + b"x" * 50])
def test_files_that_are_no_onnx(load, content):
    with pytest.raises(FormatError, match=r"model\.onnx: not an ONNX file"):
        load(content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_onnx(tmp_path / "none.onnx")


@pytest.mark.fault("onnx-corrupt")
def test_truncated_files_and_flipped_bits_give_errors_of_ours_or_a_graph(load):
    whole = small().SerializeToString()
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in range(len(whole))]
    for _ in range(400):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(content))
    messages = []
    for content in damaged:
        try:
            load(content)
        except CnnError as error:
            messages.append(str(error))
    assert len(messages) > len(whole) / 2
    assert all("model.onnx: " in message for message in messages)


@pytest.mark.fault("onnx-corrupt")
def test_limits_are_checked_first(load, monkeypatch):
    monkeypatch.setattr(description, "MAX_NODES", 2)
    with pytest.raises(LimitError, match=r"model\.onnx: has 3 nodes; at most 2 are accepted"):
        load(small())
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(LimitError, match=r"has \d+ bytes; an ONNX file has at most 100"):
        load(small())


# --- inputs and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ir_version", "names"), [(3, ["x"]), (8, ["x", "bias"])])
def test_initializers_that_are_inputs(load, ir_version, names):
    """In old files every one has to be; later they are defaults, which may be replaced."""
    nodes = [helper.make_node("Add", ["x", "bias"], ["y"])]
    bias = np.array([1.0, 2.0], np.float32)
    graph = load(model(nodes, {"bias": bias}, inputs=["x", value("bias", (2,))], ir_version=ir_version))
    assert [info.name for info in graph.inputs] == names
    x = np.zeros(2, np.float32)
    assert graph.run({"x": x})["y"].tolist() == [1, 2]
    if "bias" in names:
        assert graph.run({"x": x, "bias": bias * 10})["y"].tolist() == [10, 20]


def test_names_are_made_unique(load):
    nodes = [relu("x", "a"), relu("a", "b", name="Relu_0"), relu("b", "y")]
    assert [node.name for node in load(model(nodes)).nodes] == ["Relu_0_", "Relu_0", "Relu_2"]
    with pytest.raises(FormatError, match="a node must have a name of its own"):
        load(model([relu("x", "a", name="same"), relu("a", "y", name="same")]))


def test_the_first_versions_of_the_format_mean_opset_1(load):
    assert load(model([relu()], opset_imports=[], ir_version=2)).nodes[0].operation.opset == 1


# --- the registry ---------------------------------------------------------------------------------------------------


def test_an_operator_is_registered_once():
    with pytest.raises(ValueError, match="operator: 'Conv' is registered twice"):
        operator("Conv")(lambda node: None)
    assert {"Conv", "MaxPool", "Gemm", "Relu", "Reshape"} <= set(supported_operators())


def test_every_operator_refuses_a_node_without_inputs():
    """Whatever a file says, what comes back is an error of ours or an operation."""
    for name in supported_operators():
        try:
            make_operation(Node(name, "n", {}, 18, 0, 1))
        except CnnError:
            continue


# --- the package onnx -----------------------------------------------------------------------------------------------


def test_without_the_package_there_is_one_clear_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"load_onnx: the package onnx is not installed; pip install"):
        load_onnx(tmp_path / "any.onnx")


def test_nothing_of_onnx_computes(tmp_path):
    """Neither ONNX's own evaluator nor onnxruntime nor PyTorch is imported by reading and running."""
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    code = f"""
import sys
for name in ("onnx.reference", "onnxruntime", "torch"):
    sys.modules[name] = None
import numpy as np
from cnn_from_scratch import load_onnx
print(load_onnx({str(tmp_path / "m.onnx")!r}).run({{"x": np.ones((1, 2), np.float32)}})["y"].tolist())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[[14.0, 22.0]]"


def test_batch_is_none_or_free(load):
    with pytest.raises(ValueError, match="batch must be None or 'free', got 8"):
        load(small(), batch=8)
