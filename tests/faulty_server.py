"""An https server on this machine that does all that servers do wrong: `server.url("reset-once")` and so on.

Its certificate is made on the spot; who should trust it gets `authority` as $SSL_CERT_FILE. `server.asked` has the
path and the headers of every request. The faults that break off do so after `server.cut` bytes of the file; if
`server.folder` is set, they wait until a part there has them.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import socket
import ssl
import struct
import subprocess
import threading
import time
from typing import NamedTuple


class Asked(NamedTuple):
    """A request."""

    path: str
    headers: dict[str, str]


class FaultyServer:
    """Answers every request in a thread of its own, by the last word of its path, until `close`."""

    def __init__(self, content, certificate=None, host="127.0.0.1"):
        self.content, self.tag, self.cut, self.pause, self.folder = content, '"one"', len(content) // 2, 0.02, None
        self.modified = email.utils.formatdate(0, usegmt=True)
        self.asked, self._counts, self._lock = [], {}, threading.Lock()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._tls is not None:
            self._tls.load_cert_chain(certificate)
        self._socket = socket.create_server((host, 0), backlog=64)
        self.scheme, self.host, self.port = "https" if certificate else "http", host, self._socket.getsockname()[1]
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def url(self, path):
        return f"{self.scheme}://{self.host}:{self.port}/{path}"

    def urls(self, *paths):
        return tuple(self.url(path) for path in paths)

    def ranges(self):
        """What was asked for in each request: a Range, or None for the whole."""
        return [asked.headers.get("range") for asked in self.asked]

    def forget(self, path):
        """Take the next request for it as the first."""
        self._counts.pop(f"/{path}", None)

    def close(self):
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()

    def sleep(self, seconds):
        """Whether the server is still there after them."""
        return not self._closed.wait(seconds)

    def _listen(self):
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self._threads[-1].start()

    def _answer(self, connection):
        connection.settimeout(10)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            method, path, headers = _request(connection)
            with self._lock:
                self.asked.append(Asked(path, dict(headers)))
                count = self._counts[path] = self._counts.get(path, 0) + 1
            if method == "CONNECT":
                return _tunnel(connection, path)
            FAULTS[path.partition("?")[0].rpartition("/")[2]](Answer(self, connection, headers, count))
        except (OSError, ConnectionError):
            pass  # a client that hangs up is part of the test
        finally:
            with contextlib.suppress(OSError):
                connection.close()


def _request(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        received += more
    first, *lines = received.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    method, path, _ = first.split(" ")
    return method, path, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _tunnel(connection, place):
    """A proxy: to whatever place, it leads to the server of that port on this machine."""
    with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2])), timeout=10) as other:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pump, args=(other, connection))
        back.start()
        _pump(connection, other)
        back.join()


def _pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Answer:
    """One request, and the means to answer it."""

    def __init__(self, server, connection, headers, count):
        self.server, self.connection, self.headers, self.count = server, connection, headers, count

    def head(self, status="200 OK", **headers):
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))

    def send(self, body, status="200 OK", length=None, **headers):
        self.head(status, Content_Length=len(body) if length is None else length, **headers)
        self.connection.sendall(body)

    def start(self):
        """Where the wanted range begins, if the client wants one and this is still the file it knows."""
        known = self.headers.get("if-range", self.server.tag)
        if "range" not in self.headers or known not in (self.server.tag, self.server.modified):
            return None
        return int(self.headers["range"].removeprefix("bytes=").removesuffix("-"))

    def file(self, until=None, pause=0.0, piece=1024, content=None, **marks):
        """The file, or the range of it that is wanted; it ends early at `until`."""
        content = self.server.content if content is None else content
        marks = marks or {"ETag": self.server.tag, "Last_Modified": self.server.modified}
        start, size = self.start(), len(content)
        if start is None:
            self.head(Content_Length=size, Accept_Ranges="bytes", **marks)
        elif start >= size:
            return self.send(b"", "416 Range Not Satisfiable", Content_Range=f"bytes */{size}")
        else:
            span = f"bytes {start}-{size - 1}/{size}"
            self.head("206 Partial Content", Content_Length=size - start, Content_Range=span, **marks)
        body = content[start or 0 : until]
        for at in range(0, len(body), piece if pause else 1 << 16):
            self.connection.sendall(body[at : at + (piece if pause else 1 << 16)])
            if pause and not self.server.sleep(pause):
                return None
        return None

    def wait_for(self, size):
        """Until the client has written that much of the file: RST overtakes the data."""
        until = time.monotonic() + 5
        while self.server.folder is not None and time.monotonic() < until:
            sizes = [part.stat().st_size for part in self.server.folder.rglob(".*.part")]
            if max(sizes, default=0) >= size:
                return
            time.sleep(0.005)

    def reset(self):
        """End the connection by RST, not in an orderly way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _once(fault):
    """The fault for the first request, the file for the later ones."""
    return lambda answer: fault(answer) if answer.count == 1 else answer.file()


