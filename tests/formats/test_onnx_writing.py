"""Models written as ONNX: valid by ONNX's own checker, and the same for onnxruntime as for us."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from formats.onnx_cases import CONTAINERS, IMAGE, LAYERS, Case, filled, name
from random_models import IMAGE as RANDOM_IMAGE
from random_models import random_model

from cnn_from_scratch import layers as room
from cnn_from_scratch.errors import LimitError, MissingPackageError, ShapeError, UnsupportedOpError
from cnn_from_scratch.formats import save_onnx
from cnn_from_scratch.formats.onnx import writing
from cnn_from_scratch.formats.onnx.exporters.table import EXPORTERS
from cnn_from_scratch.formats.onnx.writing import to_onnx
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool2d,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.layers.graph import Graph
from cnn_from_scratch.models import MODELS

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[test]'")

CASES = [filled(case) for case in (*LAYERS, *CONTAINERS)]
each_case = pytest.mark.parametrize("case", CASES, ids=map(name, CASES))
NEWEST_OF_RUNTIME = 24
"""Later ones onnxruntime may not know yet."""

LARGE = ("resnet50", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn")
INPUTS = {"digits_cnn": (1, 8, 8), "lenet5": (1, 28, 28), "mnist_cnn": (1, 28, 28)}


def examples(count, shape, seed=0):
    x = np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)
    x.setflags(write=False)
    return x


def runtime(message):
    """onnxruntime without its rewriting of the graph: every operator as it is written."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install '.[test]'")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(message.SerializeToString(), options)


def assert_same_output(model, shape, message, counts=(1, 3)):
    """Ours and onnxruntime's, for two sizes of the batch, within 1e-5 of the largest number."""
    session = runtime(message)
    assert [value.name for value in session.get_outputs()] == ["output"]
    for count in counts:
        x = examples(count, shape)
        ours, theirs = model.predict(x), session.run(None, {"input": x})[0]
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * float(np.abs(theirs).max()))


# --- the same output ------------------------------------------------------------------------------------------------


def test_every_layer_is_written():
    offered = [value for value in (getattr(room, name) for name in room.__all__) if isinstance(value, type)]
    layers = {cls for cls in offered if issubclass(cls, Layer)} - {Layer, room.Container}
    assert layers - {Graph} == {type(case.layer) for case in CASES}
    assert layers | {Graph} == set(EXPORTERS)


@each_case
def test_onnxruntime_gives_the_same(case):
    assert_same_output(case.layer, case.shape, to_onnx(case.layer, input_shape=case.shape))


@each_case
def test_the_checker_finds_nothing(case):
    message = to_onnx(case.layer, input_shape=case.shape)
    onnx.checker.check_model(message, full_check=True)
    (output,) = onnx.shape_inference.infer_shapes(message, strict_mode=True, data_prop=True).graph.output
    axes = [axis.dim_param or axis.dim_value for axis in output.type.tensor_type.shape.dim]
    assert axes == ["N", *case.layer.output_shape(case.shape)]


@each_case
def test_nodes_agree_with_the_declared_shapes(case):
    """Shapes inferred from the nodes alone, without the output that is declared."""
    message = to_onnx(case.layer, input_shape=case.shape)
    shape = message.graph.output[0].type.tensor_type.shape
    declared = [axis.dim_value for axis in shape.dim]
    message.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(message, data_prop=True).graph.output[0].type.tensor_type.shape.dim
    if not isinstance(case.layer, GroupNorm):  # for which ONNX infers nothing
        assert [axis.dim_value for axis in inferred][1:] == declared[1:]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in MODELS])
def test_models(name):
    model, shape = MODELS[name](), INPUTS.get(name, (3, 32, 32))
    if name.startswith("vgg1"):  # without half a gigabyte of linear layers, which are like any other
        model = Sequential({"features": model["features"], "avgpool": model["avgpool"]})
    message = to_onnx(model, input_shape=shape)
    onnx.checker.check_model(message, full_check=True)
    assert_same_output(model, shape, message)


