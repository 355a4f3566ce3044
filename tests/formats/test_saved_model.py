"""A saved model comes back bitwise; a file that is none, or means harm, is a FormatError that names it."""

from __future__ import annotations

import inspect
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnn_from_scratch import layers as room
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import load_metadata, load_model, save_model
from cnn_from_scratch.formats.architecture import registry
from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.formats.saved_model import ENTRY
from cnn_from_scratch.formats.tensors import read_tensors, write_tensors
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GraphNode,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    ValueInfo,
)
from cnn_from_scratch.models import MODELS


def network(dtype=np.float32):
    """A bit of everything: names, branches, padding on four sides, buffers."""
    body = Sequential(Conv2d(4, 4, 3, padding="same", rng=2), BatchNorm2d(4), ReLU())
    model = Sequential(
        {
            "stem": Conv2d(1, 4, (3, 2), padding=((1, 0), (0, 2)), bias=False, rng=1),
            "block": Residual(body, Conv2d(4, 4, 1, rng=3), body_name="", shortcut_name="downsample"),
            "wide": Concat({"a": Conv2d(4, 2, 1, rng=4), "b": Sequential(ReLU(), MaxPool2d(3, 1, 1))}),
            "head": Sequential(Flatten(), Dropout(0.5), Linear(6 * 7 * 9, 3, rng=5)),
        }
    )
    model.buffers["block.1.running_mean"][...] = [1, 2, 3, 4]
    return model.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_model_comes_back_bitwise(tmp_path, dtype):
    model = network(dtype)
    x = np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(dtype)
    save_model(model, tmp_path / "m.safetensors")
    again = load_model(str(tmp_path / "m.safetensors"))
    assert repr(again) == repr(model)
    for own, loaded in ((model.params, again.params), (model.buffers, again.buffers)):
        assert list(own) == list(loaded)
        for key, array in own.items():
            np.testing.assert_array_equal(loaded[key], array)
            assert loaded[key].dtype == array.dtype
            assert loaded[key].flags.writeable
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert os.listdir(tmp_path) == ["m.safetensors"]


VALUES = {
    "in_channels": 2,
    "out_channels": 4,
    "kernel_size": (3, 4),
    "in_features": 3,
    "out_features": 2,
    "num_features": 3,
    "num_channels": 4,
    "num_groups": 2,
    "normalized_shape": (2, 3),
    "output_size": (2, None),
    "padding": ((1, 0), (2, 1)),
    "scale_factor": (2, 3),
    "body": ReLU(),
    "layers": {"a": ReLU(), "b": Linear(2, 2)},
    "branches": {"a": ReLU(), "b": Flatten(2)},
    "nodes": [GraphNode("sum", make_operation(Node("Add", "sum", {}, 18, 2, 1)), ("x", "w"), ("y",))],
    "inputs": [ValueInfo("x", np.dtype(np.float32), ("N", 2))],
    "outputs": ["y"],
    "initializers": {"w": np.array([1.0, 2.0], np.float32)},
}
"""For arguments without default, and for some that have one."""


@pytest.mark.parametrize("name", registry())
def test_every_layer_comes_back(tmp_path, name):
    made, several = registry()[name], inspect.Parameter.VAR_POSITIONAL
    wanted = {key: p for key, p in inspect.signature(made).parameters.items() if key in VALUES or p.default is p.empty}
    layer = made(
        *[VALUES[key] for key, p in wanted.items() if p.kind is several],
        **{key: VALUES[key] for key, p in wanted.items() if p.kind is not several},
    )
    save_model(layer, tmp_path / "a")
    again = load_model(tmp_path / "a")
    assert type(again) is made
    assert repr(again) == repr(layer)
    for key, array in (layer.params | layer.buffers).items():
        np.testing.assert_array_equal((again.params | again.buffers)[key], array)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("vgg1")])  # files of 500 MB
