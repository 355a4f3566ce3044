"""Fetch one published file: from the first mirror that gives the right content, or say why none did.

A file appears under its name only when it is complete, verified and on disk; until then it has a name of its own in
the same folder, so two processes that fetch the same file do not meet, and an interrupted one leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from ..errors import CnnError, FormatError, LimitError
from .content import content_sha256
from .places import ENVIRONMENT

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_SCHEMES: tuple[str, ...] = ("https",)
_RETRIES = 2
_BACKOFF_SECONDS = 0.5  # the first retry at once, then after 1 s, 2 s, ...
_TIMEOUT_SECONDS = 20.0
_SLOWEST = 4096.0  # bytes a second, judged after the first timeout; a mirror below it is given up
_REDIRECTS = 5
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
    if path.exists() and _mismatch(path, file) is None:
        return path
    _prepare(folder, file.name)
    reasons = []
    for url in file.urls:
        try:
            _download(url, path, file, progress)
        except _MirrorFailed as failure:
            reasons.append(f"  {url}: {failure}")
        else:
            return path
    raise DownloadError(_no_mirror(file, folder, reasons))


class _MirrorFailed(Exception):  # noqa: N818 - never leaves this module
    """Why one mirror did not give the file."""


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
            _transfer(url, out, file, progress)
            out.flush()
            os.fsync(out.fileno())
        reason = _mismatch(part, file)
        if reason is not None:
            raise _MirrorFailed(reason)
        os.replace(part, path)
    _sync_folder(path.parent)


def _transfer(url: str, out: IO[bytes], file: RemoteFile, progress: bool) -> None:
    """Write the body of the answer to `out`; what the network does wrong becomes _MirrorFailed."""
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError, MaxRetryError

    try:
        with contextlib.closing(_get(url)) as response:
            if response.status != 200:
                raise _MirrorFailed(f"HTTP {response.status} {response.reason or ''}".strip())
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            hidden = None if progress else True  # None: hidden unless on a terminal
            with tqdm(total=total, unit="B", unit_scale=True, desc=file.name, disable=hidden) as bar:
                for chunk in _body(response, file.size + _SLACK):
                    out.write(chunk)
                    bar.update(len(chunk))
    except HTTPError as error:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        raise _MirrorFailed(f"{type(cause).__name__}: {cause.args[0] if cause.args else cause}") from error


def _get(url: str) -> BaseHTTPResponse:
    """The answer to a GET, following redirects by hand so that none leads away from https."""
    for _ in range(_REDIRECTS + 1):
        if urlsplit(url).scheme not in _SCHEMES:
            raise _MirrorFailed(f"{url} is not https")
        response = _connections(url).request(
            "GET", url, headers={"Accept-Encoding": "identity"}, redirect=False, preload_content=False
        )
        location = response.get_redirect_location()
        if not location:
            return response
        response.close()
        url = urljoin(url, location)
    raise _MirrorFailed(f"more than {_REDIRECTS} redirects")


def _connections(url: str) -> PoolManager:
    from urllib.request import getproxies, proxy_bypass

    from urllib3 import PoolManager, ProxyManager, Retry, Timeout

    retries = Retry(
        total=_RETRIES,
        backoff_factor=_BACKOFF_SECONDS,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,  # it may ask for hours; another mirror may not
    )
    timeout = Timeout(connect=_TIMEOUT_SECONDS, read=_TIMEOUT_SECONDS)
    place = urlsplit(url)
    proxy = getproxies().get(place.scheme)
    if proxy and not proxy_bypass(place.netloc):
        return ProxyManager(proxy, retries=retries, timeout=timeout)
    return PoolManager(retries=retries, timeout=timeout)


def _body(response: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """The chunks of an answer as they arrive; give up on one that is too long or too slow."""
    start, received = time.monotonic(), 0
    while chunk := response.read1(1 << 16):
        received += len(chunk)
        seconds = time.monotonic() - start
        if received > most:
            raise _MirrorFailed(f"sends more than the {most} bytes that the file can have")
        if seconds > _TIMEOUT_SECONDS and received < _SLOWEST * seconds:
            raise _MirrorFailed(f"too slow: {received} bytes in {seconds:.0f} s")
        yield chunk


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
    except PermissionError as error:
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
