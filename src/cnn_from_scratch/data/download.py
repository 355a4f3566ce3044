"""Fetch one published file: from the first mirror that gives the right content, or say why none did.

A file appears under its name only when it is complete, verified and on disk. Until then its bytes are a hidden part in
the same folder (`part.py`). A download that is interrupted, by the network, Ctrl-C or SIGKILL, leaves its part, and the
next one takes it up. Two processes that fetch the same file have a part each.
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
from .part import Part, claimed_part, clear_parts
from .places import ENVIRONMENT
from .transfer import MirrorFailed, TryAgain, is_html, transfer

_SLACK = 1 << 20  # a gzip file of incompressible content is a little larger than the content
_TRIES = 4  # in a row that bring less than _WORTHWHILE more
_WORTHWHILE = 1 << 20
_BACKOFF_SECONDS = 0.5  # the first pause; the next are 1 s, 2 s
_PATIENCE_SECONDS = 10.0  # with a server that asks to be left alone; another mirror may not


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
        Its mirrors are tried in order, each over https only, also after a redirect, with time limits; what broke off
        is gone on with after growing pauses, from where it stopped. $https_proxy and $SSL_CERT_FILE are respected.
    folder : path
        Made if it is missing.
    progress : bool
        Show a bar on a terminal.

    Raises
    ------
    DownloadError
        If no mirror gave the right content. What arrived is kept, hidden, and taken up next time.
    PermissionError
        If the folder cannot be written.
    OSError
        If the disk is full, say; then nothing is kept.
    """
    folder = Path(folder)
    path = folder / file.name
    if os.path.isfile(path) and _mismatch(path, file) is None:
        clear_parts(folder, file.name)
        return path
    with _explained(folder, file.name):
        folder.mkdir(parents=True, exist_ok=True)
    with _claimed(folder, file) as part:
        reasons = _from_any(part, path, file, progress)
        kept = part.size
    if reasons:
        raise DownloadError(_no_mirror(file, folder, reasons, kept))
    clear_parts(folder, file.name)
    return path


def _from_any(part: Part, path: Path, file: RemoteFile, progress: bool) -> list[str]:
    """Complete the part and give it its name; otherwise say for each mirror why not."""
    reasons: list[str] = []
    urls = sorted(file.urls, key=lambda url: url != part.url)  # first the one that the part came from
    while not _complete(part, file):
        if not urls:
            return reasons
        url = urls.pop(0)
        try:
            _from_one(url, part, file, progress)
        except MirrorFailed as failure:
            reasons.append(f"  {url}: {_printable(str(failure))}")
    part.finish(path)
    return []


def _complete(part: Part, file: RemoteFile) -> bool:
    """Whether all of it is there; also after a mirror that failed at the very end, or in a part that was left."""
    return part.size > 0 and _mismatch(part.path, file) is None


def _printable(reason: str) -> str:
    """A server may send anything, and a terminal obeys."""
    return "".join(sign if sign.isprintable() else "?" for sign in reason[:400])


def _no_mirror(file: RemoteFile, folder: Path, reasons: list[str], kept: int) -> str:
    return "\n".join(
        [
            f"fetch: no mirror gave {file.name}:",
            *reasons,
            *([f"The {kept:,} bytes that arrived are kept; the next attempt goes on from there."] if kept else []),
            f"To do without the network, get {file.name} by other means from one of these addresses and put it into",
            f"  {folder.absolute()}",
            f"or into a folder of your choice that you name by data_dir=... or by the environment's {ENVIRONMENT}.",
        ]
    )


# --- one mirror -----------------------------------------------------------------------------------------------------


def _from_one(url: str, part: Part, file: RemoteFile, progress: bool) -> None:
    """Complete the part and verify it. What was put together from several answers may be wrong because the file was
    changed on the server meanwhile: then it is fetched once more, as a whole.
    """
    for once_more in (True, False):
        _persist(url, part, file, progress)
        reason = _mismatch(part.path, file)
        if reason is None:
            return
        glued = part.glued
        part.restart()
        if not (glued and once_more):
            raise MirrorFailed(reason)


def _persist(url: str, part: Part, file: RemoteFile, progress: bool) -> None:
    """Transfer, and after whatever may pass transfer the rest, as long as that brings the file forward."""
    most = file.size + _SLACK if file.gzipped else file.size
    fruitless, furthest = 0, part.size
    while True:
        try:
            return transfer(url, part, name=file.name, most=most, alike=not file.gzipped, progress=progress)
        except TryAgain as failure:
            fruitless = 0 if part.size >= furthest + _WORTHWHILE else fruitless + 1
            furthest = max(furthest, part.size)
            if fruitless == _TRIES:
                raise MirrorFailed(f"{failure} ({_TRIES} times)") from failure
            if failure.wait > _PATIENCE_SECONDS:
                raise MirrorFailed(f"{failure}, try again after {failure.wait:.0f} s") from failure
            time.sleep(max(failure.wait, _BACKOFF_SECONDS * 2 ** (fruitless - 1)))


def _mismatch(path: Path, file: RemoteFile) -> str | None:
    """Why this is not the published file; None if it is."""
    with path.open("rb") as opened:
        if is_html(opened.read(512)):
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


@contextlib.contextmanager
def _claimed(folder: Path, file: RemoteFile) -> Iterator[Part]:
    """A part of the file that is ours alone."""
    claim = claimed_part(folder, file.name, file.urls)
    with contextlib.ExitStack() as stack:
        with _explained(folder, file.name):
            part = stack.enter_context(claim)
        yield part


@contextlib.contextmanager
def _explained(folder: Path, name: str) -> Iterator[None]:
    """Say of a folder that cannot be written how to choose another."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(
            error.errno,
            f"fetch: cannot write {name} into {folder.absolute()}; choose another folder by data_dir=... "
            f"or by the environment's {ENVIRONMENT}",
            str(folder.absolute()),
        ) from error