def test_every_network_comes_back(tmp_path, name):
    model = MODELS[name](in_channels=1)
    save_model(model, tmp_path / "a")
    again = load_model(tmp_path / "a")
    size = 8 if name == "digits_cnn" else 28
    x = np.random.default_rng(0).random((2, 1, size, size), np.float32)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_the_same_model_gives_the_same_bytes(tmp_path):
    save_model(network(), tmp_path / "a", metadata={"b": 1, "a": 2})
    save_model(network(), tmp_path / "b", metadata={"b": 1, "a": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_without_parameters(tmp_path):
    save_model(Sequential(), tmp_path / "a")
    assert repr(load_model(tmp_path / "a")) == "Sequential()"
    save_model(MaxPool2d((3, 2)), tmp_path / "a")
    assert repr(load_model(tmp_path / "a")) == "MaxPool2d((3, 2))"


def test_metadata_come_back_as_json_has_them(tmp_path):
    save_model(ReLU(), tmp_path / "a", metadata={"classes": ("a", "b"), "mean": 0.1, 10: {"x": None}, 2: True})
    assert load_metadata(tmp_path / "a") == {"classes": ["a", "b"], "mean": 0.1, "10": {"x": None}, "2": True}
    save_model(ReLU(), tmp_path / "a")
    assert load_metadata(tmp_path / "a") == {}


def test_every_layer_that_is_offered_can_be_named():
    wanted = {
        name
        for name in room.__all__
        if isinstance(getattr(room, name), type) and issubclass(getattr(room, name), Layer)
    } - {"Layer", "Container"}
    assert set(registry()) == wanted
    assert {"Conv2d", "Linear", "Sequential", "Residual", "Concat", "BatchNorm2d", "Dropout"} <= wanted


# --- layers of one's own --------------------------------------------------------------------------------------------


class Scale(Layer):
    """Multiply by a learned number."""

    def __init__(self, start=1.0, options=(1, 2)):
        super().__init__()
        self.start, self.options = start, options
        self.params = {"weight": np.full(1, start, np.float32)}

    def forward(self, x, ctx):
        return x * self.params["weight"], x


def test_own_layers(tmp_path):
    model = Sequential(Scale(np.float64(3.0), (np.int64(1), "a")), ReLU())
    save_model(model, tmp_path / "a", layers={"Mine": Scale})
    again = load_model(tmp_path / "a", layers={"Mine": Scale})
    assert type(again[0]) is Scale
    assert (again[0].start, again[0].options) == (3.0, (1, "a"))
    with pytest.raises(FormatError) as caught:
        load_model(tmp_path / "a")
    assert str(caught.value) == (
        f"{tmp_path / 'a'}: layer '0' is of the unknown type 'Mine' "
        "(a layer of your own is made known by load_model(path, layers={'Name': Class}))"
    )


class _Disguised(ReLU):
    pass


_Disguised.__name__ = "ReLU"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda path: save_model(Sequential({"a": Sequential(Scale())}), path),
            TypeError,
            "save_model: layer 'a.0' is of type Scale, which is not of this package; "
            "give layers={'Scale': Scale} to save_model, and to load_model when it is loaded",
        ),
        (
            lambda path: save_model(_Disguised(), path),
            TypeError,
            "save_model: layer '' is of type ReLU, which is not of this package; "
            "give layers={'ReLU': ReLU} to save_model, and to load_model when it is loaded",
        ),
        (
            lambda path: save_model(Sequential(Scale(float("inf"))), path, layers={"Scale": Scale}),
            TypeError,
            "save_model: layer '0' has start=inf, which cannot be written as JSON",
        ),
        (
            lambda path: save_model(Scale(np.ones(1)), path, layers={"Scale": Scale}),
            TypeError,
            "save_model: layer '' has start=array([1.]), which cannot be written as JSON",
        ),
        (
            lambda path: save_model(ReLU(), path, metadata={"a": {1, 2}}),
            TypeError,
            "save_model: metadata cannot be written as JSON: Object of type set is not JSON serializable",
        ),
        (
            lambda path: save_model(ReLU(), path, metadata={"a": float("nan")}),
            TypeError,
            "save_model: metadata cannot be written as JSON: Out of range float values are not JSON compliant",
        ),
        (
            lambda path: save_model(ReLU(), path, metadata={"a": "x" * (4 << 20)}),
            ValueError,
            "save_model: architecture and metadata take 4194467 characters; at most 4194304 do",
        ),
        (
            lambda path: save_model(ReLU(), path, layers={"Conv2d": Scale}),
            ValueError,
            "layers: 'Conv2d' is the name of a layer of this package; choose another one",
        ),
        (
            lambda path: save_model(ReLU(), path, layers={"Mine": Scale()}),
            TypeError,
            "layers: 'Mine' must be a class derived from Layer, got Scale()",
        ),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path, call, error, message):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(error) as caught:
        call(path)
    assert str(caught.value).startswith(message)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_containers_nested_too_deeply(tmp_path):
    model = ReLU()
    for _ in range(33):
        model = Sequential(model)
    with pytest.raises(ValueError, match=r"save_model: containers are nested more than 32 deep at layer '0\.0\.0"):
        save_model(model, tmp_path / "a")
    save_model(model[0], tmp_path / "a")
    assert repr(load_model(tmp_path / "a")) == repr(model[0])


