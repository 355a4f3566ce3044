"""CIFAR-10's archive in small: read without extraction, and refused in every way that an archive can lie."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from fuzzing.guard import at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnn_from_scratch.data import cifar, load_cifar10
from cnn_from_scratch.errors import CnnError, FormatError, LimitError

IMAGES = 2
SIZE = IMAGES * 3073


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar, "IMAGES_PER_FILE", IMAGES)


def records(seed):
    rows = np.random.default_rng(seed).integers(0, 256, (IMAGES, 3073)).astype(np.uint8)
    rows[:, 0] = seed % 10
    return rows


def archive(members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return packed.getvalue()


NAMES = (*cifar.TRAIN, *cifar.TEST)
MEMBERS = [(name, records(seed).tobytes()) for seed, name in enumerate(NAMES)]


@pytest.mark.fault("tar-archive")
def test_the_layout_by_hand(tmp_path):
    # one byte of label, then 1,024 of red, of green and of blue, each row by row
    extra = [("cifar-10-batches-bin", (tarfile.DIRTYPE, "")), ("../../escape", b"x"), ("/etc/escape", b"x")]
    (tmp_path / cifar.ARCHIVE.name).write_bytes(archive(extra + MEMBERS + [("readme.html", b"<html>")]))
    data = load_cifar10(tmp_path, verify=False)
    assert data.train.x.shape == (10, 3, 32, 32)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert data.test.y.tolist() == [5, 5]
    row = records(3)[1]
    image = data.train.x[7]
    assert image[0, 0, 0] == row[1]
    assert image[0, 1, 0] == row[1 + 32]
    assert image[2, 31, 31] == row[3072]
    assert data.classes[5] == "dog"
    assert os.listdir(tmp_path) == [cifar.ARCHIVE.name]


def test_the_order_in_the_archive_does_not_matter(tmp_path):
    for folder, members in (("a", MEMBERS), ("b", MEMBERS[::-1])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / cifar.ARCHIVE.name).write_bytes(archive(members))
    a, b = (load_cifar10(tmp_path / folder, verify=False) for folder in "ab")
    np.testing.assert_array_equal(a.train.x, b.train.x)


def test_the_published_digest_is_asked_for(tmp_path):
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(archive(MEMBERS))
    with pytest.raises(FormatError, match=r"SHA-256 is \w+, expected c4a38c50\w+; it is not the published archive"):
        load_cifar10(tmp_path)


@pytest.mark.fault("tar-archive", "damaged-file")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged tar archive: empty file"),
        (b"<html>404</html>", "damaged tar archive: "),
        (archive(MEMBERS)[:-3000], "damaged gzip file: Compressed file ended before the end-of-stream marker"),
        (archive(MEMBERS) + b"garbage", "damaged gzip file: Not a gzipped file (b'ga')"),
        (archive(MEMBERS[:-1]), "lacks cifar-10-batches-bin/test_batch.bin"),
        (
            archive([*MEMBERS[:-1], (NAMES[-1], MEMBERS[-1][1][:-1])]),
            "cifar-10-batches-bin/test_batch.bin must be one plain file of 6146 bytes",
        ),
        (
            archive([*MEMBERS[:-1], (NAMES[-1], (tarfile.SYMTYPE, "/etc/passwd"))]),
            "cifar-10-batches-bin/test_batch.bin must be one plain file of 6146 bytes",
        ),
        (
            archive([*MEMBERS, MEMBERS[0]]),
            "cifar-10-batches-bin/data_batch_1.bin must be one plain file of 6146 bytes",
        ),
        (
            archive([*MEMBERS[:-1], (NAMES[-1], bytes([10]) + MEMBERS[-1][1][1:])]),
            "labels must lie in 0..9, got 10",
        ),
    ],
)
def test_a_broken_archive_is_named(tmp_path, data, message):
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        load_cifar10(tmp_path, verify=False)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.fault("tar-archive")
def test_many_headers(tmp_path):
    """tarfile keeps what it has read of every member."""
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(gzip.compress(tarfile.TarInfo("other").tobuf() * 100_000, 1))
    with at_most(4 << 20), pytest.raises(LimitError, match=r"cifar-10-binary\.tar\.gz: has more than 100 members"):
        load_cifar10(tmp_path, verify=False)


@pytest.mark.fault("tar-archive")
def test_a_list_of_holes_that_is_cut_off(tmp_path):
    """Found by fuzzing: tarfile raises an IndexError."""
    info = tarfile.TarInfo("other")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # more of the list follows: nothing but the end
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(bytes(header) + bytes(100))
    with pytest.raises(FormatError, match="damaged tar archive: index out of range"):
        load_cifar10(tmp_path, verify=False)


PLAIN = gzip.decompress(archive([(name, content[:SIZE]) for name, content in MEMBERS]))


# --- archives that would write, link, or never end ------------------------------------------------------------------


def header(name, *, size=0, **fields):
    """One block of 512 bytes, as it stands in an archive."""
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def with_size(block, size):
    """The header with any size, also one that no archiver would write; the checksum is made right again."""
    block = bytearray(block)
    block[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 else bytes([0x80]) + size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(**fields):
    """A POSIX extended header: it overrides fields of the member that follows."""
    lines = b""
    for name, value in fields.items():
        text = f" {name}={value}\n".encode()
        length = len(text) + 2
        lines += f"{length if length < 100 else length + 1}".encode() + text
    return header("x", size=len(lines), type=tarfile.XHDTYPE) + lines.ljust(-(-len(lines) // 512) * 512, b"\0")


ESCAPES = {
    "dots": [("../escape", b"x"), ("cifar-10-batches-bin/../../escape", b"x")],
    "absolute": [("/escape", b"x"), ("//escape", b"x"), ("C:\\escape", b"x")],
    "symbolic link": [("link", (tarfile.SYMTYPE, "..")), ("link/escape", b"x")],
    "hard link": [("link", (tarfile.LNKTYPE, "/etc/passwd")), ("link", b"x")],
    "device": [("device", (tarfile.CHRTYPE, "")), ("block", (tarfile.BLKTYPE, "")), ("pipe", (tarfile.FIFOTYPE, ""))],
    "our own name": [(cifar.ARCHIVE.name, b"x"), (f"./{cifar.ARCHIVE.name}", b"x")],
    "almost a batch": [(f"./{NAMES[0]}", b"x"), (f"{NAMES[0]}/", b"x"), (NAMES[0].upper(), b"x")],
}


@pytest.mark.fault("tar-archive")
@pytest.mark.parametrize("kind", ESCAPES)
def test_other_members_are_passed_over_whatever_they_are(tmp_path, monkeypatch, kind):
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = folder / cifar.ARCHIVE.name
    path.write_bytes(archive(ESCAPES[kind] + MEMBERS + ESCAPES[kind]))
    before = path.read_bytes()
    assert load_cifar10(folder, verify=False).train.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [found for found in tmp_path.rglob("*") if not found.is_dir()] == [path]
    assert path.read_bytes() == before
    assert not any(os.path.lexists(place) for place in ("/escape", "/link", "/device"))


@pytest.mark.fault("tar-archive")
@pytest.mark.parametrize("kind", ["SYMTYPE", "LNKTYPE", "CHRTYPE", "BLKTYPE", "FIFOTYPE", "DIRTYPE", "GNUTYPE_SPARSE"])
def test_a_batch_must_be_a_plain_file(tmp_path, kind):
    disguised = header(NAMES[0], size=SIZE, type=getattr(tarfile, kind), linkname=NAMES[1])
    data = disguised + MEMBERS[0][1].ljust(-(-SIZE // 512) * 512, b"\0") + PLAIN[PLAIN.index(b"cifar", 1) :]
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(data)
    with pytest.raises(FormatError, match=rf"{NAMES[0]} must be one plain file of {SIZE} bytes|damaged tar archive"):
        load_cifar10(tmp_path, verify=False)


@pytest.mark.fault("tar-archive")
@pytest.mark.parametrize("name", [NAMES[0], "other"])
@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 1 << 40, 1 << 62, (1 << 87) - 1, -512, -1024, -(1 << 70)])
def test_a_size_that_lies(tmp_path, name, size):
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(with_size(header(name), size) + PLAIN)
    with pytest.raises(FormatError) as caught:
        load_cifar10(tmp_path, verify=False)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.fault("tar-archive")
@pytest.mark.parametrize(
    "fields",
    [
        {"path": NAMES[0]},  # a second batch of that name
        {"size": "99999999999999999999"},
        {"size": "-1024"},
        {"size": "many"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": NAMES[0], "GNU.sparse.realsize": SIZE},
        {"GNU.sparse.map": "0,9999999999999", "GNU.sparse.size": "9999999999999", "path": NAMES[0]},
    ],
)
def test_an_extended_header_that_lies(tmp_path, fields):
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(extended(**fields) + header("other", size=512) + b"1\n0\n512\n".ljust(512, b"\0") + PLAIN)
    with pytest.raises(FormatError) as caught:
        load_cifar10(tmp_path, verify=False)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.fault("tar-archive", "damaged-file")
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_archive(tmp_path, share, packed):
    data = archive(MEMBERS) if packed else PLAIN[: 512 * 13 * len(MEMBERS) + 512 * len(MEMBERS)]
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FormatError) as caught:
        load_cifar10(tmp_path, verify=False)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.fault("tar-archive")
@pytest.mark.parametrize("bomb", ["member", "header"])
def test_a_bomb_stops_at_the_limit(tmp_path, monkeypatch, bomb):
    monkeypatch.setattr(cifar, "MAX_CONTENT", 1 << 20)
    info = tarfile.TarInfo("other")
    info.size = 8 << 30
    if bomb == "header":  # tarfile reads the whole of an extended header at once
        info.type = tarfile.XHDTYPE
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20), 1))
    with pytest.raises(LimitError, match="holds more than 1048576 bytes"):
        load_cifar10(tmp_path, verify=False)


@pytest.mark.fault("tar-archive")
def test_headers_without_end_are_a_format_error(tmp_path):
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(gzip.compress(info.tobuf() * 2000))
    with pytest.raises(FormatError, match="damaged tar archive"):
        load_cifar10(tmp_path, verify=False)


@pytest.mark.fault("tar-archive")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_headers_give_images_or_our_error(tmp_path, data):
    broken = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    path = tmp_path / cifar.ARCHIVE.name
    path.write_bytes(broken)
    try:
        assert load_cifar10(tmp_path, verify=False).train.x.shape == (10, 3, 32, 32)
    except CnnError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - success is also right
