"""A download that is not complete yet: the bytes so far, a note of where they come from, and a lock on both.

Of a file NAME there are ``.NAME.RANDOM.part`` and ``.NAME.RANDOM.note`` in the same folder. Whoever works on the part
holds the note locked. The system lets go of the lock when a process ends, also by SIGKILL, so a part whose note can be
locked is nobody's: the next one takes it up, or removes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

_STALE_SECONDS = 7 * 24 * 3600.0  # what is older is not taken up


class Part:
    """The bytes of a file so far, from its beginning and without a gap."""

    def __init__(self, path: Path, note: IO[str]) -> None:
        self.path, self._note = path, note
        self.url, self.validator = _read(note)
        """Where the bytes come from, and the server's mark of that version: its ETag or Last-Modified, or nothing."""
        self.glued = False
        """Whether the bytes come from more than one answer."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def restart(self, url: str = "", validator: str = "") -> None:
        """Throw away what is there, and note where the next bytes come from."""
        self.path.unlink(missing_ok=True)
        self.url, self.validator, self.glued = url, validator, False
        self._note.seek(0)
        self._note.truncate()
        json.dump({"url": url, "validator": validator}, self._note)
        self._note.flush()

    def append(self) -> IO[bytes]:
        """The file, open for more."""
        return self.path.open("ab")

    def finish(self, path: Path) -> None:
        """Give the file its name, once its bytes are on disk."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(self.path, path)
        _sync_folder(path.parent)

    def remove(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)
        if sys.platform == "win32":  # which removes no open file; elsewhere the name goes before the lock does
            self._note.close()
        with contextlib.suppress(OSError):
            os.unlink(self._note.name)
        with contextlib.suppress(OSError):  # the disk may be full
            self._note.close()

    def release(self) -> None:
        """Leave the bytes to the next one, if there are any."""
        if self.size:
            self._note.close()
        else:
            self.remove()


@contextlib.contextmanager
def claimed_part(folder: Path, name: str, urls: Collection[str]) -> Iterator[Part]:
    """The largest part of `name` that nobody works on and that came from one of `urls`, or a new one; it is kept
    for the next one if it is not finished, but not after an OSError: a full disk shall not stay full.
    """
    part = _take_up(folder, name, urls) or _begin(folder, name)
    try:
        yield part
    except OSError as error:
        part.remove()
        error.filename = error.filename or str(folder / name)
        raise
    except BaseException:
        part.release()
        raise
    part.release()


def clear_parts(folder: Path, name: str) -> None:
    """Remove the parts of `name` that nobody works on."""
    for part in _abandoned(folder, name):
        with contextlib.suppress(OSError):
            part.remove()


def _take_up(folder: Path, name: str, urls: Collection[str]) -> Part | None:
    best = None
    for part in _abandoned(folder, name):
        useful = part.url in urls and part.size > (best.size if best else 0) and _age(part) < _STALE_SECONDS
        worse = best if useful else part
        best = part if useful else best
        if worse is not None:
            worse.remove()
    return best


def _begin(folder: Path, name: str) -> Part:
    while True:
        path = folder / f".{name}.{os.urandom(8).hex()}.part"
        note = path.with_suffix(".note").open("x+", encoding="utf-8")
        try:
            if _lock(note):
                return Part(path, note)
        except OSError:  # the file system has no locks: then nobody can take this part from us, either
            return Part(path, note)
        note.close()


def _abandoned(folder: Path, name: str) -> Iterator[Part]:
    """The parts of `name` that nobody works on, locked."""
    for path in {path.with_suffix(".part") for end in ("part", "note") for path in folder.glob(f".{name}.*.{end}")}:
        if path.is_symlink() or path.with_suffix(".note").is_symlink():
            continue  # ours never are: in a folder that others may write, it may lead anywhere
        try:
            note = path.with_suffix(".note").open("a+", encoding="utf-8", errors="replace")
        except OSError:
            continue
        locked = False
        with contextlib.suppress(OSError):
            locked = _lock(note)
        if locked:
            yield Part(path, note)
        else:
            note.close()


def _age(part: Part) -> float:
    return time.time() - part.path.stat().st_mtime


def _read(note: IO[str]) -> tuple[str, str]:
    """url and validator; two empty ones if there is nothing to read, or nothing that can stand in a request."""
    note.seek(0)
    try:
        fields = json.loads(note.read(4096))
        url, validator = str(fields["url"]), str(fields["validator"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    return (url, validator) if validator.isascii() and validator.isprintable() else ("", "")


def _lock(note: IO[str]) -> bool:
    """Whether the note is ours now, and still there under its name; the lock ends when the file is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            note.seek(0)
            msvcrt.locking(note.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    try:
        return os.path.samestat(os.fstat(note.fileno()), os.stat(note.name))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