@pytest.mark.parametrize("seed", range(25))
def test_random_models(seed):
    """Batches of two at least: some have batch norms that normalize by their batch."""
    model = random_model(seed, np.float32)
    assert_same_output(model, RANDOM_IMAGE, to_onnx(model, input_shape=RANDOM_IMAGE), (2, 5))


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_old_and_new_opsets(opset):
    """From 13 on only layer norm is refused, before its operator came with opset 17; before 13 more is."""
    refused, written = set(), []
    for case in CASES:
        try:
            message = to_onnx(case.layer, input_shape=case.shape, opset=opset)
        except UnsupportedOpError:
            refused.add(type(case.layer))
            continue
        assert message.opset_import[0].version == opset
        onnx.checker.check_model(message, full_check=True)
        written.append(type(case.layer))
        if opset <= NEWEST_OF_RUNTIME:
            assert_same_output(case.layer, case.shape, message)
    if opset >= 13:
        assert refused == ({LayerNorm} if opset < 17 else set())
    assert len(written) > len(CASES) / 2
    assert {Conv2d, ConvTranspose2d, BatchNorm2d, ReLU, PReLU, Flatten, GlobalAvgPool2d, Concat} <= set(written)


def test_a_network_in_the_oldest_opset():
    layers = Conv2d(1, 2, 3), BatchNorm2d(2), PReLU(2), MaxPool2d(2), Residual(ReLU()), Flatten(), Linear(18, 3)
    model = Sequential(*layers)
    message = to_onnx(model, input_shape=(1, 8, 8), opset=7)
    onnx.checker.check_model(message, full_check=True)
    assert message.ir_version == 4
    assert_same_output(model, (1, 8, 8), message)


def test_float64():
    model = Sequential(Linear(3, 2, rng=0), LayerNorm(2)).astype(np.float64)
    message = to_onnx(model, input_shape=(3,))
    onnx.checker.check_model(message, full_check=True)
    x = np.random.default_rng(0).standard_normal((2, 3))
    theirs = runtime(message).run(None, {"input": x})[0]
    np.testing.assert_allclose(theirs, model.predict(x), rtol=1e-9)  # attributes, and so epsilon, are float32


# --- what is in the file --------------------------------------------------------------------------------------------


@each_case
def test_initializers_are_the_arrays_of_the_model(case):
    message = to_onnx(case.layer, input_shape=case.shape)
    own = case.layer.params | case.layer.buffers
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in message.graph.initializer}
    assert set(found) == {key for key in own if not key.endswith("num_batches_tracked")}
    for key, array in found.items():
        np.testing.assert_array_equal(array, own[key], strict=True)


def test_names_are_those_of_the_layers():
    model = Sequential({"stem": Conv2d(1, 2, 3), "": Residual(ReLU(), body_name="")})
    graph = to_onnx(model, input_shape=(1, 5, 5)).graph
    assert [(node.name, *node.input, *node.output) for node in graph.node] == [
        ("stem.Conv", "input", "stem.weight", "stem.bias", "stem.Conv.output"),
        ("Relu", "stem.Conv.output", "Relu.output"),
        ("Add", "Relu.output", "stem.Conv.output", "output"),
    ]


def test_a_name_that_is_taken_gets_a_number():
    message = to_onnx(Residual(ReLU(), ReLU(), body_name="", shortcut_name="Relu"), input_shape=(2,))
    assert [node.name for node in message.graph.node] == ["Relu", "Relu.Relu", "Add"]
    twice = to_onnx(Sequential(GroupNorm(1, 2)), input_shape=(2,), opset=18)
    names = [node.name for node in twice.graph.node]
    assert len(set(names)) == len(names)
    assert {"0.Reshape", "0.Reshape_2"} <= set(names)


