"""The records of a zip file that PyTorch wrote, looked over before one is read; nothing is ever extracted.

PyTorch stores records as they are, uncompressed, in one folder. A file that does otherwise is refused: so no record
can be larger than the file, and none can be meant for another place.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CnnError, FormatError, LimitError

MAX_RECORDS = 200_000
"""Ten times as many as the largest networks have tensors."""


class Records:
    """What a zip file holds, by name without the folder that all lie in."""

    def __init__(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> None:
        self._archive, self._entries = archive, entries

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def size(self, name: str) -> int:
        """How many bytes a record has; 0 if there is none."""
        return self._entries[name].file_size if name in self._entries else 0

    def read(self, name: str) -> bytes:
        """A record, compared with its checksum.

        Raises
        ------
        FormatError
            If there is none, or it is damaged.
        """
        if name not in self._entries:
            raise FormatError(f"lacks the record {name!r}")
        entry = self._entries[name]
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise FormatError(f"its record {name!r} is compressed; PyTorch writes records as they are")
        with _damage():
            return self._archive.read(entry)


@contextmanager
def open_records(path: str | os.PathLike[str]) -> Iterator[Records]:
    """The records of a file, for the body of a with statement.

    Raises
    ------
    FormatError
        If it is no zip file, or one that PyTorch would not write. All errors name the file, those of the body too.
    LimitError
        If it claims to hold more than it does.
    FileNotFoundError
        If there is none.
    """
    with Path(path).open("rb") as file:  # what the system says about the file passes unchanged
        size = os.fstat(file.fileno()).st_size
        try:
            with _damage():
                archive = zipfile.ZipFile(file)
            with archive:
                yield Records(archive, _look_over(archive.infolist(), size))
        except CnnError as error:
            raise type(error)(f"{path}: {error}") from error.__cause__


@contextmanager
def _damage() -> Iterator[None]:
    """A damaged archive lets zipfile raise almost anything."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise FormatError(f"not a sound zip file: {error}") from error


def _look_over(found: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name; raises where the list of contents alone shows that something is wrong."""
    if len(found) > MAX_RECORDS:
        raise LimitError(f"has {len(found)} records; at most {MAX_RECORDS} are accepted")
    claimed = sum(entry.compress_size for entry in found)  # what is compressed is never read
    if claimed > size:
        raise LimitError(f"its records claim {claimed} bytes, but the file has {size}")
    entries: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for entry in found:
        _check(entry)
        folder, _, name = entry.filename.partition("/")
        if name in entries:
            raise FormatError(f"holds the record {name!r} twice")
        entries[name] = entry
        folders.add(folder)
    if len(folders) > 1:
        raise FormatError(f"its records lie in {len(folders)} folders; PyTorch writes one")
    return entries


def _check(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.split("/")
    if len(parts) < 2 or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise FormatError(f"the name of its record {name[:80]!r} is not one that PyTorch gives")
    if entry.flag_bits & 0x1:
        raise FormatError(f"its record {name!r} is encrypted")
