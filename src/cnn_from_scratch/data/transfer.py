"""One answer of one server, written to a file as it arrives: over https, with retries, time limits and a cap."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_SCHEMES: tuple[str, ...] = ("https",)
_RETRIES = 2
_BACKOFF_SECONDS = 0.5  # the first retry at once, then after 1 s, 2 s, ...
_TIMEOUT_SECONDS = 20.0
_SLOWEST = 4096.0  # bytes a second, judged after the first timeout; a mirror below it is given up
_REDIRECTS = 5


class MirrorFailed(Exception):  # noqa: N818 - one of several mirrors, and not yet an error
    """Why one mirror did not give the file."""


def transfer(url: str, out: IO[bytes], *, name: str, most: int, progress: bool) -> None:
    """Write the body of the answer, at most `most` bytes, to `out`, under a progress bar that says `name`.

    Raises
    ------
    MirrorFailed
        For whatever the network or the server does wrong. What goes wrong in writing is an OSError as ever.
    """
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError, MaxRetryError

    try:
        with contextlib.closing(_get(url)) as response:
            if response.status != 200:
                raise MirrorFailed(f"HTTP {response.status} {response.reason or ''}".strip())
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            hidden = None if progress else True  # None: hidden unless on a terminal
            with tqdm(total=total, unit="B", unit_scale=True, desc=name, disable=hidden) as bar:
                for chunk in _body(response, most):
                    out.write(chunk)
                    bar.update(len(chunk))
    except HTTPError as error:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        raise MirrorFailed(f"{type(cause).__name__}: {cause.args[0] if cause.args else cause}") from error


def _get(url: str) -> BaseHTTPResponse:
    """The answer to a GET, following redirects by hand so that none leads away from https."""
    for _ in range(_REDIRECTS + 1):
        if urlsplit(url).scheme not in _SCHEMES:
            raise MirrorFailed(f"{url} is not https")
        response = _connections(url).request(
            "GET", url, headers={"Accept-Encoding": "identity"}, redirect=False, preload_content=False
        )
        location = response.get_redirect_location()
        if not location:
            return response
        response.close()
        url = urljoin(url, location)
    raise MirrorFailed(f"more than {_REDIRECTS} redirects")


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
            raise MirrorFailed(f"sends more than the {most} bytes that the file can have")
        if seconds > _TIMEOUT_SECONDS and received < _SLOWEST * seconds:
            raise MirrorFailed(f"too slow: {received} bytes in {seconds:.0f} s")
        yield chunk
