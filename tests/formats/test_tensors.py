"""safetensors files, whole and in every way broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ladder import layouts
from safetensors import safe_open
from safetensors.numpy import save_file

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats.tensors import read_tensors, write_tensors

X = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)


def raw(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def test_arrays_come_back_whatever_their_memory_order(tmp_path):
    for label, array in layouts(X):
        write_tensors(tmp_path / "a", {"x": array, "count": np.array(7)}, {})
        back = read_tensors(tmp_path / "a").arrays
        np.testing.assert_array_equal(back["x"], X, err_msg=label)
        assert back["x"].dtype == np.float32
        assert back["count"].shape == ()
        assert back["count"] == 7


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.array(True), np.arange(3, dtype=np.uint8)], ids=str)
def test_odd_arrays_come_back(tmp_path, array):
    write_tensors(tmp_path / "a", {"x": array}, {"note": "ä \U0001f600"})
    back = read_tensors(tmp_path / "a")
    np.testing.assert_array_equal(back.arrays["x"], array)
    assert back.arrays["x"].shape == array.shape
    assert back.metadata == {"note": "ä \U0001f600"}


def test_nothing_at_all_comes_back(tmp_path):
    write_tensors(tmp_path / "a", {}, {})
    assert read_tensors(tmp_path / "a").arrays == {}


MIXED = {
    "b": np.arange(3, dtype=np.int8),
    "a": X,
    "count": np.array(7),
    "none": np.zeros((0, 2), np.float64),
    "yes": np.array([True, False]),
}


def test_the_library_reads_what_we_write(tmp_path):
    write_tensors(tmp_path / "a", MIXED, {"note": "ä"})
    with safe_open(tmp_path / "a", framework="np") as file:
        assert file.metadata() == {"note": "ä"}
        found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no dict
    assert found.keys() == MIXED.keys()
    for key, array in MIXED.items():
        np.testing.assert_array_equal(found[key], array)
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape)


def test_we_read_what_the_library_writes(tmp_path):
    save_file(MIXED, tmp_path / "a", {"note": "ä"})
    found = read_tensors(tmp_path / "a")
    assert found.metadata == {"note": "ä"}
    assert found.arrays.keys() == MIXED.keys()
    for key, array in MIXED.items():
        np.testing.assert_array_equal(found.arrays[key], array)
        assert (found.arrays[key].dtype, found.arrays[key].shape) == (array.dtype, array.shape)


def test_numbers_start_at_multiples_of_their_size(tmp_path):
    write_tensors(tmp_path / "a", MIXED, {})
    data = (tmp_path / "a").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    for key, array in MIXED.items():
        assert header[key]["data_offsets"][0] % array.itemsize == 0


def test_what_the_format_lacks_is_named(tmp_path):
    with pytest.raises(TypeError) as caught:
        write_tensors(tmp_path / "a", {"z": np.zeros(2, complex)}, {})
    assert str(caught.value) == "write_tensors: 'z' has dtype complex128, which a safetensors file cannot hold"
    assert not (tmp_path / "a").exists()


FOUR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
DEEP = b'{"__metadata__": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a safetensors file: it begins with b''"),
        (b"\x80\x04\x95\x00\x00\x00", "not a safetensors file: it begins with b'\\x80\\x04\\x95\\x00\\x00\\x00'"),
        (b"PK\x03\x04" + bytes(100), "not a safetensors file: it begins with b'PK\\x03\\x04\\x00\\x00\\x00\\x00\\x00'"),
        (
            bytes([255] * 8) + b"{}",
            "not a safetensors file: it begins with b'\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff{'",
        ),
        (raw(b" {}"), "not a safetensors file: it begins with b'\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00 '"),
        (raw(b"{} x"), "its header is not sound JSON: Extra data: line 1 column 4 (char 3)"),
        (raw(b'{"a": NaN}'), "its header is not sound JSON: NaN is no JSON number"),
        (raw(b'{"a": 1, "a": 2}'), "its header is not sound JSON: 'a' appears twice"),
        (raw(b'{"a\xff": 1}'), "its header is not sound JSON: 'utf-8' codec can't decode byte 0xff in position 3"),
        (raw(DEEP), "its header is not sound JSON: maximum recursion depth exceeded"),
        (raw({"x": FOUR}), "not a sound safetensors file: "),
        (raw({"x": FOUR}, bytes(5)), "not a sound safetensors file: "),
        (raw({"x": FOUR, "y": FOUR}, bytes(4)), "not a sound safetensors file: "),
        (raw({"x": {**FOUR, "data_offsets": [4, 8]}}, bytes(8)), "not a sound safetensors file: "),
        (raw({"x": {**FOUR, "shape": [2**62, 2**62]}}, bytes(4)), "not a sound safetensors file: "),
        (raw({"x": {**FOUR, "shape": [-1]}}, bytes(4)), "not a sound safetensors file: "),
        (raw({"x": {**FOUR, "dtype": "PICKLE"}}, bytes(4)), "not a sound safetensors file: "),
        (raw({"x": 1}), "not a sound safetensors file: "),
        (raw({"__metadata__": {"a": 1}}), "not a sound safetensors file: "),
        (raw({"__metadata__": [1]}), "not a sound safetensors file: "),
        (
            raw({"x": {**FOUR, "dtype": "BF16", "shape": [2]}}, bytes(4)),
            "has numbers of type 'BF16', which NumPy lacks",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, data, message):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.fault("hostile-tensors")
def test_a_long_header_is_not_parsed(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(raw(b"{" + b" " * (17 << 20)))
    with pytest.raises(FormatError, match="long: its header has 17825793 bytes; at most 16777216 are accepted"):
        read_tensors(path)


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_tensors(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a"
    write_tensors(path, {"x": X, "y": np.arange(3)}, {"note": "a"})
    return path.read_bytes()


@pytest.mark.fault("hostile-tensors")
def test_every_truncation_is_a_format_error(tmp_path, whole):
    path = tmp_path / "short"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match="short: "):
            read_tensors(path)


@pytest.mark.fault("hostile-tensors")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_byte_gives_arrays_or_our_error(tmp_path, whole, data):
    at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    path = tmp_path / "flipped"
    path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    try:
        assert sum(array.nbytes for array in read_tensors(path).arrays.values()) <= len(whole)
    except FormatError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - success is also right
