"""IDX files, whole and in every way broken: a FormatError or LimitError that names the file, and nothing else."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ladder import REAL_DATA

from cnn_from_scratch.data import read_idx
from cnn_from_scratch.errors import CnnError, FormatError, LimitError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array):
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
def test_every_dtype_comes_back(tmp_path, dtype, pack):
    array = np.arange(-3, 21).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "a-idx3"
    path.write_bytes(pack(idx(array)))
    back = read_idx(path)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.dtype(dtype)  # native byte order
    assert back.flags.writeable


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (3, 0), (5,), (2, 1, 1, 1, 1, 1, 1, 2)])
def test_every_shape_comes_back(tmp_path, shape):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx(np.zeros(shape, np.uint8))))
    assert read_idx(str(path)).shape == shape


def test_two_gzip_streams_in_a_row_are_one_content(tmp_path):
    content = idx(np.arange(100, dtype=np.uint8))
    (tmp_path / "a").write_bytes(gzip.compress(content[:40]) + gzip.compress(content[40:]))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), np.arange(100))


def test_the_digest_is_of_the_content(tmp_path):
    content = idx(np.arange(10, dtype=np.uint8))
    digest = hashlib.sha256(content).hexdigest()
    for name, data in (("plain", content), ("packed", gzip.compress(content))):
        (tmp_path / name).write_bytes(data)
        assert len(read_idx(tmp_path / name, sha256=digest)) == 10
        with pytest.raises(FormatError, match=f"{name}: its content has SHA-256 {digest}, expected 00; it is not"):
            read_idx(tmp_path / name, sha256="00")


GOOD = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))
PACKED = gzip.compress(GOOD, mtime=0)


@pytest.mark.fault("damaged-file")
@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", FormatError, "not an IDX file: it begins with b''"),
        (
            b"<!DOCTYPE html><html>404</html>",
            FormatError,
            "not an IDX file: it begins with b'<!DO' (an HTML page, perhaps a server's error message)",
        ),
        (b"\0\0\x08\0", FormatError, "not an IDX file: it begins with b'\\x00\\x00\\x08\\x00'"),
        (b"\0\0\x0a\x01", FormatError, "not an IDX file: it begins with b'\\x00\\x00\\n\\x01'"),
        (b"\0\0\x08\xff", FormatError, "not an IDX file: it begins with b'\\x00\\x00\\x08\\xff'"),
        (GOOD[:9], FormatError, "truncated: it ends within the sizes of its 2 axes"),
        (GOOD[:-1], FormatError, "truncated: claims shape (3, 4), 12 bytes, but holds 11"),
        (GOOD + b"!", FormatError, "goes on after the 12 bytes of its shape (3, 4)"),
        (gzip.compress(GOOD + b"!", mtime=0), FormatError, "goes on after the 12 bytes of its shape (3, 4)"),
        (gzip.compress(GOOD[:-1], mtime=0), FormatError, "truncated: claims shape (3, 4), 12 bytes, but holds 11"),
        (
            PACKED[:-9],
            FormatError,
            "damaged gzip file: Compressed file ended before the end-of-stream marker was reached",
        ),
        (PACKED + b"garbage", FormatError, "damaged gzip file: Not a gzipped file (b'ga')"),
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], FormatError, "damaged gzip file: CRC check failed"),
        (
            b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28),
            LimitError,
            "claims shape (2147483648, 28, 28), 1683627180032 bytes; at most 1073741824 are accepted",
        ),
        (
            gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28), mtime=0),
            LimitError,
            "claims shape (2147483648, 28, 28), 1683627180032 bytes; at most 1073741824 are accepted",
        ),
        (
            b"\0\0\x08\x03" + struct.pack(">3I", 0, 2**31, 2**31),  # nothing in it, and yet too large for NumPy
            LimitError,
            "claims shape (0, 2147483648, 2147483648), 4611686018427387904 bytes; at most 1073741824 are accepted",
        ),
        (
            b"\0\0\x08\x02" + struct.pack(">2I", 10_000, 10_000) + bytes(100),
            FormatError,
            "truncated: claims shape (10000, 10000), 100000000 bytes, but holds at most 112",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, data, error, message):
    path = tmp_path / "broken-idx"
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.fault("damaged-file")
def test_every_truncation_is_a_format_error(tmp_path):
    path = tmp_path / "broken-idx"
    for whole in (GOOD, PACKED):
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(FormatError, match="broken-idx: "):
                read_idx(path)


@pytest.mark.fault("damaged-file")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([GOOD, PACKED]), st.data())
def test_a_flipped_byte_gives_an_array_or_our_error(tmp_path, whole, data):
    at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    path = tmp_path / "flipped"
    path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    try:
        assert read_idx(path).nbytes <= 100
    except CnnError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - success is also right


@pytest.mark.fault("boastful-header")
def test_nothing_is_allocated_for_a_lie(tmp_path):
    path = tmp_path / "liar"
    path.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 2**29) + bytes(1000))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="holds at most 1008"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.fault("boastful-header")
def test_a_gzip_bomb_stops_where_the_header_says(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(idx(np.zeros(1000, np.uint8)) + bytes(64 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="goes on after the 1000 bytes"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.fault("not-finite")
def test_nan_is_refused_unless_asked_for(tmp_path):
    path = tmp_path / "floats"
    path.write_bytes(idx(np.array([[1, np.nan]], np.float32)))
    with pytest.raises(ValueError, match="floats: 1 NaN and 0 infinite values among 2, the first at \\(0, 1\\)"):
        read_idx(path)
    assert np.isnan(read_idx(path, check=False)[0, 1])


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not part of the repository")
def test_a_real_file():
    labels = read_idx(REAL_DATA / "mnist" / "t10k-labels-idx1-ubyte.gz")
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
