"""Write a file so that under its name there is always a whole one: the old, until the new is complete and on disk.

The new content goes into a file of another name in the same folder, is forced to disk, and then takes the name in one
move. Whoever is killed in between leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

STALE_SECONDS = 24 * 3600.0
"""A temporary file as old as this belongs to nobody any more."""


def write_atomically(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` (text as UTF-8) under `path`, all of it or nothing.

    Raises
    ------
    OSError
        If the disk is full, the folder is missing or not to be written ... The error names `path`, an older file is
        untouched, and nothing else is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", "hello")
    ...     [entry.name for entry in Path(folder).iterdir()]
    ['a.txt']
    """
    with replacing(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path for the body of the with statement to write; it becomes `path` if the body succeeds.

    A symbolic link stays one: what it points to is replaced.

    Raises
    ------
    OSError
        As for `write_atomically`.
    """
    target = Path(path).resolve()
    part = target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")  # a name that nobody else has
    try:
        try:
            yield part
            _sync(part, os.O_RDWR)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        if hasattr(os, "O_DIRECTORY"):
            _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    _remove_stale(target)


def _sync(path: Path, flags: int) -> None:
    """Force what was written to disk; of a folder, its list of names."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(target: Path) -> None:
    """Clear away what a killed process left long ago."""
    for part in target.parent.glob(f".{_literal(target.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()


def _literal(name: str) -> str:
    """The name as a pattern that matches only itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