def _reset(answer, **changes):
    answer.file(until=answer.server.cut, **changes)
    answer.wait_for(answer.server.cut)
    answer.reset()


def _resets_again_and_again(answer):
    """A piece of the file each time, then RST."""
    until = (answer.start() or 0) + answer.server.cut
    answer.file(until=until)
    if until < len(answer.server.content):
        answer.wait_for(until)
        answer.reset()


def _reset_and_no_ranges(answer):
    answer.headers.pop("range", None)
    _reset(answer)


def _no_ranges(answer):
    if answer.count == 1:
        return _reset(answer)
    answer.headers.pop("range", None)
    return answer.file()


def _marked(answer, **marks):
    """Broken off once, from a server with other marks of the version, or none."""
    if answer.count == 1:
        return _reset(answer, **marks)
    return answer.file(**marks)


def _changed(answer, *tags):
    """Another file, after the first request was broken off; the server ignores If-Range."""
    answer.headers.pop("if-range", None)
    if answer.count == 1:
        return _reset(answer, content=bytes(255 - byte for byte in answer.server.content), ETag=tags[0])
    return answer.file(ETag=tags[1])


def _new_version(answer):
    """Another file, from a server that does as the standard says."""
    if answer.count == 1:
        return _reset(answer, content=bytes(255 - byte for byte in answer.server.content), ETag='"old"')
    return answer.file()


def _chunked(answer, end=True):
    answer.head(Transfer_Encoding="chunked")
    content = answer.server.content
    for at in range(0, len(content), 4096):
        piece = content[at : at + 4096]
        answer.connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    if end:
        answer.connection.sendall(b"0\r\n\r\n")


def _bad_chunks(answer):
    answer.head(Transfer_Encoding="chunked")
    answer.connection.sendall(b"many\r\n" + answer.server.content)


def _drip(answer):
    answer.head(Content_Length=len(answer.server.content))
    for byte in answer.server.content:
        answer.connection.sendall(bytes([byte]))
        if not answer.server.sleep(answer.server.pause):
            return


def _stall(answer):
    answer.head(Content_Length=len(answer.server.content))
    answer.server.sleep(5)


def _endless_headers(answer):
    answer.connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        answer.connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))


def _wrong_range(answer):
    """A range, but not the one that was asked for."""
    if answer.count == 1:
        return _reset(answer)
    if "range" not in answer.headers:
        return answer.file()
    content, start = answer.server.content, answer.start() - 7
    span = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return answer.send(content[start:], "206 Partial Content", Content_Range=span)


def _unlabelled_range(answer):
    """A range without a word of which."""
    if answer.count == 1:
        return _reset(answer)
    start = answer.start()
    return answer.send(answer.server.content[start:], "200 OK" if start is None else "206 Partial Content")


def _heedless(answer):
    """If-Range is ignored, and everything else done well."""
    answer.headers.pop("if-range", None)
    answer.file()


def _flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _to(location):
    return lambda answer: answer.send(b"", "302 Found", Location=location)


