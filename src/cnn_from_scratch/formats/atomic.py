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
"""A temporary file as old as this belongs to nobody any more, where there are no locks to ask."""


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
    """A temporary file for the body of the with statement to write; it becomes `path` if the body succeeds.

    A symbolic link stays one: what it points to is replaced.

    Raises
    ------
    OSError
        As for `write_atomically`.
    """
    target = Path(path).resolve()
    try:
        with temporary(target) as part:
            yield part
            _sync(part, os.O_RDWR)
            os.replace(part, target)
        if hasattr(os, "O_DIRECTORY"):
            _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    remove_stale(target.parent, _literal(target.name))


@contextlib.contextmanager
def temporary(target: Path) -> Iterator[Path]:
    """A file in the same folder under a name that nobody else has, for as long as the block lasts.

    It is locked, and the lock ends when this process does: see `remove_stale`.
    """
    part, descriptor = _claim(target)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
        os.close(descriptor)


def _claim(target: Path) -> tuple[Path, int]:
    """Make the file and lock it; once more, with another name, if somebody has cleared it away in between."""
    while True:
        part = target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if _lock(descriptor) is not False and part.exists():
            return part, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock a file for this process; False if another one has, None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system that has none
        return None
    return True


def _sync(path: Path, flags: int) -> None:
    """Force what was written to disk; of a folder, its list of names."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale(folder: Path, pattern: str) -> None:
    """Clear away the temporary files of writers that were killed; those of living ones stay.

    Whoever writes holds a lock on the file. Where there are no locks, a file is left alone for a day.

    Parameters
    ----------
    folder : Path
    pattern : str
        Of the names that the files were to have, with wildcards.
    """
    for part in folder.glob(f".{pattern}.{'[0-9a-f]' * 16}.part"):
        with contextlib.suppress(OSError):
            descriptor = os.open(part, os.O_RDWR)
            try:
                if _is_stale(descriptor):
                    part.unlink()
            finally:
                os.close(descriptor)


def _is_stale(descriptor: int) -> bool:
    """Whether nobody is writing this file any more."""
    locked = _lock(descriptor)
    if locked is None:
        return time.time() - os.fstat(descriptor).st_mtime > STALE_SECONDS
    return locked


def _literal(name: str) -> str:
    """The name as a pattern that matches only itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
