"""Downloads that break off and go on: within a run, in the next one, after SIGKILL, and many at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from faulty_server import FAULTS

from cnn_from_scratch.data import DownloadError, download
from cnn_from_scratch.data.download import fetch
from cnn_from_scratch.data.part import claimed_part, clear_parts

from .conftest import PACKED, remote

pytestmark = pytest.mark.fault("bad-mirror")
SIZE, CUT = len(PACKED), len(PACKED) // 2
RAW = {"gzipped": False, "sha256": hashlib.sha256(PACKED).hexdigest(), "size": SIZE}


def hidden(folder, end="part"):
    return sorted(folder.glob(f".file.gz.*.{end}"))


def leave(folder, url, content=PACKED[:1000], validator='"one"', name="0011"):
    """What a process that was killed leaves."""
    (folder / f".file.gz.{name}.part").write_bytes(content)
    note = folder / f".file.gz.{name}.note"
    note.write_text(json.dumps({"url": url, "validator": validator}))
    return note


# --- within a run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reset-once", "unmarked", "weak"])
def test_only_the_rest_is_asked_for(server, tmp_path, fault):
    fetch(remote(server.url(fault)), tmp_path)
    assert server.ranges() == [None, f"bytes={CUT}-"]
    condition = {"reset-once": '"one"', "unmarked": None, "weak": server.modified}[fault]  # a weak ETag may not be used
    assert server.asked[1].headers.get("if-range") == condition


def test_it_goes_on_as_often_as_it_breaks_off_while_that_brings_it_forward(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_WORTHWHILE", 1000)
    server.cut = SIZE // 9
    fetch(remote(server.url("reset-again-and-again")), tmp_path)
    assert server.ranges() == [None, *(f"bytes={SIZE // 9 * i}-" for i in range(1, 10))]


def test_it_gives_up_after_four_tries_that_bring_little(server, tmp_path):
    server.cut = 1000
    with pytest.raises(
        DownloadError, match=r"\(4 times\)\nThe 4,000 bytes that arrived are kept; the next attempt goes"
    ):
        fetch(remote(server.url("reset-again-and-again")), tmp_path)
    assert server.ranges() == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-"]
    fetch(remote(*server.urls("good", "reset-again-and-again")), tmp_path, progress=False)
    assert server.asked[4].path == "/reset-again-and-again"  # first the mirror that the part came from
    assert server.ranges()[4] == "bytes=4000-"
    assert os.listdir(tmp_path) == ["file.gz"]


def test_a_server_that_breaks_off_and_knows_no_ranges_does_not_keep_us_for_ever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_WORTHWHILE", 1000)
    with pytest.raises(DownloadError, match=r"\(4 times\)"):
        fetch(remote(server.url("reset-in-the-middle")), tmp_path)
    assert len(server.asked) == 5  # the first brought half of the file, the others nothing new


def test_what_was_there_before_is_no_progress(server, tmp_path, monkeypatch):
    def here_and_there(answer):
        answer.headers.pop("range", None)
        answer.file(until=CUT if answer.count % 2 else 1000)

    monkeypatch.setitem(FAULTS, "here-and-there", here_and_there)
    monkeypatch.setattr(download, "_WORTHWHILE", 1000)
    with pytest.raises(DownloadError, match=r"\(4 times\)"):
        fetch(remote(server.url("here-and-there")), tmp_path)
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("fault", "ranges"),
    [
        ("no-ranges", [None, f"bytes={CUT}-"]),  # 200 instead of 206: the whole again
        ("changed", [None, f"bytes={CUT}-"]),  # If-Range is for that
        ("changed-and-said", [None, f"bytes={CUT}-", None]),  # 206, under another ETag
        ("changed-in-secret", [None, f"bytes={CUT}-", None]),  # 206: glued to old bytes, which the digest notices
        ("wrong-range", [None, f"bytes={CUT}-", None]),
        ("unlabelled-range", [None, f"bytes={CUT}-", None]),
    ],
)
def test_old_bytes_are_not_glued_to_new_ones(server, tmp_path, fault, ranges):
    assert fetch(remote(server.url(fault)), tmp_path).read_bytes() == PACKED
    assert server.ranges() == ranges


def test_another_mirror_goes_on_only_where_all_have_the_same_bytes(server, tmp_path):
    fetch(remote(*server.urls("reset-in-the-middle", "good"), **RAW), tmp_path / "archive")
    assert server.asked[-1].path == "/good"
    assert server.asked[-1].headers["range"] == f"bytes={CUT}-"
    assert "if-range" not in server.asked[-1].headers  # it is the other server's mark
    fetch(remote(*server.urls("a/reset-in-the-middle", "good")), tmp_path / "packed")
    assert server.asked[-1].headers.get("range") is None  # mirrors may pack the same content differently


# --- in the next run ------------------------------------------------------------------------------------------------


def test_the_next_run_goes_on(server, tmp_path):
    leave(tmp_path, server.url("good"))
    assert fetch(remote(server.url("good")), tmp_path).read_bytes() == PACKED
    assert server.ranges() == ["bytes=1000-"]
    assert os.listdir(tmp_path) == ["file.gz"]


def test_a_part_that_is_complete_needs_no_network(tmp_path):
    leave(tmp_path, "https://example.invalid/x", PACKED)
    assert fetch(remote("https://example.invalid/x"), tmp_path).read_bytes() == PACKED
    assert os.listdir(tmp_path) == ["file.gz"]


@pytest.mark.parametrize("content", [b"x" * 1000, b"x" * SIZE, b"x" * (SIZE + 100)])
def test_a_part_of_nonsense_costs_one_more_request(server, tmp_path, content):
    leave(tmp_path, server.url("good"), content)
    assert fetch(remote(server.url("good")), tmp_path).read_bytes() == PACKED
    assert server.ranges() == [f"bytes={len(content)}-", None]  # 206 with a wrong digest, or 416: then the whole


def test_the_mark_of_the_answer_is_looked_at(server, tmp_path):
    leave(tmp_path, server.url("heedless"), validator='"zero"')
    fetch(remote(server.url("heedless")), tmp_path)
    assert server.ranges() == ["bytes=1000-", None]


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "null", '{"url": "x"}', "[" * 5000, '{"url": 1, "validator": "\\r\\nHost: x"}', "\x00\xff"]
)
def test_a_damaged_note_costs_the_part(server, tmp_path, note):
    leave(tmp_path, server.url("good")).write_text(note)
    fetch(remote(server.url("good")), tmp_path)
    assert server.ranges() == [None]
    assert os.listdir(tmp_path) == ["file.gz"]


def test_a_mark_that_would_not_do_as_a_header_costs_the_part(server, tmp_path):
    leave(tmp_path, server.url("good"), validator='"\r\nHost: example.invalid\r\n"')
    fetch(remote(server.url("good")), tmp_path)
    assert server.ranges() == [None]


def test_the_largest_useful_part_is_taken_up_and_the_others_go(server, tmp_path):
    leave(tmp_path, server.url("good"), PACKED[:10], name="a")
    leave(tmp_path, server.url("good"), PACKED[:3000], name="b")
    leave(tmp_path, "https://example.invalid/other", PACKED[:9000], name="c")
    (tmp_path / ".file.gz.d.part").write_bytes(PACKED[:5000])  # without a note
    leave(tmp_path, server.url("good"), PACKED[:8000], name="old")
    os.utime(tmp_path / ".file.gz.old.part", (0, 0))
    fetch(remote(server.url("good")), tmp_path)
    assert server.ranges() == ["bytes=3000-"]
    assert os.listdir(tmp_path) == ["file.gz"]


def test_a_page_that_wants_a_login_does_not_cost_the_part(server, tmp_path):
    leave(tmp_path, server.url("page-once"))
    with pytest.raises(
        DownloadError, match="sent an HTML page instead of the file\nThe 1,000 bytes that arrived are kept"
    ):
        fetch(remote(server.url("page-once")), tmp_path)
    fetch(remote(server.url("page-once")), tmp_path)
    assert server.ranges() == ["bytes=1000-", "bytes=1000-"]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a right there")
@pytest.mark.parametrize("end", ["part", "note"])
def test_a_part_that_leads_elsewhere_is_not_followed(server, tmp_path, end):
    (tmp_path / "elsewhere").write_bytes(b"precious")
    leave(tmp_path, server.url("good"))
    (tmp_path / f".file.gz.0011.{end}").unlink()
    (tmp_path / f".file.gz.0011.{end}").symlink_to(tmp_path / "elsewhere")
    fetch(remote(server.url("good")), tmp_path)
    assert server.ranges() == [None]
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_what_others_left_goes_also_when_the_file_is_there(server, tmp_path):
    fetch(remote(server.url("good")), tmp_path)
    leave(tmp_path, server.url("good"))
    fetch(remote(server.url("good")), tmp_path)
    assert os.listdir(tmp_path) == ["file.gz"]


# --- who works on it ------------------------------------------------------------------------------------------------


@pytest.mark.fault("two-downloads")
def test_nobody_takes_up_a_part_that_somebody_works_on(tmp_path):
    with claimed_part(tmp_path, "file.gz", ["u"]) as mine:
        mine.restart("u", "v")
        mine.path.write_bytes(b"mine")
        clear_parts(tmp_path, "file.gz")
        with claimed_part(tmp_path, "file.gz", ["u"]) as yours:
            assert yours.path != mine.path
        assert mine.path.read_bytes() == b"mine"
    with claimed_part(tmp_path, "file.gz", ["u"]) as again:
        assert (again.path, again.url, again.validator) == (mine.path, "u", "v")
        again.restart()
    assert os.listdir(tmp_path) == []  # an empty part is not worth keeping


@pytest.mark.fault("two-downloads")
def test_many_threads_leave_one_whole_file(server, tmp_path):
    server.pause = 0.005
    threads = [threading.Thread(target=fetch, args=(remote(server.url("slow")), tmp_path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["file.gz"]
    assert (tmp_path / "file.gz").read_bytes() == PACKED


FETCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background may ignore Ctrl-C
from cnn_from_scratch.data.download import RemoteFile, fetch
folder, digest, size, *urls = sys.argv[1:]
for url in urls:
    fetch(RemoteFile(url.rpartition("?")[2], (url,), digest, int(size)), folder)
"""


