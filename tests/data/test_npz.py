"""NPZ files: arrays in, bombs and pickles refused."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from fuzzing.guard import at_most, guard

from cnn_from_scratch.data import read_npz
from cnn_from_scratch.errors import FormatError, LimitError

pytestmark = pytest.mark.fault("hostile-tensors", "zip-bomb")

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big": np.arange(3, dtype=">i2"),
    "flags": np.array([True, False]),
    "half": np.ones(2, np.float16),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4), np.uint8),
    "folder/inside": np.zeros(1),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].flags.c_contiguous


def npy(shape="(2,)", descr="'<f4'", data=bytes(8), *, version=1, order="False"):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def packed(entries, compression=zipfile.ZIP_STORED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, part in entries:
            file.writestr(name, part)
    return target.getvalue()


def flagged(offset, value):
    """A file with another number at this place of its list of contents."""
    data = bytearray(packed([("a.npy", npy())]))
    at = data.index(b"PK\x01\x02") + offset
    data[at : at + len(value)] = value
    return bytes(data)


def test_headers_of_other_versions_and_of_python_2(tmp_path):
    entries = [("a.npy", npy(version=2)), ("b.npy", npy(version=3)), ("c.npy", npy("(1L, 2L)"))]
    (tmp_path / "a.npz").write_bytes(packed(entries))
    assert {name: array.shape for name, array in read_npz(tmp_path / "a.npz").items()} == {
        "a": (2,),
        "b": (2,),
        "c": (1, 2),
    }


def test_any_byte_of_a_boolean_that_is_not_zero_is_true(tmp_path):
    (tmp_path / "a.npz").write_bytes(packed([("a.npy", npy("(3,)", "'|b1'", b"\x00\x01\x07"))]))
    assert read_npz(tmp_path / "a.npz")["a"].view(np.uint8).tolist() == [0, 1, 1]


PICKLE = io.BytesIO()
np.save(PICKLE, np.array([{}], object), allow_pickle=True)
WHOLE = packed([("a.npy", npy()), ("b.npy", npy())])

BROKEN = {
    "empty": (b"", "not a sound zip file: File is not a zip file"),
    "a page": (b"<html>404</html>", "not a sound zip file: File is not a zip file"),
    "a lone npy": (npy(), "not a sound zip file: File is not a zip file"),
    "a pickle": (packed([("a.npy", PICKLE.getvalue())]), "'a' holds '|O', which only a pickle could bring"),
    "text": (packed([("a.npy", npy(descr="'<U2'"))]), "'a' holds '<U2', which is no type of numbers"),
    "a record": (packed([("a.npy", npy(descr="[('x', '<f4')]"))]), "which is none"),
    "code": (packed([("a.npy", npy("__import__('os').getpid(),"))]), "which is none"),
    "deep": (packed([("a.npy", npy("(" * 390))]), "which is none"),
    "a long header": (packed([("a.npy", npy("(" + " " * 5000 + ")"))]), "is no array: it begins with"),
    "too short": (packed([("a.npy", npy("(3,)"))]), "'a' claims float32 (3,), but has 8 bytes"),
    "too long": (packed([("a.npy", npy("(1,)"))]), "'a' claims float32 (1,), but has 8 bytes"),
    "2^200": (packed([("a.npy", npy(f"({1 << 200}, 0)", data=b""))]), "but has 0 bytes"),
    "negative": (packed([("a.npy", npy("(-2,)"))]), "which is none"),
    "version 9": (packed([("a.npy", npy(version=9))]), "is no array: it begins with b'\\x93NUMPY\\t\\x00'"),
    "no magic": (packed([("a.npy", b"hello, world")]), "is no array: it begins with b'hello, w'"),
    "other entries": (packed([("a.txt", b"x")]), "its entry 'a.txt' is no array as np.savez writes them"),
    "encrypted": (flagged(8, b"\x01"), "its entry 'a.npy' is no array as np.savez writes them"),
    "bzip2": (packed([("a.npy", npy())], zipfile.ZIP_BZIP2), "its entry 'a.npy' is no array as np.savez writes them"),
    "another checksum": (flagged(16, b"\0\0\0\0"), "not a sound zip file: Bad CRC-32 for file 'a.npy'"),
    "twice": (WHOLE.replace(b"b.npy", b"a.npy"), "holds the array 'a' twice"),
    "less than there is": (flagged(24, b"\x05\0\0\0"), "not a sound zip file: Bad CRC-32"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path, case):
    data, message = BROKEN[case]
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with guard().watching(path) as seen, pytest.raises(FormatError) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert not seen


def test_every_truncation_is_a_format_error(tmp_path):
    for length in range(len(WHOLE)):
        (tmp_path / "a.npz").write_bytes(WHOLE[:length])
        with pytest.raises(FormatError):
            read_npz(tmp_path / "a.npz")


def test_flipped_bits_give_the_arrays_or_our_error(tmp_path):
    path, sound = tmp_path / "a.npz", 0
    for at in range(0, 8 * len(WHOLE), 3):
        data = bytearray(WHOLE)
        data[at // 8] ^= 1 << at % 8
        path.write_bytes(data)
        try:
            found = read_npz(path)
        except FormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
        except LimitError:
            pass
        else:
            sound += 1  # dates, versions ... : the numbers are those that were written
            assert all(array.tolist() == [0, 0] for array in found.values())
    assert 0 < sound < len(WHOLE)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    """One megabyte that would be a gigabyte."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.npy", "w") as entry:
        entry.write(npy("(268435456,)", data=b""))
        for _ in range(64):
            entry.write(bytes(1 << 24))
    assert path.stat().st_size < 2 << 20
    with (
        at_most(1 << 20),
        pytest.raises(LimitError, match=r"bomb\.npz: claims to hold 10737\d+ bytes; at most 1048576 "),
    ):
        read_npz(path, max_bytes=1 << 20)


def test_a_bomb_that_declares_little_is_not_unpacked_further(tmp_path):
    """Its list of contents says 100 bytes, of 64 megabytes."""
    data = bytearray(packed([("a.npy", npy("(16777216,)", data=bytes(64 << 20)))], zipfile.ZIP_DEFLATED))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(data)
    with at_most(1 << 20), pytest.raises(FormatError, match="Bad CRC-32"):
        read_npz(tmp_path / "a.npz")


def test_entries_that_share_their_bytes_count_each(tmp_path):
    """A thousand names for one megabyte: the list of contents points a thousand times to the same place."""
    data = packed([("a.npy", npy("(262144,)", data=bytes(1 << 20)))], zipfile.ZIP_DEFLATED)
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], bytearray(data[data.index(b"PK\x05\x06") :])
    listed = b"".join(entry.replace(b"a.npy", b"%05d" % n) for n in range(1000)).replace(b"00000", b"a.npy", 1)
    end[8:12], end[12:16] = struct.pack("<HH", 1000, 1000), struct.pack("<I", len(listed))
    (tmp_path / "a.npz").write_bytes(data[:start] + listed + end)
    with at_most(8 << 20), pytest.raises(LimitError, match=r"claims to hold 1048\d+ bytes; at most 536870912"):
        read_npz(tmp_path / "a.npz", max_bytes=1 << 29)


def test_many_entries(tmp_path):
    (tmp_path / "a.npz").write_bytes(packed([(f"{n}.npy", b"") for n in range(10_001)]))
    with pytest.raises(LimitError, match="has 10001 entries; at most 10000 are accepted"):
        read_npz(tmp_path / "a.npz")


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "none.npz")
    assert os.listdir(tmp_path) == []
