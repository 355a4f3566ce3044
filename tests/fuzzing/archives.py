"""Zip, tar and gzip files, and the pickles in them: changed behind their checksums."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from random import Random

from .mutations import EDGES, mutate_bytes

OPCODES = b"()0123.BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}" + bytes(range(0x80, 0x99))
"""Every opcode of a pickle."""

PIECES = (
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"c__builtin__\ngetattr\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"X\x02\x00\x00\x00id(K\x01t\x85R",
    b"2\x86\x862\x86",
    b"2(2tb",
    b"}q\x00h\x00h\x00s",
    b"\x8a\x09" + b"\xff" * 8 + b"\x7f",
    b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096,
    b"]q\x01h\x01a",
    b"(((((",
    b"\x8d" + b"\xff" * 8,
    b"\x96" + b"\xff" * 8,
    b"r\xff\xff\xff\xff",
    b"\x82\x01",
    b"I" + b"9" * 5000 + b"\n",
    b"Q",
    b"\x93",
    b"R",
    b"b",
    b"0",
    b"2",
)
"""What harm is made of."""


def mutate_pickle(data: bytes, rng: Random) -> bytes:
    """Bytes as any, or an opcode or a piece of harm somewhere."""
    if rng.random() < 0.4:
        return mutate_bytes(data, rng)
    found, at = bytearray(data), rng.randrange(len(data) + 1)
    if rng.random() < 0.4:
        found[at : at + 1] = bytes([rng.choice(OPCODES)])
    elif rng.random() < 0.7:
        found[at:at] = rng.choice(PIECES) * rng.choice((1, 1, 1, 30))
    else:
        found[at:at] = data[rng.randrange(len(data) + 1) :][: rng.choice((4, 40, 400))]
    return bytes(found)


def mutate_torch_zip(data: bytes, rng: Random) -> bytes:
    """A file of torch.save with one record changed, or its list of records, and right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        content = {entry.filename: file.read(entry) for entry in file.infolist()}
    names = list(content)
    pickle = next((name for name in names if name.endswith("data.pkl")), names[0])
    if rng.random() < 0.75:
        content[pickle] = mutate_pickle(content[pickle], rng)
    else:
        name = rng.choice(names)
        other = rng.choice(("archive/data/1", "archive/constants.pkl", "../x", "archive/byteorder", "b/data.pkl", "x"))
        content[rng.choice((name, other))] = mutate_bytes(content.pop(name), rng)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", rng.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,))) as file:
        for name, part in content.items():
            file.writestr(zipfile.ZipInfo(name), part)
    return target.getvalue()


def mutate_zip_directory(data: bytes, rng: Random) -> bytes:
    """A zip file with one field of one of its headers changed."""
    signature = rng.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    places = [at for at in range(len(data) - 4) if data[at : at + 4] == signature]
    if not places:
        return mutate_bytes(data, rng)
    found = bytearray(data)
    at, size = rng.choice(places) + rng.randrange(4, 46), rng.choice((1, 2, 4))
    found[at : at + size] = (rng.choice(EDGES) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(found)


def mutate_gzip(data: bytes, rng: Random) -> bytes:
    """Other content, packed so that the checksum is right."""
    return gzip.compress(mutate_bytes(gzip.decompress(data), rng), 1, mtime=0)


def mutate_tar(data: bytes, rng: Random) -> bytes:
    """A tar file with a header, plain or extended, changed and its checksum right."""
    found = bytearray(data)
    if len(found) < 512:
        return mutate_bytes(data, rng)
    start = 512 * rng.randrange(len(found) // 512)
    field, size = rng.choice(
        ((0, 100), (100, 8), (108, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
    )
    value = rng.choice(
        (
            rng.randbytes(size),
            b"\x80" + bytes(size - 1),
            b"\xff" * size,
            b"7" * size,
            b"-1 \0",
            b"g",
            b"x",
            b"L",
            b"K",
            b"S",
            b"1",
            b"cifar/a.bin\0",
            b"../../etc/passwd\0",
        )
    )[:size]
    found[start + field : start + field + len(value)] = value
    if rng.random() < 0.3:
        found[start + 512 : start + 512] = rng.choice(
            (b"12 path=/etc\n", b"30 GNU.sparse.size=99999999\n", b"99999999999 x=")
        ).ljust(512, b"\0")
    header = found[start : start + 512]
    header[148:156] = b" " * 8
    found[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(found)


def mutate_png(data: bytes, rng: Random) -> bytes:
    """A PNG file with a chunk changed, made twice, moved or left out, and right checksums."""
    import zlib

    chunks, at = [], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return mutate_bytes(data, rng)
    index = rng.randrange(len(chunks))
    name, body = chunks[index]
    change = rng.randrange(4)
    if change < 2:
        chunks[index] = name, mutate_bytes(body, rng)
    elif change == 2:
        chunks.insert(rng.randrange(len(chunks)), chunks[index])
    else:
        chunks[index] = rng.choice((b"tRNS", b"eXIf", b"acTL", b"fdAT", b"iCCP", b"zTXt", b"PLTE", b"IHDR")), body
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
