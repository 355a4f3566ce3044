"""Files of models that mean harm: small ones that would be large, endless texts, depth, code. Built here by hand."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from fuzzing.guard import at_most, guard

from cnn_from_scratch.errors import CnnError, FormatError, LimitError
from cnn_from_scratch.formats import load_metadata, load_model, read_state_dict, save_model
from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.saved_model import ENTRY
from cnn_from_scratch.formats.tensors import read_tensors, write_tensors
from cnn_from_scratch.layers import ReLU

from .pickles import Call, Name, Raw, archive, legacy, pickled, tensor, zipped

FOUR = np.arange(4, dtype=np.float32).tobytes()


def refused(path, read=read_state_dict, size=8 << 20):
    """The text of the error; nothing is run, no other file read, and little memory taken."""
    with guard().watching(path) as seen, at_most(size), pytest.raises(CnnError) as caught:
        read(path)
    assert not seen
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 1000
    return str(caught.value)


# --- safetensors ------------------------------------------------------------------------------------------------------


def safetensors(header, numbers=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + numbers


def place(first, last, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [first, last]}


TENSORS = {
    "a length of 2^64": safetensors(b"{}", length=(1 << 64) - 1),
    "a length beyond the end": safetensors(b"{}", length=3),
    "a name twice": safetensors(
        b'{"a":' + json.dumps(place(0, 4)).encode() + b',"a":' + json.dumps(place(0, 4)).encode() + b"}", bytes(4)
    ),
    "a key twice": safetensors(b'{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
    "metadata twice": safetensors(b'{"__metadata__":{},"__metadata__":{}}'),
    "overlapping": safetensors({"a": place(0, 4), "b": place(0, 4)}, bytes(4)),
    "partly overlapping": safetensors({"a": place(0, 8, (2,)), "b": place(4, 8)}, bytes(8)),
    "a gap": safetensors({"a": place(0, 4), "b": place(8, 12)}, bytes(12)),
    "backwards": safetensors({"a": place(4, 0)}, bytes(4)),
    "beyond the end": safetensors({"a": place(0, 8, (2,))}, bytes(4)),
    "something behind": safetensors({"a": place(0, 4)}, bytes(5)),
    "an offset of 2^64": safetensors({"a": place(0, 1 << 64)}, bytes(4)),
    "a shape that overflows": safetensors({"a": place(0, 4, (1 << 63, 1 << 63))}, bytes(4)),
    "a shape that overflows to 1": safetensors({"a": place(0, 4, ((1 << 32) + 1, (1 << 32) - 1, 1))}, bytes(4)),
    "a huge shape with a zero": safetensors({"a": place(0, 0, (1 << 62, 1 << 62, 0))}),
    "a negative shape": safetensors({"a": place(0, 4, (-1, -1))}, bytes(4)),
    "a broken shape": safetensors({"a": place(0, 4, (1.0,))}, bytes(4)),
    "an unknown dtype": safetensors({"a": place(0, 4, dtype="F33")}, bytes(4)),
    "a dtype of objects": safetensors({"a": place(0, 8, dtype="O")}, bytes(8)),
    "NaN": safetensors(b'{"a": NaN}'),
    "infinity": safetensors(b'{"a": 1e999}'),
    "a number of 5,000 digits": safetensors(b'{"a": ' + b"9" * 5000 + b"}"),
    "a lone surrogate": safetensors(b'{"\\ud800": 1}'),
    "no UTF-8": safetensors(b'{"\xff": 1}'),
    "depth": safetensors(b'{"a":' * 100_000),
    "depth that ends": safetensors(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"),
    "a leading space": safetensors(b" {}"),
    "a list": safetensors(b"[]"),
    "metadata that are none": safetensors({"__metadata__": [1]}),
    "metadata of numbers": safetensors({"__metadata__": {"a": 1}}),
    "a pickle": pickle.dumps(os.getcwd),
    "a pickle behind a header": safetensors({"a": place(0, 4)}, pickle.dumps(os.getcwd)),
}


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_lie(tmp_path, case):
    path = tmp_path / "a.safetensors"
    path.write_bytes(TENSORS[case])
    refused(path, read_tensors)
    refused(path)


@pytest.mark.fault("hostile-tensors")
def test_metadata_may_be_nothing(tmp_path):
    (tmp_path / "a").write_bytes(safetensors(b'{"__metadata__":null}'))
    assert read_tensors(tmp_path / "a") == ({}, {})
    assert "holds no architecture" in refused(tmp_path / "a", load_model)


# --- saved models -----------------------------------------------------------------------------------------------------


def saved(path, architecture, metadata=None, arrays=None):
    """A file with a right digest."""
    document = {"version": 1, "architecture": architecture, "metadata": metadata or {}}
    text = json.dumps({**document, "sha256": digest(document, arrays or {})})
    write_tensors(path, arrays or {}, {ENTRY: text})


def layer(kind, **config):
    return {"type": kind, "config": config}


HUGE = layer("Linear", in_features=1 << 20, out_features=1 << 20)
DIGITS = 10**4200

ARCHITECTURES = {
    "a layer in a list": layer("Sequential", layers=[HUGE]),
    "layers in a list in a list": layer("Sequential", layers=[[HUGE], [HUGE]]),
    "a dict in a list": layer("Sequential", layers=[{"0": HUGE}]),
    "many of some size": layer(
        "Sequential", layers={str(n): layer("Linear", in_features=1 << 11, out_features=1 << 11) for n in range(99)}
    ),
    "numbers of 8,400 digits": layer("Linear", in_features=DIGITS, out_features=DIGITS),
    "a float as size": layer("Linear", in_features=1e5, out_features=1e5),
    "a truth as size": layer("Linear", in_features=True, out_features=True),
    "a kernel of 2^31": layer("Conv2d", in_channels=1, out_channels=1, kernel_size=1 << 31),
    "kernels in a list": layer("Conv2d", in_channels=1, out_channels=1, kernel_size=[1 << 20, 1 << 20]),
    "a shape": layer("LayerNorm", normalized_shape=[1 << 20, 1 << 20]),
    "groups that make it small": layer(
        "Conv2d", in_channels=1 << 20, out_channels=1 << 20, kernel_size=1, groups=1 << 40
    ),
    "a graph whose initializers are a number": layer("Graph", initializers=1),
    "a graph of a huge initializer": layer(
        "Graph", nodes=[], inputs=[], outputs=[], initializers=[["a", "<f4", [1 << 40]]], trainable=[], notes=[]
    ),
    "a graph of an initializer with 2^62 rows of nothing": layer(
        "Graph", nodes=[], inputs=[], outputs=[], initializers=[["a", "<f4", [1 << 61, 0]]], trainable=[], notes=[]
    ),
    "a text that would not end": layer("ReLU", x=[[["x" * 100] * 100] * 100] * 2),
    "a type that is a module": layer("os.system"),
    "a type that is a method": layer("ReLU.__init__"),
    "a lone surrogate": layer("\ud800"),
    "a terminal's commands": layer("\x1b[2J"),
}


@pytest.mark.fault("hostile-architecture")
@pytest.mark.parametrize("case", ARCHITECTURES)
def test_architectures_that_mean_harm(tmp_path, case):
    saved(tmp_path / "a", ARCHITECTURES[case])
    text = refused(tmp_path / "a", load_model, size=128 << 20)
    assert text.isprintable()


@pytest.mark.fault("hostile-architecture")
def test_more_layers_than_there_may_be(tmp_path):
    saved(tmp_path / "a", layer("Sequential", layers={str(n): layer("ReLU") for n in range(10_001)}))
    assert "has more than 10000 layers" in refused(tmp_path / "a", load_model, size=64 << 20)


@pytest.mark.fault("hostile-architecture")
def test_depth(tmp_path):
    deep = []
    for _ in range(500):
        deep = [deep]
    saved(tmp_path / "a", layer("ReLU"), metadata={"deep": deep})
    for read in (load_model, load_metadata):
        assert "its description is nested more than 500 deep" in refused(tmp_path / "a", read)
    with pytest.raises(TypeError, match="metadata cannot be written: they are nested 500 deep or more"):
        save_model(ReLU(), tmp_path / "b", metadata={"deep": deep})
    save_model(ReLU(), tmp_path / "b", metadata={"deep": deep[0][0][0]})
    assert load_metadata(tmp_path / "b") == {"deep": deep[0][0][0]}


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def laughs(depth=40, kind=b"(" + b"h\x00" * 10 + b"t"):
    """Ten times ten times ... the same, in a few hundred bytes."""
    return Raw(b"K\x00q\x00" + (kind + b"q\x00") * depth)


HUGE_INT = Raw(b"\x8b" + struct.pack("<I", 4000) + b"\x7f" * 4000)  # of 9,600 digits
ONE_HASH = {n * ((1 << 61) - 1): None for n in range(1, 1000)}  # Python hashes an int modulo 2^61 - 1


def with_tensor(**more):
    return archive({"weight": tensor(**more)}, {"0": FOUR})


PICKLES = {
    "os.system": archive(Call(Name("os.system"), ("touch canary",)), {}),
    "posix.system": archive(Call(Name("posix.system"), ("touch canary",)), {}),
    "eval": archive(Call(Name("builtins.eval"), ("open('canary', 'w')",)), {}),
    "exec in the names of Python 2": archive(Call(Name("__builtin__.execfile"), ("canary",)), {}),
    "getattr": archive(Call(Name("builtins.getattr"), (Name("os"), "system")), {}),
    "a chain of dots": archive(Raw(pickle.dumps(os.path.join, 4)[2:-1]), {}),
    "a name with dots": archive(Raw(b"X\x0c\x00\x00\x00torch._utilsX\x13\x00\x00\x00_rebuild_tensor_v2.x\x93"), {}),
    "__setstate__": archive(
        Raw(b"ctorch._utils\n_rebuild_tensor_v2\n}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb"), {}
    ),
    "an object": archive(Raw(b"(ios\nsystem\n"), {}),
    "a new object": archive(Raw(b"cbuiltins\nobject\n)\x81"), {}),
    "a new object with names": archive(Raw(b"cbuiltins\nobject\n)}\x92"), {}),
    "an extension": archive(Raw(b"\x82\x01"), {}),
    "an extension of 4 bytes": archive(Raw(b"\x84\xff\xff\xff\x7f"), {}),
    "a persistent id in text": archive(Raw(b"Pcanary\n"), {}),
    "a persistent id of laughs": archive(Raw(laughs().opcodes + b"Q"), {}),
    "a buffer from outside": archive(Raw(b"\x97"), {}),
    "laughs as the value": archive(laughs(), {}),
    "laughs as a shape": with_tensor(shape=laughs()),
    "laughs as strides": with_tensor(strides=laughs()),
    "laughs as an offset": with_tensor(offset=laughs()),
    "laughs in lists": archive({"a": laughs(kind=b"](" + b"h\x00" * 10 + b"e")}, {}),
    "laughs as a key": archive(Raw(b"}" + laughs().opcodes + b"Ns"), {}),
    "a huge offset": with_tensor(offset=HUGE_INT),
    "a huge shape": with_tensor(shape=(HUGE_INT,)),
    "a huge stride": with_tensor(shape=(2,), strides=(HUGE_INT,)),
    "a huge count": with_tensor(count=HUGE_INT),
    "a huge shape with a zero": with_tensor(shape=(1 << 62, 1 << 62, 0), strides=(0, 0, 0)),
    "a huge key": archive({"a": tensor(), "b": Raw(b"}" + HUGE_INT.opcodes + b"Ns")}, {"0": FOUR}),
    "keys of one hash": archive(ONE_HASH, {}),
    "a list in itself": archive(Raw(b"]q\x00h\x00a"), {}),
    "a dict in itself": archive(Raw(b"}q\x00X\x01\x00\x00\x00ah\x00s"), {}),
    "depth": archive(Raw(b"]" * 100_000 + b"a" * 99_999), {}),
    "marks": archive(Raw(b"(" * 100_000), {}),
    "a long text that is none": archive(Raw(b"\x8d" + b"\xff" * 8), {}),
    "a long frame": archive(Raw(b"\x95" + b"\xff" * 8), {}),
    "a long bytearray": archive(Raw(b"\x96" + b"\xff\xff\xff\xff\xff\xff\xff\x00"), {}),
    "a number in text": archive(Raw(b"I" + b"9" * 100_000 + b"\n"), {}),
    "broadcast": archive({str(n): tensor(shape=(1 << 20, 1 << 20), strides=(0, 0)) for n in range(9)}, {"0": FOUR}),
    "a storage of one size and another": archive({"a": tensor(), "b": tensor(count=2, shape=(2,))}, {"0": FOUR}),
    "a storage outside": archive({"a": tensor("../../../etc/passwd")}, {"0": FOUR}),
}

OLD = {
    "version": legacy({"weight": tensor()}, ["0"], b"", version=laughs(kind=b"](" + b"h\x00" * 10 + b"e")),
    "a huge version": legacy({"weight": tensor()}, ["0"], b"", version=HUGE_INT),
    "keys": legacy({"weight": tensor()}, [laughs(kind=b"](" + b"h\x00" * 10 + b"e")], b""),
    "keys that are none": legacy({"weight": tensor()}, [0, None, ("0",)], b""),
    "a storage of 2^63": legacy({"weight": tensor(count=1 << 63)}, ["0"], struct.pack("<Q", 1 << 63)),
    "a storage that is longer than the file": legacy(
        {"weight": tensor(count=1 << 40)}, ["0"], struct.pack("<Q", 1 << 40)
    ),
    "os.system": legacy(Call(Name("os.system"), ("touch canary",)), [], b""),
    "os.system as facts": legacy({}, Call(Name("os.system"), ("touch canary",)), b""),
}


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("case", PICKLES)
def test_pickles_that_mean_harm(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(PICKLES[case])
    refused(tmp_path / "a.pt", size=128 << 20)
    assert os.listdir(tmp_path) == ["a.pt"]


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("case", OLD)
def test_old_pickles_that_mean_harm(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(OLD[case])
    refused(tmp_path / "a.pt", size=64 << 20)
    assert os.listdir(tmp_path) == ["a.pt"]


def entry(field, value):
    """A sound file in which every entry of the list of contents has this at that place."""
    data = bytearray(archive({"weight": tensor()}, {"0": FOUR}))
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + field : at + field + len(value)] = value
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


ZIPS = {
    "encrypted": (entry(8, b"\x01\x00"), FormatError),
    "sizes of 4 GB": (entry(20, b"\xfe\xff\xff\xff" * 2), LimitError),
    "sizes that differ": (entry(24, b"\x00\x01\x00\x00"), FormatError),
    "other methods": (entry(10, b"\x0e\x00"), FormatError),
    "places beyond the end": (entry(42, b"\x00\x00\x00\x7f"), FormatError),
    "one place for all": (entry(42, b"\x00\x00\x00\x00"), FormatError),
    "checksums": (entry(16, b"\x00\x00\x00\x00"), FormatError),
    "an absolute name": (zipped({"/etc/passwd": b"x", "archive/data.pkl": pickled({})}), FormatError),
    "a name above": (zipped({"archive/../../x": b"x", "archive/data.pkl": pickled({})}), FormatError),
    "a name of Windows": (zipped({"archive/C:\\x": b"x", "archive/data.pkl": pickled({})}), FormatError),
    "a zip in a zip": (zipped({"archive/data.pkl": archive({"weight": tensor()}, {"0": FOUR})}), FormatError),
    "a bomb": (
        archive(
            {"weight": tensor(count=1 << 24, shape=(1 << 24,))}, {"0": bytes(4 << 24)}, compression=zipfile.ZIP_DEFLATED
        ),
        FormatError,
    ),
}


@pytest.mark.fault("hostile-pickle", "zip-bomb")
@pytest.mark.parametrize("case", ZIPS)
def test_archives_that_mean_harm(tmp_path, case):
    data, kind = ZIPS[case]
    (tmp_path / "a.pt").write_bytes(data)
    refused(tmp_path / "a.pt")
    with pytest.raises(kind):
        read_state_dict(tmp_path / "a.pt")


# --- every byte of a small file of each kind --------------------------------------------------------------------------


def small_files(folder):
    """Sound files, and what reads them."""
    save_model(ReLU(), folder / "a.safetensors", metadata={"a": 1})
    return {
        "saved model": ((folder / "a.safetensors").read_bytes(), load_model),
        "safetensors": (safetensors({"a": place(0, 4)}, FOUR[4:8]), read_state_dict),
        "zip": (archive({"weight": tensor()}, {"0": FOUR}), read_state_dict),
        "legacy": (legacy({"weight": tensor()}, ["0"], struct.pack("<Q", 4) + FOUR), read_state_dict),
    }


@pytest.mark.fault("hostile-tensors", "hostile-pickle")
@pytest.mark.parametrize("kind", ["saved model", "safetensors", "zip", "legacy"])
def test_every_truncation_is_refused(tmp_path, kind):
    whole, read = small_files(tmp_path)[kind]
    path = tmp_path / "a"
    path.write_bytes(whole)
    read(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises((FormatError, LimitError)) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.fault("hostile-tensors", "hostile-pickle")
@pytest.mark.parametrize("kind", ["saved model", "safetensors", "zip", "legacy"])
def test_a_flipped_bit_in_every_byte_gives_our_error_or_a_sound_value(tmp_path, kind):
    whole, read = small_files(tmp_path)[kind]
    path, refusals = tmp_path / "a", 0
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << hashlib.sha256(whole + bytes([at & 255])).digest()[0] % 8
        path.write_bytes(data)
        try:
            read(path)
        except CnnError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
            refusals += 1
    assert refusals > len(whole) / 4
