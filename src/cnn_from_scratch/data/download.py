"""Fetch one published file: from the first mirror that gives the right content, or say why none did.

A file appears under its name only when it is complete, verified and on disk; until then it has a name of its own in
the same folder, so two processes that fetch the same file do not meet, and an interrupted one leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import CnnError, FormatError, LimitError
from .content import content_sha256
from .places import ENVIRONMENT
from .transfer import MirrorFailed, transfer

_SLACK = 1 << 20  # a gzip file of incompressible content is a little larger than the content
_STALE_SECONDS = 24 * 3600.0


class DownloadError(CnnError, OSError):
    """No mirror gave the file. The message lists each with its reason, and how to place the file by hand."""


class RemoteFile(NamedTuple):
    """A published file: what it is called, where it lies, and how to know it."""

    name: str
    urls: tuple[str, ...]
    sha256: str  # of the content, decompressed if `gzipped`: mirrors may compress in their own way
    size: int  # of the same bytes
    gzipped: bool = True


def fetch(file: RemoteFile, folder: str | os.PathLike[str], *, progress: bool = True) -> Path:
    """folder / file.name, downloaded unless a valid copy is there.

    Parameters
    ----------
    file : RemoteFile
        Its mirrors are tried in order, each with retries, growing pauses, time limits and over https only, also
        after a redirect. $https_proxy is respected.
    folder : path
        Made if it is missing.
    progress : bool
        Show a bar on a terminal.

    Raises
    ------
    DownloadError
        If no mirror gave the right content.
    PermissionError
        If the folder cannot be written.
    """
    folder = Path(folder)
    path = folder / file.name
    if os.path.isfile(path) and _mismatch(path, file) is None:
        return path
    _prepare(folder, file.name)
    reasons = []
    for url in file.urls:
        try:
            _download(url, path, file, progress)
        except MirrorFailed as failure:
            reasons.append(f"  {url}: {failure}")
        else:
            return path
    raise DownloadError(_no_mirror(file, folder, reasons))


def _no_mirror(file: RemoteFile, folder: Path, reasons: list[str]) -> str:
    return "\n".join(
        [
            f"fetch: no mirror gave {file.name}:",
            *reasons,
            f"To do without the network, get {file.name} by other means from one of these addresses and put it into",
            f"  {folder.absolute()}",
            f"or into a folder of your choice that you name by data_dir=... or by the environment's {ENVIRONMENT}.",
        ]
    )


# --- one mirror -----------------------------------------------------------------------------------------------------


def _download(url: str, path: Path, file: RemoteFile, progress: bool) -> None:
    """Transfer to a temporary name, verify, and only then replace `path`."""
    with _temporary_name(path) as part:
        with part.open("xb") as out:
            transfer(url, out, name=file.name, most=file.size + _SLACK, progress=progress)
            out.flush()
            os.fsync(out.fileno())
        reason = _mismatch(part, file)
        if reason is not None:
            raise MirrorFailed(reason)
        os.replace(part, path)
    _sync_folder(path.parent)


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """Why this is not the published file; None if it is."""
    with path.open("rb") as opened:
        if opened.read(512).lstrip()[:1] == b"<":
            return "sent an HTML page instead of the file"
    try:
        found = content_sha256(path, limit=file.size) if file.gzipped else _raw_sha256(path)
    except (FormatError, LimitError) as error:
        return str(error).removeprefix(f"{path}: ")
    return None if found == file.sha256 else f"its content has SHA-256 {found}, expected {file.sha256}"


def _raw_sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# --- the folder -----------------------------------------------------------------------------------------------------


def _prepare(folder: Path, name: str) -> None:
    """Make the folder, see that it can be written, and clear away what a killed process left long ago."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _temporary_name(folder / name) as probe:
            probe.touch()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            error.errno,
            f"fetch: cannot write {name} into {folder.absolute()}; choose another folder by data_dir=... "
            f"or by the environment's {ENVIRONMENT}",
            str(folder.absolute()),
        ) from error
    for part in folder.glob(f".{name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                part.unlink()


@contextlib.contextmanager
def _temporary_name(path: Path) -> Iterator[Path]:
    """A name nobody else has, in the same folder; whatever happens, nothing is left under it."""
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
