"""Pickles and archives put together by hand, for files that no honest program would write; nothing here is run."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any, NamedTuple


class Name(NamedTuple):
    """A global, as "os.system"."""

    full: str


class Call(NamedTuple):
    """A function and its arguments, for REDUCE."""

    function: Any
    arguments: tuple[Any, ...]


class Outside(NamedTuple):
    """A persistent id."""

    identity: Any


class Raw(NamedTuple):
    """Opcodes as they are."""

    opcodes: bytes


def pickled(value: Any) -> bytes:
    """A pickle of protocol 2."""
    return b"\x80\x02" + encode(value) + b"."


def encode(value: Any) -> bytes:
    """The opcodes that put a value onto the stack."""
    if isinstance(value, Raw):
        return value.opcodes
    if isinstance(value, Name):
        module, _, name = value.full.rpartition(".")
        return f"c{module}\n{name}\n".encode()
    if isinstance(value, Call):
        return encode(value.function) + encode(value.arguments) + b"R"
    if isinstance(value, Outside):
        return encode(value.identity) + b"Q"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(encode, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(encode, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"u"
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tensor(key="0", *, kind="Float", count=4, offset=0, shape=(4,), strides=(1,), device="cpu", more=()):
    """A tensor as torch.save describes it."""
    storage = Outside(("storage", Name(f"torch.{kind}Storage"), key, device, count))
    hooks = Call(Name("collections.OrderedDict"), ())
    return Call(Name("torch._utils._rebuild_tensor_v2"), (storage, offset, shape, strides, False, hooks, *more))


def archive(
    value: Any, storages: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED, **records: bytes
) -> bytes:
    """A file as torch.save writes it; `value` may be the bytes of a pickle."""
    data = value if isinstance(value, bytes) else pickled(value)
    content = {"data.pkl": data, "version": b"3\n", **records} | {f"data/{k}": v for k, v in storages.items()}
    return zipped({f"archive/{name}": part for name, part in content.items()}, compression)


def zipped(content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, part in content.items():
            file.writestr(name, part)
    return target.getvalue()


MAGIC = 0x1950A86A20F9469CFC6C


def legacy(value: Any, keys: Any, content: bytes, *, magic: int = MAGIC, version: Any = 1001) -> bytes:
    """A file as torch.save wrote it before version 1.6."""
    head = b"\x80\x02\x8a\x0a" + magic.to_bytes(10, "little") + b"."
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    return head + b"".join(map(pickled, (version, system, value, keys))) + content