PAGE = b"\n<!DOCTYPE html><html>Sign in</html>"
FAULTS = {
    "good": lambda answer: answer.file(),
    "slow": lambda answer: answer.file(pause=answer.server.pause),
    "forbidden": lambda answer: answer.send(b"no", "403 Forbidden"),
    "missing": lambda answer: answer.send(b"no", "404 Not Found"),
    "gone": lambda answer: answer.send(b"no", "410 Gone"),
    "too-many": lambda answer: answer.send(b"later", "429 Too Many Requests", Retry_After="3600"),
    "too-many-once": _once(lambda answer: answer.send(b"later", "429 Too Many Requests", Retry_After="1")),
    "error": lambda answer: answer.send(b"oh", "500 Internal Server Error"),
    "busy": lambda answer: answer.send(b"later", "503 Service Unavailable"),
    "busy-once": _once(lambda answer: answer.send(b"later", "503 Service Unavailable")),
    "reset-first": lambda answer: answer.reset(),
    "reset-first-once": _once(lambda answer: answer.reset()),
    "reset-once": _once(_reset),
    "reset-in-the-middle": _reset_and_no_ranges,
    "reset-again-and-again": _resets_again_and_again,
    "no-ranges": _no_ranges,
    "unmarked": lambda answer: _marked(answer, Server="none"),
    "weak": lambda answer: _marked(answer, ETag='W/"one"', Last_Modified=answer.server.modified),
    "changed-in-secret": lambda answer: _changed(answer, '"one"', '"one"'),
    "changed-and-said": lambda answer: _changed(answer, '"one"', '"two"'),
    "changed": _new_version,
    "wrong-range": _wrong_range,
    "unlabelled-range": _unlabelled_range,
    "heedless": _heedless,
    "truncated": lambda answer: answer.send(answer.server.content[:50], length=len(answer.server.content)),
    "short": lambda answer: answer.send(answer.server.content[:50]),
    "boastful": lambda answer: answer.send(answer.server.content, length=len(answer.server.content) + 9),
    "modest": lambda answer: answer.send(answer.server.content, length=len(answer.server.content) - 9),
    "too-long": lambda answer: answer.send(answer.server.content + b"more"),
    "huge": lambda answer: answer.head(Content_Length=1 << 40),
    "endless": lambda answer: (answer.head(), answer.connection.sendall(bytes(8 << 20))),
    "wrong": lambda answer: answer.send(bytes(len(answer.server.content))),
    "flipped": lambda answer: answer.send(_flipped(answer.server.content)),
    "page": lambda answer: answer.send(PAGE),
    "page-once": _once(lambda answer: answer.send(PAGE)),
    "empty": lambda answer: answer.send(b""),
    "drip": _drip,
    "stall": _stall,
    "moved": _to("good"),
    "circle": _to("circle"),
    "to-http": _to("http://127.0.0.1/good"),
    "to-file": _to("file:///etc/hostname"),
    "to-ftp": _to("ftp://example.invalid/good"),
    "to-nowhere": _to("https://["),
    "chunked": _chunked,
    "chunked-short": lambda answer: _chunked(answer, end=False),
    "bad-chunks": _bad_chunks,
    "said-gzip": lambda answer: answer.send(answer.server.content, Content_Encoding="gzip"),
    "gzipped": lambda answer: answer.send(gzip.compress(answer.server.content), Content_Encoding="gzip"),
    "garbage": lambda answer: answer.connection.sendall(b"\x00\xff garbage\r\n\r\n"),
    "headers": _endless_headers,
}


def make_certificates(folder, host="127.0.0.1"):
    """authority.pem to trust, and server.pem (with its key) that it signed for this address."""
    kind = "DNS" if host[0].isalpha() else "IP"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl(folder, "req", "-x509", *key, "-subj", "/CN=tests", "-keyout", "authority.key", "-out", "authority.pem")
    names = ["-addext", f"subjectAltName={kind}:{host}", "-subj", "/CN=server"]
    _openssl(folder, "req", *key[:-2], *names, "-keyout", "server.key", "-out", "server.csr")
    signed = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-copy_extensions", "copy"]
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signed, "-days", "2", "-out", "server.crt")
    (folder / "server.pem").write_bytes((folder / "server.crt").read_bytes() + (folder / "server.key").read_bytes())
    return folder / "authority.pem", folder / "server.pem"


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
