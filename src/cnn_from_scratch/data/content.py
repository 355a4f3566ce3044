"""The content of a file, gzip or plain, as one stream with a cap; whatever is wrong with it is a FormatError."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import FormatError, LimitError

GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032
"""Deflate never makes more than 1,032 bytes out of one (a run of 258 bytes in two bits)."""

CHUNK = 1 << 20


class _Readable(Protocol):
    def read(self, n: int, /) -> bytes: ...


class ContentStream:
    """Reads what a file holds, and stops with a LimitError where there is more than `limit`."""

    def __init__(self, stream: _Readable, path: Path, limit: int, capacity: int) -> None:
        self.capacity = capacity
        """The most bytes that the file can possibly hold, judged by its size on disk."""
        self._stream, self._path, self._limit, self._left = stream, path, limit, limit

    def read(self, n: int) -> bytes:
        """Up to n bytes; none at the end."""
        data = self._stream.read(n)
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"{self._path}: holds more than {self._limit} bytes, the most that is expected here")
        return data


@contextmanager
def open_content(path: Path, *, limit: int) -> Iterator[ContentStream]:
    """Open a file; if it begins like gzip, read what was compressed.

    Raises
    ------
    FormatError
        Here or in the body of the with statement, if the gzip stream is truncated, fails its checksum, or is
        followed by something else.
    LimitError
        In `read`, at the first byte beyond the limit. A gzip bomb gets no further.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield ContentStream(file, path, limit, size)
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            try:
                yield ContentStream(unpacked, path, limit, size * DEFLATE_RATIO)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise FormatError(f"{path}: damaged gzip file: {error}") from error


def content_sha256(path: Path, *, limit: int) -> str:
    """SHA-256 of what a file holds: of the decompressed bytes if it is a gzip file."""
    digest = hashlib.sha256()
    with open_content(path, limit=limit) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
