"""A saved trace comes back whole and bitwise; a file that is none, or means harm, is a FormatError that names it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layers.test_all_layers import TABLE, example
from random_models import random_batch, random_model

from cnn_from_scratch.errors import CnnError, FormatError
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.tensors import read_tensors, write_tensors
from cnn_from_scratch.insight.trace import Trace, trace
from cnn_from_scratch.insight.trace_file import TRACE, load_trace
from cnn_from_scratch.insight.trace_table import arrays_in
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.ops import to_hwnc
from cnn_from_scratch.optim import SGD, Adam


def assert_same(a, b, where="trace"):
    """The same types, numbers and memory orders all the way down."""
    assert type(a) is type(b), where
    if isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        long = [axis for axis, length in enumerate(a.shape) if length > 1] if a.size else []
        assert [a.strides[axis] for axis in long] == [b.strides[axis] for axis in long], where
        assert a.tobytes() == b.tobytes(), where
        assert not b.flags.writeable, where
    elif isinstance(a, Layer):
        assert repr(a).replace("[", "(").replace("]", ")") == repr(b), where  # lists come back as tuples
        for key, array in (a.params | a.buffers).items():
            assert_same(array, (b.params | b.buffers)[key], f"{where}: {key}")
    elif isinstance(a, Trace):
        for name in vars(a):
            assert_same(getattr(a, name), getattr(b, name), name)
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, tuple | list):
        assert len(a) == len(b), where
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{where}[{i}]")
    else:
        assert a == b or (a != a and b != b), where


def network(dtype=np.float32):
    model = Sequential(
        {"conv": Conv2d(1, 2, 3, rng=0), "norm": BatchNorm2d(2), "cut": ReLU(), "pool": MaxPool2d(2)}
        | {"flat": Flatten(), "head": Sequential(Linear(8, 3, rng=1))}
    )
    return model.astype(dtype)


def batch():
    return np.random.default_rng(0).random((3, 1, 6, 6), np.float32), np.array([0, 2, 1])


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE, ids=[row.text for row in TABLE])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_comes_back(tmp_path, row, train, dtype):
    layer = copy.deepcopy(row.layer).astype(dtype)
    x = example(row, 3, dtype)
    for i, images in enumerate([x, to_hwnc(x)] if x.ndim == 4 else [x]):
        target = np.zeros((3, *row.output_shape), dtype)
        optimizer = SGD(0.1) if layer.params else None
        seen = trace(layer, images, target, loss="mse", train=train, optimizer=optimizer)
        seen.save(tmp_path / f"{i}")
        again = load_trace(str(tmp_path / f"{i}"))
        assert_same(seen, again)
        dx, grads = layer.backward(again[""].dy, again[""].cache)
        expected_dx, expected_grads = layer.backward(seen[""].dy, seen[""].cache)
        assert_same([dx.tobytes(), list(grads)], [expected_dx.tobytes(), list(expected_grads)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), train=st.booleans(), hwnc=st.booleans(), backward=st.booleans())
def test_random_models_come_back(tmp_path, seed, train, hwnc, backward):
    model, (x, y) = random_model(seed, np.float32), random_batch(seed, dtype=np.float32)
    x = to_hwnc(x) if hwnc else x
    seen = trace(model, x, y, train=train, optimizer=Adam()) if backward else trace(model, x, train=train)
    seen.save(tmp_path / "a")
    again = load_trace(tmp_path / "a")
    assert_same(seen, again)
    pd.testing.assert_frame_equal(again.table(), seen.table())
    assert str(again) == str(seen)
    assert _sharing(again) == _sharing(seen)
    assert again.model.predict(x).tobytes() == seen.model.predict(x).tobytes()


def _sharing(seen):
    """Which of all arrays, in their order, are one and the same."""
    first = {}
    return [first.setdefault(id(array), i) for i, array in enumerate(arrays_in((seen.x, seen.logits, seen.layers)))]


def test_columns_are_made_after_loading(tmp_path):
    seen = trace(network(), *batch())
    seen.save(tmp_path / "a")
    np.testing.assert_array_equal(load_trace(tmp_path / "a").columns("conv"), seen.columns("conv"))


def test_every_number_can_still_be_explained(tmp_path):
    seen = trace(network(), *batch())
    seen.save(tmp_path / "a")
    again = load_trace(tmp_path / "a")
    for key in ("conv", "norm", "cut", "pool", "head.0"):
        index = (1,) * seen[key].output.ndim
        assert str(again.explain(key, index)) == str(seen.explain(key, index))
        place = (1,) + (0,) * (seen[key].input.ndim - 1)
        assert str(again.blame(key, input=place)) == str(seen.blame(key, input=place))
    assert str(again.blame("conv", weight=(1, 0, 2, 1))) == str(seen.blame("conv", weight=(1, 0, 2, 1)))


def test_what_is_not_finite_comes_back(tmp_path):
    model, (x, y) = network(), batch()
    model.params["head.0.bias"][...] = [np.nan, np.inf, -np.inf]
    seen = trace(model, x, y)
    seen.save(tmp_path / "a")
    assert_same(seen, load_trace(tmp_path / "a"))


def test_a_file_of_arrays_with_telling_names(tmp_path):
    seen = trace(network(), *batch(), optimizer=SGD(0.1))
    seen.save(tmp_path / "a")
    arrays, _ = read_tensors(tmp_path / "a")
    assert {"x", "y", "model/conv.weight", "model/norm.running_var", "layers/conv/output"} <= arrays.keys()
    assert {"layers/head.0/grads/weight", "layers/head.0/update/bias", "layers/norm/cache/inv_std"} <= arrays.keys()
    np.testing.assert_array_equal(arrays["layers/cut/output"], seen["cut"].output)
    held = {id(array): array for array in arrays_in((seen.x, seen.y, seen.logits, seen.dlogits, seen.dx, seen.layers))}
    buffers = sum(array.nbytes for array in seen.model.buffers.values())
    assert sum(array.nbytes for array in arrays.values()) <= sum(array.nbytes for array in held.values()) + buffers


def test_the_same_trace_gives_the_same_bytes(tmp_path):
    for name in "ab":
        trace(network(), *batch(), train=True).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- layers of one's own --------------------------------------------------------------------------------------------


class Scale(Layer):
    """Multiply by a learned number; the cache is a little of everything."""

    def __init__(self, size=2.0):
        super().__init__()
        self.size = size
        self.params = {"weight": np.full(1, size, np.float32)}

    def forward(self, x, ctx):
        cache = {"x": x, "mean": x.mean(), "odd": [np.inf, -np.inf, None, True, 3], "pair": (1, "a"), "type": x.dtype}
        return x * self.params["weight"], cache

    def backward(self, dy, cache, *, need_dx=True):
        return dy * self.params["weight"], {"weight": (dy * cache["x"]).sum(keepdims=True).reshape(1)}


def test_own_layers(tmp_path):
    seen = trace(Sequential(Scale(), ReLU()), np.ones((1, 2), np.float32), np.array([0]))
    seen.save(tmp_path / "a", layers={"Scale": Scale})
    again = load_trace(tmp_path / "a", layers={"Scale": Scale})
    assert_same(seen, again)
    with pytest.raises(FormatError, match="layer '0' is of the unknown type 'Scale'"):
        load_trace(tmp_path / "a")


class _OwnCache(NamedTuple):
    x: np.ndarray


class Odd(ReLU):
    def forward(self, x, ctx):
        return x, _OwnCache(x)


class Stranger(ReLU):
    def forward(self, x, ctx):
        return x, {x.shape}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Odd(),
            "save_trace: layers/0/cache is of type _OwnCache, which cannot be written; "
            "a cache may hold arrays, numbers, strings, None, tuples, lists and dicts",
        ),
        (
            Stranger(),
            "save_trace: layers/0/cache is of type set, which cannot be written; "
            "a cache may hold arrays, numbers, strings, None, tuples, lists and dicts",
        ),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path, layer, message):
    seen = trace(Sequential(layer), np.ones((1, 2), np.float32))
    with pytest.raises(TypeError) as caught:
        seen.save(tmp_path / "a", layers={type(layer).__name__: type(layer)})
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, name, error):
    (tmp_path / "a").write_text("old")
    seen = trace(network(), *batch())

    def fail(*args, **kwargs):
        assert len(os.listdir(tmp_path)) == 2  # the new content is there, under another name
        raise error

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(type(error)):
        seen.save(tmp_path / "a")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


# --- files that are none, or mean harm ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a"
    trace(network(), *batch(), optimizer=SGD(0.1), train=True).save(path)
    return path


def forged(path, whole, change, arrays=None):
    """The file with something changed in its description, and the digest that belongs to it."""
    found, header = read_tensors(whole)
    document = json.loads(header[TRACE.entry])
    del document["sha256"]
    document = change(document) or document
    found = {**found, **(arrays or {})}
    write_tensors(path, found, {TRACE.entry: json.dumps({**document, "sha256": digest(document, found)})})


def put(*place, value):
    """A change of one place of the description."""

    def change(document):
        *way, last = place
        for step in way:
            document = document[step]
        document[last] = value

    return change


def drop(*place):
    def change(document):
        *way, last = place
        for step in way:
            document = document[step]
        del document[last]

    return change


CACHE = ("layers", 0, "cache")
GEOMETRY = (*CACHE, "items", 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("version", value=2), "is not of version 1, the only one that is known here"),
        (drop("layers"), "its description lacks a part, or has one too many"),
        (put("more", value=1), "its description lacks a part, or has one too many"),
        (put("train", value=1), "its description lacks a part, or has one too many"),
        (put("architecture", value=None), "expected a layer as {'type': ..., 'config': {...}}, got None"),
        (put("architecture", "type", value="os.system"), "layer '' is of the unknown type 'os.system' ("),
        (put("x", value={"array": "none"}), "lacks the array 'none'"),
        (put("x", value=None), "x is no array"),
        (put("logits", value=3), "logits is no array"),
        (put("loss", value="2"), "its loss is no number"),
        (put("loss", value={"float": "1"}), "holds a value that is none: {'float': '1'}"),
        (put("layers", 0, "key", value="body"), "describes layer 'body', which the model lacks"),
        (put("layers", 0, "key", value=[]), "describes a layer that lacks a part, or has one too many"),
        (put("layers", 1, "key", value="conv"), "describes layer 'conv' twice"),
        (put("layers", 0, value=3), "describes a layer that lacks a part, or has one too many"),
        (drop("layers", 0, "dy"), "describes a layer that lacks a part, or has one too many"),
        (put("layers", 0, "input", value=None), "input of layer 'conv' is not what it should be"),
        (put("layers", 0, "params", value=[]), "params of layer 'conv' is not what it should be"),
        (put("layers", 0, "params", value={"dict": {}}), "layer 'conv' has other parameters than in the model"),
        (
            put("layers", 0, "grads", "dict", "weight", value={"array": "x"}),
            "layer 'conv' has parameters of other shapes in the model",
        ),
        (put("layers", 0, "input", value={"array": "model/conv.weight"}), "layer 'conv' has another batch than x"),
        (put("layers", 0, "output", value={"array": "x"}), "dy of layer 'conv' has not the shape of its output"),
        (put("layers", 0, "dx", value={"array": "logits"}), "dx of layer 'conv' has not the shape of its input"),
        (put(*CACHE, "named", value="Popen"), "holds a value that is none: {'named': 'Popen', 'items': [{'array'"),
        (put(*CACHE, "items", value=[]), "ConvCache has 6 fields, got 0"),
        (put(*CACHE, "items", 0, value=1), "ConvCache: x cannot be 1"),
        (put(*CACHE, "items", 3, value=True), "ConvCache: groups cannot be True"),
        (put(*CACHE, "items", 2, value={"tuple": [1]}), "ConvCache: geometry cannot be (1,)"),
        (put(*GEOMETRY, "items", 1, value={"tuple": [3]}), "ConvGeometry: kernel cannot be (3,)"),
        (put(*GEOMETRY, "items", 1, value=[3, 3]), "ConvGeometry: kernel cannot be [3, 3]"),
        (put(*GEOMETRY, "items", 0, value={"group": "alone"}), "ConvGeometry: input cannot be <"),
        (put(*CACHE, "items", 0, value={"array": "x", "order": [0, 1, 2]}), "the array 'x' of shape (3, 1, 6, 6) cann"),
        (put(*CACHE, "items", 0, value={"array": "x", "order": "C"}), "the array 'x' of shape (3, 1, 6, 6) cannot lie"),
        (put(*CACHE, value={"dtype": "object"}), "holds a value that is none: {'dtype': 'object'}"),
        (put(*CACHE, value={"tuple": 1}), "holds a value that is none: {'tuple': 1}"),
        (put(*CACHE, value={"group": "threads"}), "holds a value that is none: {'group': 'threads'}"),
    ],
)
@pytest.mark.fault("hostile-architecture")
def test_a_hostile_description_is_refused(tmp_path, whole, change, message):
    path = tmp_path / "hostile"
    forged(path, whole, change)
    with pytest.raises(FormatError) as caught:
        load_trace(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.fault("hostile-architecture")
def test_an_array_in_many_orders_would_be_many_copies(tmp_path, whole):
    orders = [{"array": "x", "order": list(order)} for order in itertools.permutations(range(4))]
    forged(tmp_path / "orders", whole, put(*CACHE, value={"tuple": orders}))
    with pytest.raises(FormatError, match="the array 'x' lies in more than one order"):
        load_trace(tmp_path / "orders")


@pytest.mark.fault("hostile-architecture")
def test_values_nested_too_deeply(tmp_path, whole):
    deep = 1
    for _ in range(220):
        deep = {"tuple": [deep]}
    forged(tmp_path / "deep", whole, put(*CACHE, value=deep))
    with pytest.raises(FormatError, match="its values are nested more than 200 deep"):
        load_trace(tmp_path / "deep")


def test_arrays_that_do_not_belong_together(tmp_path, whole):
    odd = np.zeros((3, 1, 5, 5), np.float32)
    forged(tmp_path / "a", whole, lambda document: None, {"x": odd})
    with pytest.raises(FormatError, match=r"dx of layer 'conv' has not the shape of its input"):
        load_trace(tmp_path / "a")
    forged(tmp_path / "a", whole, lambda document: None, {"model/conv.weight": np.zeros((2, 1, 2, 2), np.float32)})
    with pytest.raises(FormatError, match=r"conv.weight must be float32 of shape \(2, 1, 3, 3\), got float32 of shape"):
        load_trace(tmp_path / "a")


@pytest.mark.fault("hostile-tensors")
def test_files_of_another_kind(tmp_path):
    save_model(network(), tmp_path / "model")
    with pytest.raises(FormatError, match="holds no trace; it was not written by save_trace"):
        load_trace(tmp_path / "model")
    (tmp_path / "text").write_text("hello, world")
    with pytest.raises(FormatError, match="not a safetensors file"):
        load_trace(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_trace(tmp_path / "nowhere")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.fault("hostile-tensors")
def test_a_flipped_bit_anywhere_is_found(tmp_path, whole, data):
    content = whole.read_bytes()
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    path = tmp_path / "flipped"
    path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
    try:
        again = load_trace(path)
    except FormatError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - a flip that changes nothing is right, too
    else:
        assert_same(load_trace(whole), again)


def _places(document, way=()):
    """Every place in a description."""
    items = enumerate(document) if isinstance(document, list) else document.items()
    for step, value in items:
        yield (*way, step)
        if isinstance(value, dict | list):
            yield from _places(value, (*way, step))


JUNK = [
    *(None, True, -1, 10**30, 0.5, "x", "", [], [1], {}, {"tuple": []}, {"dict": {}}, {"float": "nan"}),
    *({"group": "alone"}, {"dtype": "float32"}, {"array": "x"}, {"array": "y"}),
    {"array": "model/norm.num_batches_tracked"},
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.fault("hostile-architecture")
def test_junk_anywhere_is_refused_or_does_no_harm(tmp_path, whole, data):
    """With a right digest: what loads has a table, prints, and fails in its own words at most."""
    _, header = read_tensors(whole)
    place = data.draw(st.sampled_from(list(_places(json.loads(header[TRACE.entry])))))
    forged(tmp_path / "junk", whole, put(*place, value=data.draw(st.sampled_from(JUNK))))
    try:
        again = load_trace(tmp_path / "junk")
    except FormatError as error:
        assert str(error).startswith(f"{tmp_path / 'junk'}: ")  # noqa: PT017
        return
    assert str(again)
    with contextlib.suppress(CnnError, TypeError, KeyError):
        again.columns("conv")