# --- files that are none, or mean harm ------------------------------------------------------------------------------


def forged(path, architecture, arrays=None, **changes):
    """A file with a right digest, whatever it describes."""
    arrays = arrays or {}
    document = {"version": 1, "architecture": architecture, "metadata": {}, **changes}
    document.setdefault("sha256", digest({k: v for k, v in document.items() if k != "sha256"}, arrays))
    write_tensors(path, arrays, {ENTRY: json.dumps(document)})


def layer(kind, **config):
    return {"type": kind, "config": config}


def nested(depth):
    spec = layer("ReLU")
    for _ in range(depth):
        spec = layer("Sequential", layers={"0": spec})
    return spec


LINEAR = layer("Linear", in_features=2, out_features=1, bias=False)
WEIGHT = np.zeros((1, 2), np.float32)


@pytest.mark.fault("hostile-architecture")
@pytest.mark.parametrize(
    ("architecture", "arrays", "message"),
    [
        (layer("os.system"), {}, "layer '' is of the unknown type 'os.system' (a layer of your own is made known by "),
        (layer("Layer"), {}, "layer '' is of the unknown type 'Layer' (a layer of your own is made known by "),
        (layer("Sequential", layers={"a": layer("__init__")}), {}, "layer 'a' is of the unknown type '__init__' ("),
        ([], {}, "expected a layer as {'type': ..., 'config': {...}}, got []"),
        (None, {}, "expected a layer as {'type': ..., 'config': {...}}, got None"),
        ({"type": "ReLU"}, {}, "expected a layer as {'type': ..., 'config': {...}}, got {'type': 'ReLU'}"),
        ({"type": "ReLU", "config": []}, {}, "expected a layer as {'type': ..., 'config': {...}}, got {'type': 'ReLU'"),
        (layer("Sequential", layers={"a": 1}), {}, "expected a layer as {'type': ..., 'config': {...}}, got 1"),
        (layer("ReLU", self=1), {}, "layer '': ReLU takes no argument 'self'"),
        (layer("Dropout", q=1), {}, "layer '': Dropout takes no argument 'q'"),
        ({**LINEAR, "config": {**LINEAR["config"], "rng": 0}}, {}, "layer '': Linear takes no argument 'rng'"),
        (layer("Linear"), {}, "layer '' cannot be made: TypeError: Linear.__init__() missing 2 required positional"),
        (layer("Sequential", layers=[1, 2]), {}, "layer '' cannot be made: "),
        (
            layer("Sequential", layers={"a.b": layer("ReLU")}),
            {},
            "layer '' cannot be made: ValueError: Sequential: a c",
        ),
        (layer("Dropout", p=2), {}, "layer '' cannot be made: ValueError: "),
        (layer("Linear", in_features="x", out_features=[]), {}, "layer '' cannot be made: ShapeError: Linear: in_feat"),
        (layer("Conv2d", in_channels=1, out_channels=1, kernel_size={}), {}, "layer '' cannot be made: ShapeError: "),
        (nested(33), {}, "its layers are nested more than 32 deep"),
        (layer("Sequential", layers={str(i): layer("ReLU") for i in range(10_001)}), {}, "has more than 10000 layers"),
        (
            layer("Linear", in_features=10**6, out_features=10**6),
            {"weight": WEIGHT},
            "its layers ask for 1000000000000 numbers, but it holds 2",
        ),
        (
            layer("Conv2d", in_channels=1000, out_channels=1000, kernel_size=[100, 100], groups=2),
            {"weight": WEIGHT},
            "its layers ask for 5000000000 numbers, but it holds 2",
        ),
        (
            layer("Sequential", layers={str(i): layer("BatchNorm2d", num_features=10**6) for i in range(100)}),
            {},
            "its layers ask for 17000001 numbers, but it holds 0",
        ),
        (LINEAR, {}, "lacks weight"),
        (LINEAR, {"weight": WEIGHT, "bias": WEIGHT}, "has unknown bias"),
        (
            LINEAR,
            {"weight": np.zeros((1, 3), np.float32)},
            "weight must be float32 of shape (1, 2), got float32 of shape (1, 3)",
        ),
        (
            LINEAR,
            {"weight": WEIGHT.astype(np.float16)},
            "weight must be float32 of shape (1, 2), got float16 of shape (1, 2)",
        ),
        (
            layer("Linear", in_features=2, out_features=1),
            {"weight": WEIGHT, "bias": np.zeros(1)},
            "bias must be float32 of shape (1,), got float64 of shape (1,)",
        ),
    ],
)
def test_a_hostile_architecture_is_refused(tmp_path, architecture, arrays, message):
    path = tmp_path / "hostile.safetensors"
    forged(path, architecture, arrays)
    with pytest.raises(FormatError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.fault("hostile-architecture")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not JSON", "its description is not sound JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100_000, "its description is not sound JSON: maximum recursion depth exceeded"),
        ('{"version": 1, "version": 1}', "its description is not sound JSON: 'version' appears twice"),
        (f'{{"version": {"9" * 5000}}}', "its description is not sound JSON: Exceeds the limit"),
        ("[]", "is not of version 1, the only one that is known here"),
        ('{"version": 2}', "is not of version 1, the only one that is known here"),
        ('{"version": 1, "architecture": {}}', "its description lacks a part, or has one too many"),
        ('{"version": 1, "architecture": {}, "metadata": []}', "its description lacks a part, or has one too many"),
        ('{"version": 1, "architecture": {}, "metadata": {}, "x": 1}', "its description lacks a part, or has one "),
        ('{"version": 1, "architecture": {}, "metadata": {}}', "damaged: what it holds does not match its SHA-256"),
        (" " * (4 << 20) + "{}", "its description is longer than 4194304 characters"),
    ],
)
def test_a_description_that_is_none(tmp_path, text, message):
    path = tmp_path / "a"
    write_tensors(path, {}, {ENTRY: text})
    for load in (load_model, load_metadata):
        with pytest.raises(FormatError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: {message}")


def test_a_file_of_another_program(tmp_path):
    path = tmp_path / "foreign.safetensors"
    write_tensors(path, {"weight": WEIGHT}, {"format": "pt"})
    with pytest.raises(FormatError) as caught:
        load_model(path)
    assert str(caught.value) == f"{path}: holds no architecture; it was not written by save_model"


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_model(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a"
    save_model(Sequential(Conv2d(1, 2, 2, padding=1, rng=0), ReLU()), path, metadata={"classes": ["a", "b"]})
    return path.read_bytes()


@pytest.mark.fault("hostile-tensors")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_anywhere_is_found(tmp_path, whole, data):
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    path = tmp_path / "flipped"
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    try:
        again = load_model(path)
    except FormatError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - a flip that changes nothing is right, too
    else:
        assert _content(again) == _content_of(whole, tmp_path)


def _content(model):
    return repr(model), {key: array.tobytes() for key, array in model.params.items()}


def _content_of(whole, folder):
    (folder / "whole").write_bytes(whole)
    return _content(load_model(folder / "whole"))


def test_loading_does_not_leave_the_file_open_or_locked(tmp_path):
    save_model(network(), tmp_path / "a")
    first = load_model(tmp_path / "a")
    save_model(Sequential(ReLU()), tmp_path / "a")  # over the file that was read
    assert first.params["stem.weight"].any()
    assert repr(load_model(tmp_path / "a")) == repr(Sequential(ReLU()))
    assert read_tensors(tmp_path / "a").arrays == {}
