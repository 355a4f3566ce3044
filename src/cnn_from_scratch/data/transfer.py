"""One request to one server, its answer written to a part as it arrives: over https, with time limits and a cap.

Where a part has bytes already, only the rest is asked for (a range request, RFC 9110, section 14). The server decides:
206 is the rest, 200 is the whole again. `If-Range` lets it say that its file is no longer the one the part began with.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urljoin, urlsplit

from .part import Part

if TYPE_CHECKING:
    from tqdm import tqdm
    from urllib3 import BaseHTTPResponse, PoolManager, Timeout

_SCHEMES: tuple[str, ...] = ("https",)
_CONNECT_SECONDS = 10.0
_TIMEOUT_SECONDS = 20.0
_SLOWEST = 4096.0  # bytes a second, judged after the first timeout; a mirror below it is given up
_REDIRECTS = 5
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # what may be over in a moment


class MirrorFailed(Exception):  # noqa: N818 - one of several mirrors, and not yet an error
    """Why one mirror did not give the file."""


class TryAgain(MirrorFailed):
    """What may go better next time; the server asks to be left alone for `wait` seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _TooLong(MirrorFailed):
    """More than the file can have: what has arrived is not the file, either."""


def transfer(url: str, part: Part, *, name: str, most: int, alike: bool, progress: bool) -> None:
    """Complete `part`, to at most `most` bytes, under a progress bar that says `name`.

    Where all mirrors have the same bytes (`alike`), one goes on with what another began.

    Raises
    ------
    MirrorFailed
        For whatever the network or the server does wrong; TryAgain where it makes sense to. The part keeps what has
        arrived. What goes wrong in writing is an OSError as ever.
    """
    from urllib3.exceptions import HTTPError

    try:
        with contextlib.closing(_get(url, _wanted(url, part, alike))) as response:
            _receive(response, url, part, name, most, progress)
    except _TooLong:
        part.restart()
        raise
    except HTTPError as error:
        reason = f"{type(error).__name__}: {_text(error)}"
        refused = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args)
        raise (MirrorFailed if refused else TryAgain)(reason) from error


def _text(error: Exception) -> str:
    """What urllib3 says, and what it was told."""
    first, *causes = [str(cause) for cause in error.args if isinstance(cause, (str, Exception))] or [str(error)]
    return ": ".join([first.rstrip("."), *(cause for cause in causes if cause not in first)])


def _receive(response: BaseHTTPResponse, url: str, part: Part, name: str, most: int, progress: bool) -> None:
    """Judge the answer by its head and its first bytes, and only then let it touch the part."""
    start = _start(response, url, part)
    total = _total(response, start)
    if total is not None and total > most:
        raise MirrorFailed(f"offers {total} bytes, which is more than the file can have")
    chunks = _body(response, most - start)
    first = next(chunks, b"")
    if not first:
        raise TryAgain("sent nothing")
    if start:
        part.glued = True
    elif is_html(first):  # of a network that wants a login, say: it must not cost the part
        raise MirrorFailed("sent an HTML page instead of the file")
    else:
        part.restart(url, _validator(response))
    _write(itertools.chain([first], chunks), part, _bar(name, start, total, progress))
    if total is not None and part.size < total:
        raise TryAgain(f"sent {part.size} of {total} bytes")


def _write(chunks: Iterable[bytes], part: Part, bar: tqdm[NoReturn]) -> None:
    """Each chunk is out of this process before the next one is waited for: SIGKILL does not cost it."""
    with bar, part.append() as out:
        for chunk in chunks:
            out.write(chunk)
            out.flush()
            bar.update(len(chunk))


def _bar(name: str, start: int, total: int | None, progress: bool) -> tqdm[NoReturn]:
    from tqdm import tqdm

    hidden = None if progress else True  # None: hidden unless on a terminal
    return tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=hidden)


def is_html(beginning: bytes) -> bool:
    """Whether this is a web page and no data file."""
    return beginning[:512].lstrip()[:1] == b"<"