def test_the_model_and_its_arrays_are_not_touched(tmp_path):
    model = MODELS["digits_cnn"]()
    before = {key: array.copy() for key, array in (model.params | model.buffers).items()}
    for array in (model.params | model.buffers).values():
        array.setflags(write=False)
    save_onnx(model, tmp_path / "digits.onnx", input_shape=(1, 8, 8))
    for key, array in (model.params | model.buffers).items():
        np.testing.assert_array_equal(array, before[key])


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for file in "ab":
        save_onnx(MODELS["digits_cnn"](), tmp_path / file, input_shape=[1, 8, 8], metadata={"b": "2", "a": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    message = onnx.load(tmp_path / "a")
    assert {entry.key: entry.value for entry in message.metadata_props} == {"a": "1", "b": "2"}
    assert (message.producer_name, message.ir_version, message.opset_import[0].version) == ("cnn-from-scratch", 10, 21)


def test_weights_in_any_memory_order(tmp_path):
    model = Linear(3, 2, rng=0)
    weight = model.params["weight"].copy()
    model.params = {"weight": np.asfortranarray(weight), "bias": model.params["bias"]}
    (found, _) = to_onnx(model, input_shape=(3,)).graph.initializer
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(found), weight)


# --- errors ---------------------------------------------------------------------------------------------------------


class Mine(Layer):
    def forward(self, x, ctx):
        return 2 * x, None


class MyReLU(ReLU):
    """Not a ReLU any more."""

    def forward(self, x, ctx):
        return 3 * x, None


@pytest.mark.parametrize("own", [Mine(), MyReLU()])
def test_a_layer_of_your_own(tmp_path, own):
    kind = type(own).__name__
    with pytest.raises(UnsupportedOpError) as caught:
        save_onnx(Sequential(ReLU(), Sequential({"x": own})), tmp_path / "a.onnx", input_shape=(2,))
    assert str(caught.value) == (
        f"save_onnx: layer '1.x' is of type {kind}, which is not of this package; "
        "ONNX has no words for a layer of your own"
    )
    assert not list(tmp_path.iterdir())


def test_an_opset_that_is_too_old():
    with pytest.raises(UnsupportedOpError) as caught:
        to_onnx(Sequential(LayerNorm(2)), input_shape=(2,), opset=16)
    assert str(caught.value) == (
        "save_onnx: layer '0' = LayerNorm can be written in opset 17 or newer, not in opset 16"
    )


@pytest.mark.parametrize("opset", [6, 1000, 21.0, True, "21"])
def test_an_opset_that_there_is_not(opset):
    newest = onnx.defs.onnx_opset_version()
    with pytest.raises(ValueError, match="opset") as caught:
        to_onnx(ReLU(), input_shape=(2,), opset=opset)
    assert str(caught.value) == f"save_onnx: opset must be an int from 7 to {newest}, got {opset!r}"


def test_a_missing_or_wrong_input_shape():
    with pytest.raises(ValueError, match="input_shape") as caught:
        to_onnx(ReLU())
    assert str(caught.value) == "save_onnx: input_shape must be given: the shape of one example, such as (1, 28, 28)"
    with pytest.raises(ShapeError, match="layer '0'"):
        to_onnx(Sequential(Linear(3, 2)), input_shape=(4,))


def test_more_than_a_file_can_hold(monkeypatch):
    monkeypatch.setattr(writing, "LARGEST", (1 << 20) + 400)
    to_onnx(Linear(9, 10), input_shape=(9,))
    with pytest.raises(LimitError) as caught:
        to_onnx(Linear(10, 10), input_shape=(10,))
    assert str(caught.value) == ("save_onnx: the model has 440 bytes of weights; an ONNX file holds less than 1048976")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError) as caught:
        to_onnx(ReLU(), input_shape=(2,))
    assert isinstance(caught.value, ImportError)
    assert str(caught.value) == ("save_onnx: the package onnx is not installed; pip install onnx brings it")


def test_a_folder_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_onnx(ReLU(), tmp_path / "no" / "a.onnx", input_shape=(2,))
    (tmp_path / "a.onnx").write_text("old")
    with pytest.raises(ValueError, match="opset"):
        save_onnx(ReLU(), tmp_path / "a.onnx", input_shape=(2,), opset=3)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_neither_reference_nor_runtime_is_imported():
    code = """
import sys
from cnn_from_scratch.formats.onnx.writing import to_onnx
from cnn_from_scratch.layers import ReLU
assert "onnx" not in sys.modules
to_onnx(ReLU(), input_shape=(2,))
print(sorted({"onnx", "onnx.reference", "onnxruntime", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['onnx']\n"


def test_a_case_is_a_named_layer():
    assert name(Case(ReLU(), IMAGE)) == "ReLU()-4x7x5"
