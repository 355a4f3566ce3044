"""Files of torch.save: read as they should be, and refused where they are damaged or mean harm."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
from formats.pickles import Call, Name, Raw, archive, legacy, pickled, tensor, zipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnn_from_scratch.errors import FormatError, LimitError
from cnn_from_scratch.formats import pytorch_file, pytorch_tensors, read_state_dict, zip_records

FOUR = np.array([1.0, 2.0, 3.0, 4.0], "<f4").tobytes()


def read(folder, data):
    path = folder / "weights.pt"
    path.write_bytes(data)
    return read_state_dict(path)


# --- what is sound ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"shape": (2, 2), "strides": (2, 1)}, [[1, 2], [3, 4]]),
        ({"shape": (2, 2), "strides": (1, 2)}, [[1, 3], [2, 4]]),  # a transposed view
        ({"shape": (2,), "strides": (2,), "offset": 1}, [2, 4]),  # every second number, from the second on
        ({"shape": (2, 3), "strides": (0, 1), "offset": 1}, [[2, 3, 4], [2, 3, 4]]),  # broadcast
        ({"shape": (3, 2), "strides": (1, 1)}, [[1, 2], [2, 3], [3, 4]]),  # windows that overlap
        ({"shape": (), "strides": (), "offset": 3}, 4),
        ({"shape": (0, 7), "strides": (7, 1), "offset": 100}, np.zeros((0, 7))),
        ({"shape": (1, 4), "strides": (2**63, 1)}, [[1, 2, 3, 4]]),  # a step that is never made
        ({"device": "cuda:3"}, [1, 2, 3, 4]),
        ({"device": "no such device"}, [1, 2, 3, 4]),
        ({"more": ({},)}, [1, 2, 3, 4]),
        ({"more": (None,)}, [1, 2, 3, 4]),
    ],
)
def test_a_tensor_by_hand(tmp_path, options, expected):
    found = read(tmp_path, archive({"weight": tensor(**options)}, {"0": FOUR}))["weight"]
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, np.asarray(expected, np.float32))


KINDS = {"Double": "f8", "Float": "f4", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1"}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_kind_in_both_orders(tmp_path, kind, order):
    values = np.array([0, 1, 100, 7], KINDS[kind])
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    found = read(tmp_path, archive({"a": tensor(kind=kind)}, {"0": data}, byteorder=order.encode()))["a"]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_booleans(tmp_path):
    found = read(tmp_path, archive({"a": tensor(kind="Bool")}, {"0": bytes([0, 1, 2, 255])}))["a"]
    assert found.tolist() == [False, True, True, True]


def test_every_float16_becomes_the_float32_of_its_value(tmp_path):
    bits = np.arange(65536, dtype=np.uint16)
    found = read(tmp_path, archive({"a": tensor(kind="Half", count=65536, shape=(65536,))}, {"0": bits.tobytes()}))["a"]
    # sign, 5 bits of exponent with a bias of 15, 10 bits of fraction
    sign, exponent, fraction = 1.0 - 2.0 * (bits >> 15), (bits >> 10 & 31).astype(int), (bits & 1023) / 1024
    value = np.where(exponent > 0, (1 + fraction) * 2.0 ** (exponent - 15), fraction * 2.0**-14)
    value = np.where(exponent == 31, np.where(fraction == 0, np.inf, np.nan), value) * sign
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, value)


def test_every_bfloat16_becomes_the_float32_of_its_value(tmp_path):
    bits = np.arange(65536, dtype=np.uint16)
    content = archive({"a": tensor(kind="BFloat16", count=65536, shape=(65536,))}, {"0": bits.tobytes()})
    found = read(tmp_path, content)["a"]
    # sign, 8 bits of exponent with a bias of 127, 7 bits of fraction
    sign, exponent, fraction = 1.0 - 2.0 * (bits >> 15), (bits >> 7 & 255).astype(int), (bits & 127) / 128
    value = np.where(exponent > 0, (1 + fraction) * 2.0 ** (exponent - 127.0), fraction * 2.0**-126)
    value = np.where(exponent == 255, np.where(fraction == 0, np.inf, np.nan), value) * sign
    np.testing.assert_array_equal(found, value)


def test_shared_numbers_are_read_once_and_stay_shared(tmp_path):
    value = {"weight": tensor(), "tied": tensor(), "row": tensor(shape=(2,), offset=2)}
    found = read(tmp_path, archive(value, {"0": FOUR}))
    assert np.shares_memory(found["weight"], found["tied"])
    assert np.shares_memory(found["weight"], found["row"])
    assert found["row"].tolist() == [3, 4]


def test_parameters_and_checkpoints(tmp_path):
    parameter = Call(Name("torch._utils._rebuild_parameter"), (tensor(), True, {}))
    optimizer = {"state": {0: {"step": 3, "moment": tensor("1")}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    found = read(tmp_path, archive({"epoch": 7, "state_dict": {"w": parameter}, "optimizer": optimizer}, {"0": FOUR}))
    assert {key: value.tolist() for key, value in found.items()} == {"w": [1, 2, 3, 4]}  # storage 1 is not even there


def test_an_entry_can_be_named(tmp_path):
    path = tmp_path / "both.pt"
    path.write_bytes(archive({"model": {"a": tensor()}, "ema": {"b": tensor()}}, {"0": FOUR}))
    assert list(read_state_dict(path, entry="ema")) == ["b"]
    with pytest.raises(FormatError) as caught:
        read_state_dict(path)
    assert str(caught.value) == f"{path}: has several state dicts, under 'model', 'ema'; say which by entry="
    with pytest.raises(FormatError) as caught:
        read_state_dict(path, entry="best")
    assert str(caught.value) == f"{path}: has no state dict under 'best'; there is one under 'model', 'ema'"


def test_a_state_dict_of_nothing(tmp_path):
    assert read(tmp_path, archive({}, {})) == {}


# --- before version 1.6 ----------------------------------------------------------------------------------------------

TWO = legacy(
    {"a": tensor("7"), "b": tensor("8", kind="Half", count=1, shape=(1,))},
    ["7", "8"],
    (4).to_bytes(8, "little") + FOUR + (1).to_bytes(8, "little") + np.array([1.5], "<f2").tobytes(),
)


def test_the_old_form(tmp_path):
    found = read(tmp_path, TWO)
    assert {key: (value.tolist(), value.dtype.str) for key, value in found.items()} == {
        "a": ([1, 2, 3, 4], "<f4"),
        "b": ([1.5], "<f4"),
    }


COUNT = (4).to_bytes(8, "little")


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (legacy({}, [], b"", magic=1), "is a pickle, but not one of torch.save"),
        (pickled({"a": 1}), "is a pickle, but not one of torch.save"),
        (pickled(Call(Name("os.system"), ("true",))), "its pickle names 'os.system'"),
        (legacy({}, [], b"", version=Name("os.system")), "its pickle names 'os.system'"),
        (legacy({}, [], b"", version=1002), "is of version 1002; 1001 is the only one that is known here"),
        (legacy({"a": tensor()}, ["1"], COUNT + FOUR), "its list of storages is not that of its description"),
        (legacy({"a": tensor()}, ["0", "0"], 2 * (COUNT + FOUR)), "its list of storages is not that"),
        (legacy({"a": tensor()}, [["0"]], COUNT + FOUR), "its list of storages is not that"),
        (legacy({"a": tensor()}, {"0": 1}, COUNT + FOUR), "its list of storages is not that"),
        (legacy({"a": tensor()}, ["0"], bytes(8) + FOUR), "its storage '0' does not have 4 numbers"),
        (legacy({"a": tensor()}, ["0"], COUNT + FOUR[:-1]), "bytes; "),
        (legacy({"a": tensor()}, ["0"], COUNT + FOUR + b"x"), "bytes; "),
        (
            legacy({"a": tensor(), "b": tensor(kind="Int")}, ["0"], COUNT + FOUR),
            "speaks of its storage '0' in two ways",
        ),
        (
            legacy({"a": tensor(count=1 << 60, shape=(1 << 60,))}, ["0"], (1 << 60).to_bytes(8, "little") + FOUR),
            "bytes; ",
        ),
    ],
)
def test_the_old_form_broken(tmp_path, data, message):
    with pytest.raises(FormatError) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'weights.pt'}: ")
    assert message in str(caught.value)


# --- what is not ------------------------------------------------------------------------------------------------------

GOOD = archive({"weight": tensor(shape=(2, 2), strides=(2, 1))}, {"0": FOUR})
STORAGE = ("storage", Name("torch.FloatStorage"), "0", "cpu", 4)
UNTYPED = ("storage", Name("torch.storage.UntypedStorage"), "0", "cpu", 16)


def odd(**options):
    return archive({"w": tensor(**options)}, {"0": FOUR})


def described(*arguments):
    return archive({"w": Call(Name("torch._utils._rebuild_tensor_v2"), arguments)}, {"0": FOUR})


def referring(identity):
    return archive({"w": Raw(pickled(identity)[2:-1] + b"Q")}, {"0": FOUR})


BROKEN = {
    "os.system": (archive({"w": Call(Name("os.system"), ("true",))}, {}), "its pickle names 'os.system'"),
    "a model": (archive(Call(Name("torch.nn.modules.linear.Linear"), ()), {}), "save model.state_dict()"),
    "a tensor alone": (archive(tensor(), {"0": FOUR}), "holds a tensor, not a state dict; save model.state_dict()"),
    "a list": (archive([tensor()], {"0": FOUR}), "holds a list, not a state dict"),
    "no tensor": (archive({"w": tensor(), "n": 3}, {"0": FOUR}), "its entry 'n' is no tensor with a name"),
    "no name": (archive({0: tensor()}, {"0": FOUR}), "its entry 0 is no tensor with a name"),
    "beyond by a stride of 2^63": (odd(shape=(2, 2), strides=(2**63, 1)), "that reaches beyond its 4 numbers"),
    "beyond its storage": (odd(shape=(5,)), "has a tensor of shape (5,) that reaches beyond its 4 numbers"),
    "beyond by its offset": (odd(offset=1), "that reaches beyond its 4 numbers"),
    "beyond by its strides": (odd(shape=(2,), strides=(4,)), "that reaches beyond its 4 numbers"),
    "before its storage": (odd(shape=(2,), strides=(-1,), offset=1), "has a tensor of shape (2,) and strides (-1,)"),
    "a negative offset": (odd(offset=-1, shape=(1,)), "has a tensor of shape (1,)"),
    "a negative size": (odd(shape=(-1,)), "has a tensor of shape (-1,)"),
    "a size that is no number": (odd(shape=(2.0,)), "has a tensor of shape (2.0,)"),
    "a size that is True": (odd(shape=(True,)), "has a tensor of shape (True,)"),
    "shape without strides": (odd(strides=()), "has a tensor of shape (4,) and strides ()"),
    "33 axes": (odd(shape=33 * (1,), strides=33 * (1,)), "has a tensor of shape (1, 1, 1"),
    "huge and empty": (odd(shape=(0, 2**62, 2**62), strides=(1, 1, 1)), "has a tensor of shape (0, 461168601842738"),
    "conjugated": (odd(more=({"conj": True},)), "is to be conjugated or negated when it is read"),
    "a list as shape": (odd(shape=[4]), "has a tensor that is not described as PyTorch does"),
    "too few arguments": (described(1), "its pickle is damaged: TypeError"),
    "no storage": (described(None, 0, (4,), (1,), False, {}), "has a tensor that is not described as PyTorch does"),
    "a parameter of nothing": (
        archive({"w": Call(Name("torch._utils._rebuild_parameter"), (None, True, {}))}, {}),
        "has a parameter that is no tensor",
    ),
    "bytes of no dtype": (
        archive({"w": Call(Name("torch._utils._rebuild_tensor_v3"), (*(None,) * 7,))}, {}),
        "has a tensor of bytes whose dtype is not known",
    ),
    "a module": (referring(("module", 1, 2, 3, 4)), "refers to something that is no storage"),
    "text as id": (referring("0"), "refers to something that is no storage"),
    "a view of a storage": (referring((*STORAGE, ("1", 0, 2))), "refers to something that is no storage"),
    "a storage of no type": (
        referring(("storage", "Float", "0", "cpu", 4)),
        "refers to a storage that is not described",
    ),
    "a negative count": (referring((*STORAGE[:4], -1)), "refers to a storage that is not described"),
    "a key that is no text": (referring((*STORAGE[:2], 0, "cpu", 4)), "refers to a storage that is not described"),
    "a storage that is not there": (odd(key="1"), "lacks the record 'data/1'"),
    "a storage outside": (odd(key="../../etc/passwd"), "lacks the record 'data/../../etc/passwd'"),
    "a storage too short": (archive({"w": tensor()}, {"0": FOUR[:-4]}), "its storage '0' has 12 bytes for 4 numbers"),
    "a storage too long": (archive({"w": tensor()}, {"0": FOUR + FOUR}), "its storage '0' has 32 bytes for 4 numbers"),
    "half a number": (archive({"w": tensor()}, {"0": FOUR[:-1]}), "has 15 bytes for numbers of 4 bytes"),
    "bytes without dtype": (archive({"w": Raw(pickled(UNTYPED)[2:-1] + b"Q")}, {}), "is no tensor with a name"),
    "an order of its own": (archive({}, {}, byteorder=b"middle"), "says neither 'little' nor 'big'"),
    "a TorchScript program": (archive({}, {}, **{"constants.pkl": b""}), "is a TorchScript program, not a state dict"),
    "no description": (zipped({"archive/version": b"3"}), "holds no 'data.pkl': it was not written by torch.save"),
    "an empty zip file": (zipped({}), "neither a safetensors file nor one of torch.save: it begins with b'PK\\x05"),
    "compressed": (archive({}, {}, compression=zipfile.ZIP_DEFLATED), "its record 'data.pkl' is compressed"),
    "a name that leaves": (zipped({"archive/data.pkl": b"", "archive/../x": b""}), "the name of its record"),
    "a name from the root": (zipped({"/etc/passwd": b""}), "the name of its record '/etc/passwd' is not one"),
    "a name of Windows": (zipped({"archive\\..\\x/y": b""}), "the name of its record"),
    "a name without folder": (zipped({"data.pkl": b""}), "the name of its record 'data.pkl' is not one"),
    "two folders": (zipped({"a/data.pkl": b"", "b/version": b""}), "its records lie in 2 folders; PyTorch writes one"),
}


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path, case):
    data, message = BROKEN[case]
    with pytest.raises(FormatError) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'weights.pt'}: ")
    assert message in str(caught.value)


def test_a_record_twice(tmp_path):
    target = io.BytesIO(GOOD)
    with zipfile.ZipFile(target, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("archive/data.pkl", pickled({}))
    with pytest.raises(FormatError, match=r"holds the record 'data.pkl' twice"):
        read(tmp_path, target.getvalue())


def test_other_files(tmp_path):
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"<!DOCTYPE html>"):
        with pytest.raises(FormatError, match=r"neither a safetensors file nor one of torch.save: it begins with b"):
            read(tmp_path, data)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_state_dict(tmp_path / "nowhere")


@pytest.mark.fault("hostile-pickle")
def test_every_truncation_is_a_format_error(tmp_path):
    for whole in (GOOD, TWO):
        for length in range(0, len(whole), 3):
            with pytest.raises(FormatError, match=r"weights.pt: "):
                read(tmp_path, whole[:length])


def test_a_changed_number_does_not_match_its_checksum(tmp_path):
    at = GOOD.index(FOUR)
    with pytest.raises(FormatError, match=r"weights.pt: not a sound zip file: Bad CRC-32 for file 'archive/data/0'"):
        read(tmp_path, GOOD[:at] + b"\xff" + GOOD[at + 1 :])


@pytest.mark.fault("hostile-pickle")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([GOOD, TWO]), st.data())
def test_a_changed_byte_gives_arrays_or_our_error(tmp_path, whole, data):
    at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    try:
        found = read(tmp_path, whole[:at] + bytes([value]) + whole[at + 1 :])
    except FormatError as error:
        assert str(error).startswith(f"{tmp_path / 'weights.pt'}: ")  # noqa: PT017 - success is also right
    except LimitError:
        pass
    else:
        assert sum(array.nbytes for array in found.values()) <= len(whole)


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("hostile-pickle")
def test_records_that_overlap_claim_more_than_there_is(tmp_path):
    # a list of contents that names the same 100,000 bytes 30 times
    one = zipped({"archive/data.pkl": bytes(100_000)})
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    entry = one[start:end]
    entries = b"".join(entry.replace(b"data.pkl", f"data{i:03}0".encode()) for i in range(30))
    tail = bytearray(one[end:])
    tail[8:12] = 2 * (30).to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    with pytest.raises(LimitError, match=r"weights.pt: its records claim 3000000 bytes, but the file has 10\d{4}"):
        read(tmp_path, one[:start] + entries + bytes(tail))


@pytest.mark.fault("zip-bomb")
def test_a_zip_bomb_is_never_unpacked(tmp_path):
    bomb = archive(
        {"w": tensor(count=1 << 24, shape=(1 << 24,))}, {"0": bytes(1 << 26)}, compression=zipfile.ZIP_DEFLATED
    )
    assert len(bomb) < 1 << 17  # 64 MiB in 64 KiB
    with pytest.raises(FormatError, match=r"its record 'data.pkl' is compressed"):
        read(tmp_path, bomb)


def test_numbers_that_few_stand_for(tmp_path):
    many = {str(i): tensor(shape=(1 << 22,), strides=(0,)) for i in range(3)}
    assert all(a.nbytes == 1 << 24 for a in read(tmp_path, archive(many, {"0": FOUR})).values())
    with pytest.raises(LimitError, match=r"weights.pt: its tensors claim far more numbers than it holds"):
        read(tmp_path, archive({"w": tensor(shape=(1 << 40,), strides=(0,))}, {"0": FOUR}))
    with pytest.raises(LimitError, match="its tensors claim far more numbers"):
        read(tmp_path, archive({"w": tensor(shape=(1 << 40, 1 << 40), strides=(0, 0))}, {"0": FOUR}))


def test_copies_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr(pytorch_tensors, "SPARE", 0)
    many = {str(i): tensor(shape=(1000,), strides=(0,)) for i in range(3)}
    with pytest.raises(LimitError, match="its tensors claim far more numbers"):
        read(tmp_path, archive(many, {"0": FOUR}))
    assert len(read(tmp_path, archive({"w": tensor(), "v": tensor(shape=(2,), strides=(2,))}, {"0": FOUR}))) == 2


@pytest.mark.fault("hostile-pickle")
def test_long_descriptions_and_many_records(tmp_path, monkeypatch):
    monkeypatch.setattr(pytorch_file, "MAX_PICKLE", 10)
    with pytest.raises(LimitError, match=r"its description has \d+ bytes; at most 10 are accepted"):
        read(tmp_path, GOOD)
    monkeypatch.setattr(zip_records, "MAX_RECORDS", 2)
    with pytest.raises(LimitError, match="has 3 records; at most 2 are accepted"):
        read(tmp_path, GOOD)


@pytest.mark.fault("hostile-pickle")
def test_nothing_is_run(tmp_path):
    evil = archive({"w": Call(Name("os.mkdir"), (str(tmp_path / "made"),))}, {})
    for data in (evil, legacy(Call(Name("os.mkdir"), (str(tmp_path / "made"),)), [], b"")):
        with pytest.raises(FormatError, match=r"its pickle names 'os.mkdir'"):
            read(tmp_path, data)
    assert os.listdir(tmp_path) == ["weights.pt"]
