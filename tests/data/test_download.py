"""Downloads against a server on this machine that does all that servers do."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cnn_from_scratch.data import DownloadError, transfer
from cnn_from_scratch.data.download import RemoteFile, fetch
from cnn_from_scratch.data.places import data_root, find_file

CONTENT = bytes(range(256)) * 64
PACKED = gzip.compress(CONTENT)


class Mirror(BaseHTTPRequestHandler):
    """Answers by what the path says; `server.asked` keeps the paths."""

    def do_GET(self):
        self.server.asked.append(self.path)
        getattr(self, self.path.rsplit("/", 1)[-1].replace("-", "_").split(".")[0])()

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.send(PACKED)

    def unpacked(self):
        self.send(CONTENT)

    def missing(self):
        self.send(b"no", 404)

    def busy(self):
        self.send(b"later", 503, Retry_After="3600")

    def flaky(self):
        self.send(PACKED) if self.server.asked.count(self.path) > 1 else self.send(b"later", 503)

    def truncated(self):
        self.send(PACKED[:50], length=len(PACKED))

    def truncated_silently(self):
        self.send(PACKED[:50])

    def wrong(self):
        self.send(gzip.compress(b"other" + CONTENT[5:]))

    def html(self):
        self.send(b"\n<!DOCTYPE html><html>Sign in</html>")

    def endless(self):
        self.send(bytes(4 << 20))

    def slow(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(50):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass  # nobody listens any more

    def moved(self):
        self.send(b"", 302, Location="/other/good")

    def circle(self):
        self.send(b"", 302, Location=self.path)

    def away(self):
        self.send(b"", 302, Location="ftp://example.invalid/good")

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setattr(transfer, "_SCHEMES", ("http", "https"))
    monkeypatch.setattr(transfer, "_BACKOFF_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.asked = []
    server.handle_error = lambda *args: None  # a client that hangs up is part of the test
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.at = lambda *paths: tuple(f"http://127.0.0.1:{server.server_port}/{path}" for path in paths)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def remote(*urls, **changes):
    file = RemoteFile("file.gz", urls, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    return file._replace(**changes)


def test_a_good_file(mirror, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = fetch(remote(*mirror.at("good")), folder)
    assert path == folder / "file.gz"
    assert path.read_bytes() == PACKED
    assert os.listdir(folder) == ["file.gz"]
    fetch(remote(*mirror.at("good")), folder)
    assert mirror.asked == ["/good"]  # the second time the file was there


def test_the_digest_is_of_the_content_however_it_is_packed(mirror, tmp_path):
    assert fetch(remote(*mirror.at("unpacked")), tmp_path).read_bytes() == CONTENT


def test_the_digest_of_an_archive_is_its_own(mirror, tmp_path):
    raw = {"gzipped": False, "sha256": hashlib.sha256(PACKED).hexdigest(), "size": len(PACKED)}
    assert fetch(remote(*mirror.at("good"), **raw), tmp_path).read_bytes() == PACKED


def test_a_damaged_file_is_replaced(mirror, tmp_path):
    (tmp_path / "file.gz").write_bytes(PACKED[:-20])
    assert fetch(remote(*mirror.at("good")), tmp_path).read_bytes() == PACKED


BAD = {
    "missing": "HTTP 404 Not Found",
    "busy": "HTTP 503 Service Unavailable",
    "truncated": "ProtocolError: Connection broken: IncompleteRead(50 bytes read, ",
    "truncated-silently": "damaged gzip file: Compressed file ended before the end-of-stream marker was reached",
    "wrong": "its content has SHA-256 ",
    "html": "sent an HTML page instead of the file",
    "endless": f"sends more than the {len(CONTENT) + (1 << 20)} bytes that the file can have",
    "circle": "more than 5 redirects",
    "away": "ftp://example.invalid/good is not https",
}


@pytest.mark.parametrize("path", BAD)
def test_the_next_mirror_is_tried(mirror, tmp_path, path):
    assert fetch(remote(*mirror.at(path, "good")), tmp_path).read_bytes() == PACKED
    assert mirror.asked[-1] == "/good"
    assert os.listdir(tmp_path) == ["file.gz"]


def test_one_error_lists_every_mirror_and_says_what_to_do(mirror, tmp_path):
    urls = mirror.at(*BAD)
    with pytest.raises(DownloadError) as caught:
        fetch(remote(*urls), tmp_path)
    assert isinstance(caught.value, OSError)
    lines = str(caught.value).splitlines()
    assert lines[0] == "fetch: no mirror gave file.gz:"
    for line, url, reason in zip(lines[1:], urls, BAD.values(), strict=False):
        assert line.startswith(f"  {url}: {reason}")
    assert lines[-3:] == [
        "To do without the network, get file.gz by other means from one of these addresses and put it into",
        f"  {tmp_path}",
        "or into a folder of your choice that you name by data_dir=... or by the environment's CNN_DATA_DIR.",
    ]
    assert os.listdir(tmp_path) == []


def test_retries_and_redirects(mirror, tmp_path):
    fetch(remote(*mirror.at("flaky")), tmp_path / "a")
    assert mirror.asked == ["/flaky", "/flaky"]
    fetch(remote(*mirror.at("moved")), tmp_path / "b")
    assert mirror.asked[2:] == ["/moved", "/other/good"]
    with pytest.raises(DownloadError):
        fetch(remote(*mirror.at("busy")), tmp_path / "c")
    assert mirror.asked[4:] == ["/busy"] * 3  # and without waiting the hour that it asks for


def test_a_mirror_that_drips_is_given_up(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(DownloadError, match=r"too slow: \d+ bytes in 0 s"):
        fetch(remote(*mirror.at("slow")), tmp_path)


def test_a_mirror_that_says_nothing_times_out(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(transfer, "_RETRIES", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/silent"
        with pytest.raises(DownloadError, match="timed out"):
            fetch(remote(url), tmp_path)


def test_nobody_listens(mirror, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/closed"
    assert fetch(remote(url, *mirror.at("good")), tmp_path).exists()
    with pytest.raises(DownloadError, match="refused"):
        fetch(remote(url), tmp_path / "other")


def test_plain_http_is_refused_unless_a_test_allows_it(tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/x is not https"):
        fetch(remote("http://127.0.0.1:9/x"), tmp_path)


def test_a_proxy_is_used(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", mirror.at("")[0])
    assert fetch(remote("http://mirror.invalid/good"), tmp_path).exists()
    assert mirror.asked == ["http://mirror.invalid/good"]


def test_an_interruption_leaves_nothing(mirror, tmp_path, monkeypatch):
    def interrupted(response, most):
        yield b"part of it"
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "_body", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote(*mirror.at("good")), tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_not_the_mirrors_fault(mirror, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(remote(*mirror.at("good")), tmp_path)
    assert not isinstance(caught.value, DownloadError)
    assert os.listdir(tmp_path) == []


def test_many_at_once_leave_one_whole_file(mirror, tmp_path):
    threads = [threading.Thread(target=fetch, args=(remote(*mirror.at("good")), tmp_path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["file.gz"]
    assert (tmp_path / "file.gz").read_bytes() == PACKED


def test_what_a_killed_process_left_is_cleared_away_after_a_day(mirror, tmp_path):
    old, new = tmp_path / ".file.gz.0011.part", tmp_path / ".file.gz.2233.part"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    fetch(remote(*mirror.at("good")), tmp_path)
    assert sorted(os.listdir(tmp_path)) == [new.name, "file.gz"]


CANNOT_WRITE = (
    "fetch: cannot write file.gz into {}; choose another folder by data_dir=... or by the environment's CNN_DATA_DIR"
)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="the system has no such permissions")
def test_a_folder_that_cannot_be_written(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    root = os.geteuid() == 0
    try:
        if root:  # whom no mode stops
            os.seteuid(65534)
        with pytest.raises(PermissionError) as caught:
            fetch(remote("https://example.invalid/x"), locked)
    finally:
        if root:
            os.seteuid(0)
    assert caught.value.filename == str(locked)
    assert caught.value.strerror == CANNOT_WRITE.format(locked)


@pytest.mark.parametrize(("number", "kind"), [(errno.EROFS, PermissionError), (errno.ENOSPC, OSError)])
def test_a_file_system_that_is_read_only_or_full(tmp_path, monkeypatch, number, kind):
    def refused(self, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.touch", refused)
    with pytest.raises(OSError, match=r"cannot write|No space") as caught:
        fetch(remote("https://example.invalid/x"), tmp_path)
    assert type(caught.value) is kind
    assert caught.value.errno == number
    assert (caught.value.strerror == CANNOT_WRITE.format(tmp_path)) == (kind is PermissionError)


# --- places ---------------------------------------------------------------------------------------------------------


def test_the_argument_beats_the_environment_beats_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "environment"))
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root() == tmp_path / "environment"
    monkeypatch.delenv("CNN_DATA_DIR")
    assert "cnn-from-scratch" in data_root().parts


@pytest.mark.parametrize("folder", ["mnist", ""])
@pytest.mark.parametrize("name", ["a-idx1-ubyte.gz", "a-idx1-ubyte", "a.idx1-ubyte", "a.idx1-ubyte.gz"])
def test_files_are_found_under_their_usual_names(tmp_path, folder, name):
    assert find_file(tmp_path, "mnist", "a-idx1-ubyte.gz") is None
    path = tmp_path / folder / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert find_file(tmp_path, "mnist", "a-idx1-ubyte.gz") == path
