"""Downloads from an https server on this machine that does all that servers do wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
import sys

import pytest
from command_line import cnn
from faulty_server import FAULTS, FaultyServer, make_certificates

from cnn_from_scratch.data import DownloadError, cifar, mnist, transfer
from cnn_from_scratch.data.download import fetch
from cnn_from_scratch.data.places import data_root, find_file

from .conftest import CONTENT, PACKED, remote

AGAIN = " (4 times)"
BAD = {
    "forbidden": "HTTP 403 Forbidden",
    "missing": "HTTP 404 Not Found",
    "gone": "HTTP 410 Gone",
    "too-many": "HTTP 429 Too Many Requests, try again after 3600 s",
    "error": "HTTP 500 Internal Server Error" + AGAIN,
    "busy": "HTTP 503 Service Unavailable" + AGAIN,
    "reset-first": "ProtocolError: Connection aborted: ",
    "reset-in-the-middle": "ProtocolError: Connection ",
    "truncated": f"ProtocolError: Connection broken: IncompleteRead(50 bytes read, {len(PACKED) - 50} more expected)",
    "short": "damaged gzip file: Compressed file ended before the end-of-stream marker was reached",
    "modest": "damaged gzip file: Compressed file ended before the end-of-stream marker was reached",
    "too-long": "damaged gzip file: Not a gzipped file (b'mo')",
    "huge": "offers 1099511627776 bytes, which is more than the file can have",
    "endless": "sends more than the file can have",
    "wrong": "holds more than 50000 bytes, the most that is expected here",
    "flipped": "damaged gzip file: ",
    "page": "sent an HTML page instead of the file",
    "empty": "sent nothing" + AGAIN,
    "circle": "more than 5 redirects",
    "to-http": "http://127.0.0.1/good is not https",
    "to-file": "file:///etc/hostname is not https",
    "to-ftp": "ftp://example.invalid/good is not https",
    "to-nowhere": "https://",
    "bad-chunks": "ProtocolError: Connection broken: ",
    "gzipped": "holds more than 50000 bytes, the most that is expected here",
    "garbage": "ProtocolError: Connection aborted: ",
    "headers": "ProtocolError: Connection aborted: got more than 100 headers" + AGAIN,
}
PASSING = (
    "slow", "too-many-once", "busy-once", "reset-first-once", "reset-once", "reset-again-and-again", "no-ranges",
    "unmarked", "weak", "changed", "changed-in-secret", "changed-and-said", "wrong-range", "unlabelled-range",
    "heedless", "boastful", "moved", "chunked", "chunked-short", "said-gzip",
)  # fmt: skip
"""Faults that a mirror recovers from, or that do not matter."""

bad_mirror = pytest.mark.fault("bad-mirror")


def test_a_good_file(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = fetch(remote(server.url("good")), folder)
    assert path == folder / "file.gz"
    assert path.read_bytes() == PACKED
    assert os.listdir(folder) == ["file.gz"]
    fetch(remote(server.url("good")), folder)
    [asked] = server.asked  # the second time the file was there
    assert asked.headers["accept-encoding"] == "identity"


def test_the_digest_is_of_the_content_however_it_is_packed(server, tmp_path):
    server.content = CONTENT
    assert fetch(remote(server.url("good")), tmp_path).read_bytes() == CONTENT


def test_the_digest_of_an_archive_is_its_own(server, tmp_path):
    raw = {"gzipped": False, "sha256": hashlib.sha256(PACKED).hexdigest(), "size": len(PACKED)}
    assert fetch(remote(server.url("good"), **raw), tmp_path).read_bytes() == PACKED


def test_a_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(PACKED[:-20])
    assert fetch(remote(server.url("good")), tmp_path).read_bytes() == PACKED


# --- each fault -----------------------------------------------------------------------------------------------------


def test_every_fault_of_the_server_is_tried():
    assert {*BAD, *PASSING} == {*FAULTS} - {"good", "drip", "stall", "page-once"}


@bad_mirror
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes(server, tmp_path, fault):
    server.pause = 0.001
    assert fetch(remote(server.url(fault)), tmp_path).read_bytes() == PACKED
    assert os.listdir(tmp_path) == ["file.gz"]


@bad_mirror
@pytest.mark.parametrize("fault", BAD)
def test_the_next_mirror_is_tried(server, tmp_path, fault):
    assert fetch(remote(*server.urls(fault, "good")), tmp_path).read_bytes() == PACKED
    assert server.asked[-1].path == "/good"
    assert os.listdir(tmp_path) == ["file.gz"]


@bad_mirror
def test_one_error_lists_every_mirror_and_says_what_to_do(server, tmp_path):
    urls = server.urls(*BAD)
    with pytest.raises(DownloadError) as caught:
        fetch(remote(*urls), tmp_path)
    assert isinstance(caught.value, OSError)
    lines = str(caught.value).splitlines()
    assert lines[0] == "fetch: no mirror gave file.gz:"
    for line, url, (fault, reason) in zip(lines[1:], urls, BAD.items(), strict=False):
        assert line.startswith(f"  {url}: {reason}"), fault
        assert line.isprintable()
    assert lines[1 + len(BAD) :] == [
        "To do without the network, get file.gz by other means from one of these addresses and put it into",
        f"  {tmp_path}",
        "or into a folder of your choice that you name by data_dir=... or by the environment's CNN_DATA_DIR.",
    ]
    assert os.listdir(tmp_path) == []


@bad_mirror
@pytest.mark.parametrize("fault", BAD)
def test_only_the_beginning_of_the_file_is_kept(server, tmp_path, fault):
    with pytest.raises(DownloadError) as caught:
        fetch(remote(server.url(fault)), tmp_path)
    parts = [path.read_bytes() for path in tmp_path.glob(".*.part")]
    assert parts == {"truncated": [PACKED[:50]], "reset-in-the-middle": [PACKED[: server.cut]]}.get(fault, [])
    assert ("bytes that arrived are kept" in str(caught.value)) == bool(parts)
    assert len(os.listdir(tmp_path)) == 2 * len(parts)  # with its note


@bad_mirror
def test_who_asks_for_patience_gets_a_little(server, tmp_path):
    fetch(remote(server.url("too-many-once")), tmp_path / "a")
    assert len(server.asked) == 2  # after the second that it asked for
    fetch(remote(*server.urls("too-many", "good")), tmp_path / "b")
    assert len(server.asked) == 4  # and not an hour


@bad_mirror
def test_a_mirror_that_drips_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(DownloadError, match=r"too slow: \d+ bytes in 0 s"):
        fetch(remote(server.url("drip")), tmp_path)


@bad_mirror
def test_a_mirror_that_stalls_times_out(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(DownloadError, match=r"Read timed out \(4 times\)"):
        fetch(remote(server.url("stall")), tmp_path)


@bad_mirror
def test_a_mirror_that_says_nothing_times_out(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/silent"
        with pytest.raises(DownloadError, match="timed out"):
            fetch(remote(url), tmp_path)


@bad_mirror
def test_nobody_listens(server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"https://127.0.0.1:{closed.getsockname()[1]}/closed"
    assert fetch(remote(url, *server.urls("good")), tmp_path).exists()
    with pytest.raises(DownloadError, match="refused"):
        fetch(remote(url), tmp_path / "other")


@bad_mirror
def test_a_redirect_to_another_host(server, certificates, tmp_path, monkeypatch):
    other = FaultyServer(PACKED, certificates[1])
    try:
        monkeypatch.setitem(FAULTS, "away", lambda answer: answer.send(b"", "302 Found", Location=other.url("good")))
        assert fetch(remote(server.url("away")), tmp_path).exists()
        assert [asked.path for asked in other.asked] == ["/good"]
    finally:
        other.close()


# --- whom to trust --------------------------------------------------------------------------------------------------


@bad_mirror
def test_plain_http_is_refused(tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/x is not https"):
        fetch(remote("http://127.0.0.1:9/x"), tmp_path)


@bad_mirror
def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DownloadError, match=r"SSLError: .*CERTIFICATE_VERIFY_FAILED") as caught:
        fetch(remote(server.url("good")), tmp_path)
    assert "times" not in str(caught.value)
    assert server.asked == []  # nothing was said to it


@bad_mirror
def test_a_certificate_for_another_host_is_refused(server, tmp_path, monkeypatch):
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority, certificate = make_certificates(folder, host="example.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    other = FaultyServer(PACKED, certificate)
    try:
        with pytest.raises(DownloadError, match=r"certificate is not valid for '127\.0\.0\.1'"):
            fetch(remote(other.url("good")), tmp_path)
    finally:
        other.close()


@pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://me:a%20secret@127.0.0.1:{}/"])
def test_a_proxy_is_used(server, tmp_path, monkeypatch, form):
    proxy = FaultyServer(PACKED)
    try:
        monkeypatch.setenv("https_proxy", form.format(proxy.port))
        monkeypatch.setenv("no_proxy", "elsewhere.invalid")
        assert fetch(remote(server.url("good")), tmp_path).exists()
        [asked] = proxy.asked
        assert asked.path == f"127.0.0.1:{server.port}"
        expected = "Basic bWU6YSBzZWNyZXQ=" if "me:" in form else None  # base64 of "me:a secret"
        assert asked.headers.get("proxy-authorization") == expected
        assert "proxy-authorization" not in server.asked[0].headers
    finally:
        proxy.close()


@bad_mirror
@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:{}", "ftp://me:secret@127.0.0.1:{}", "http://["])
def test_a_proxy_that_is_none_is_the_reason(server, tmp_path, monkeypatch, proxy):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = proxy.format(closed.getsockname()[1])
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "elsewhere.invalid")
    with pytest.raises(DownloadError, match=r"(?i)proxy|Failed to parse") as caught:
        fetch(remote(server.url("good")), tmp_path)
    assert "secret" not in str(caught.value)
    assert server.asked == []


# --- the folder -----------------------------------------------------------------------------------------------------

CANNOT_WRITE = (
    "fetch: cannot write file.gz into {}; choose another folder by data_dir=... or by the environment's CNN_DATA_DIR"
)


@pytest.mark.fault("read-only-folder")
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


@pytest.mark.fault("read-only-folder")
def test_a_file_system_that_is_read_only(server, mounted):
    folder = mounted("ro")
    for place in (folder, folder / "new"):
        with pytest.raises(PermissionError) as caught:
            fetch(remote(server.url("good")), place)
        assert caught.value.errno == errno.EROFS
        assert caught.value.strerror == CANNOT_WRITE.format(place)
    assert server.asked == []  # nothing is downloaded that could not be kept


@pytest.mark.fault("read-only-folder")
def test_a_file_that_is_there_needs_no_folder_that_can_be_written(server, mounted):
    folder = mounted("rw")
    fetch(remote(server.url("good")), folder)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    assert fetch(remote(server.url("good")), folder).read_bytes() == PACKED


@pytest.mark.fault("disk-full")
def test_a_full_disk_is_not_the_mirrors_fault(server, mounted):
    folder = mounted("size=32k")
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(remote(*server.urls("good", "good")), folder)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(folder / "file.gz")
    assert not isinstance(caught.value, DownloadError)
    assert len(server.asked) == 1  # another mirror would not help
    assert os.listdir(folder) == []
    subprocess.run(["mount", "-o", "remount,size=1m", folder], check=True)
    assert fetch(remote(server.url("good")), folder).read_bytes() == PACKED


LIMITED = """
import resource, signal, sys
from cnn_from_scratch.data.download import RemoteFile, fetch
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    fetch(RemoteFile("file.gz", (sys.argv[1],), sys.argv[2], int(sys.argv[3])), sys.argv[4])
except OSError as error:
    print(type(error).__name__, error.errno, error.filename)