def _body(response: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """The chunks of an answer as they arrive, as they were sent; give up on one that is too long or too slow."""
    start, received = time.monotonic(), 0
    while chunk := response.read1(1 << 16, decode_content=False):
        received += len(chunk)
        seconds = time.monotonic() - start
        if received > most:
            raise _TooLong("sends more than the file can have")
        if seconds > _TIMEOUT_SECONDS and received < _SLOWEST * seconds:
            raise MirrorFailed(f"too slow: {received} bytes in {seconds:.0f} s")
        yield chunk


# --- from where to where --------------------------------------------------------------------------------------------


def _wanted(url: str, part: Part, alike: bool) -> dict[str, str]:
    """The header of a request for what `part` lacks."""
    if not part.size or not (alike or part.url == url):
        return {}
    condition = {"If-Range": part.validator} if part.validator and part.url == url else {}
    return {"Range": f"bytes={part.size}-", **condition}


def _start(response: BaseHTTPResponse, url: str, part: Part) -> int:
    """The place in the file where the body of this answer begins: 0, or the end of `part`."""
    status = response.status
    if status == 200:
        return 0
    if status in (206, 416) and part.size:
        found = re.fullmatch(rf"bytes {part.size}-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        changed = part.url == url and part.validator and _validator(response) not in ("", part.validator)
        if status == 206 and found and not changed:
            return part.size
        part.restart()
        raise TryAgain(f"HTTP {status}, which does not go on from where it broke off")
    reason = f"HTTP {status} {response.reason or ''}".strip()
    if status not in _PASSING:
        raise MirrorFailed(reason)
    wait = response.headers.get("Retry-After", "")
    raise TryAgain(reason, float(wait) if wait.isdecimal() else 0.0)


def _total(response: BaseHTTPResponse, start: int) -> int | None:
    """How long the whole file is, if the answer says so."""
    length = response.headers.get("Content-Length", "")
    if start:
        length = response.headers["Content-Range"].rpartition("/")[2]
    return int(length) if length.isascii() and length.isdecimal() else None


def _validator(response: BaseHTTPResponse) -> str:
    """What `If-Range` may carry: a strong ETag, else a date. A weak ETag does not promise the same bytes."""
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    return mark if mark.isascii() and mark.isprintable() else ""


# --- the request ----------------------------------------------------------------------------------------------------


def _get(url: str, wanted: dict[str, str]) -> BaseHTTPResponse:
    """The answer to a GET, following redirects by hand so that none leads away from https."""
    headers = {"Accept-Encoding": "identity", **wanted}
    for _ in range(_REDIRECTS + 1):
        try:
            connections = _connections(url)
            response = connections.request("GET", url, headers=headers, redirect=False, preload_content=False)
            location = response.get_redirect_location()
            if not location:
                return response
            response.close()
            url = urljoin(url, location)
        except ValueError as error:  # no address at all, such as https://[
            raise MirrorFailed(f"{url}: {error}") from error
    raise MirrorFailed(f"more than {_REDIRECTS} redirects")


def _connections(url: str) -> PoolManager:
    from urllib.request import getproxies, proxy_bypass

    from urllib3 import PoolManager, Timeout

    place = urlsplit(url)
    if place.scheme not in _SCHEMES:
        raise MirrorFailed(f"{url} is not https")
    timeout = Timeout(connect=_CONNECT_SECONDS, read=_TIMEOUT_SECONDS)
    proxy = getproxies().get(place.scheme)
    if proxy and not proxy_bypass(place.netloc):
        return _through(proxy, timeout)
    return PoolManager(retries=False, timeout=timeout)


def _through(proxy: str, timeout: Timeout) -> PoolManager:
    """Connections through a proxy: [http://][user:password@]host:port."""
    from urllib.parse import unquote

    from urllib3 import ProxyManager, make_headers
    from urllib3.util import parse_url

    proxy = proxy if "://" in proxy else f"http://{proxy}"
    user = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(user)) if user else None
    return ProxyManager(proxy, proxy_headers=headers, retries=False, timeout=timeout)