def fetching(folder, *urls):
    file = remote(*urls)
    command = [sys.executable, "-c", FETCH, folder, file.sha256, str(file.size), *urls]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.fault("two-downloads")
def test_eight_processes_at_once_leave_whole_files_and_nothing_else(server, tmp_path):
    server.pause, names = 0.005, ["a.gz", "b.gz"]
    processes = [fetching(tmp_path, *(server.url(f"slow?{name}") for name in names)) for _ in range(8)]
    for process in processes:
        assert process.communicate() == ("", "")
        assert process.returncode == 0
    assert sorted(os.listdir(tmp_path)) == names
    assert all((tmp_path / name).read_bytes() == PACKED for name in names)


def interrupt(process, folder, number):
    """Once half of the file is there."""
    while sum(part.stat().st_size for part in hidden(folder)) < CUT:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate()
    return process.returncode


@pytest.mark.fault("interrupted")
@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_signal_ended_the_next_run_takes_up(server, tmp_path, number):
    process = fetching(tmp_path, server.url("slow?file.gz"))
    assert interrupt(process, tmp_path, number) == -number
    [part] = hidden(tmp_path)
    size = part.stat().st_size
    assert CUT <= size < SIZE
    assert part.read_bytes() == PACKED[:size]
    server.pause = 0.0
    fetch(remote(server.url("slow?file.gz")), tmp_path)
    assert server.ranges() == [None, f"bytes={size}-"]
    assert server.asked[1].headers["if-range"] == '"one"'
    assert os.listdir(tmp_path) == ["file.gz"]
    assert (tmp_path / "file.gz").read_bytes() == PACKED