"""


@pytest.mark.fault("disk-full")
@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limit")
def test_a_file_that_may_not_grow_as_large(server, tmp_path):
    file = remote(server.url("good"))
    command = [sys.executable, "-c", LIMITED, file.urls[0], file.sha256, str(file.size), tmp_path / "data"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"OSError {errno.EFBIG} {tmp_path / 'data' / 'file.gz'}\n"
    assert os.listdir(tmp_path / "data") == []


# --- the command line -----------------------------------------------------------------------------------------------


@bad_mirror
@pytest.mark.parametrize("command", ["data", "train"])
def test_the_command_says_it_without_a_traceback(server, tmp_path, monkeypatch, command):
    faults = ("forbidden", "reset-first", "page")
    mirrors = tuple(server.url(fault) + "?" for fault in faults)
    monkeypatch.setattr(mnist, "_MNIST", mnist._MNIST._replace(mirrors=mirrors))
    result = cnn(command, "mnist", "--data-dir", tmp_path)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == "cnn: fetch: no mirror gave train-images-idx3-ubyte.gz:"
    for line, mirror, fault in zip(lines[1:4], mirrors, faults, strict=True):
        assert line.startswith(f"  {mirror}train-images-idx3-ubyte.gz: {BAD[fault]}")
    assert lines[-2:] == [
        f"  {tmp_path / 'mnist'}",
        "or into a folder of your choice that you name by --data-dir or by the environment's CNN_DATA_DIR.",
    ]
    assert "Traceback" not in result.output


@bad_mirror
def test_the_archive_of_cifar10_is_fetched_in_the_same_way(server, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "ARCHIVE", cifar.ARCHIVE._replace(urls=server.urls("missing", "wrong")))
    result = cnn("data", "cifar10", "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert f"{server.url('missing')}: HTTP 404 Not Found" in result.output
    assert f"{server.url('wrong')}: its content has SHA-256 " in result.output
    assert os.listdir(tmp_path / "cifar-10") == []


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
