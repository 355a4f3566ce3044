"""Under the name of a file there is always a whole one, whatever fails in between."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnn_from_scratch.formats import replacing, write_atomically
from cnn_from_scratch.formats.atomic import STALE_SECONDS


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("data", [b"new", "new"])
def test_an_older_file_is_replaced(tmp_path, data):
    path = tmp_path / "a.json"
    path.write_text("old, and longer")
    write_atomically(str(path), data)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere" / "file")
    write_atomically(path, "new")
    assert path.is_symlink()
    assert (tmp_path / "elsewhere" / "file").read_text() == "new"


def test_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def _full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name"), [(Path, "write_bytes"), (os, "fsync"), (os, "replace")], ids=["write", "fsync", "replace"]
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where, name):
    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(where, name, _full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    monkeypatch.undo()
    assert str(caught.value) == f"[Errno 28] No space left on device: '{path}'"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_limit_on_file_sizes(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a"
    path.write_text("old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def _interrupted(path):
    with replacing(path) as part:
        part.write_text("half of it")
        raise KeyboardInterrupt


def test_an_error_of_the_body_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "nowhere" / "a", "x")
    assert caught.value.filename == str(tmp_path / "nowhere" / "a")


LEFT = "0123456789abcdef"


def test_what_a_dead_writer_left_is_removed(tmp_path):
    stale, longer, other = (tmp_path / f".{name}.{LEFT}.part" for name in ("a[1]", "a[1].json", "a1"))
    for part in (stale, longer, other):
        part.touch()
    write_atomically(tmp_path / "a[1]", "x")
    assert names(tmp_path) == sorted([longer.name, other.name, "a[1]"])  # those are of other files


def test_what_a_living_writer_writes_stays(tmp_path):
    with replacing(tmp_path / "a") as part:
        write_atomically(tmp_path / "a", "quick")
        assert part.exists()
        part.write_text("slow")
    assert (tmp_path / "a").read_text() == "slow"
    assert names(tmp_path) == ["a"]


def test_without_locks_only_what_was_left_long_ago_is_removed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    old, young = (tmp_path / f".a.{digit * 16}.part" for digit in "01")
    old.touch()
    young.touch()
    os.utime(old, (0, time.time() - STALE_SECONDS - 60))
    write_atomically(tmp_path / "a", "x")
    assert names(tmp_path) == [young.name, "a"]


KILLED = """
import sys
from cnn_from_scratch.formats import write_atomically
print("writing", flush=True)
letter = 0
while True:
    letter = (letter + 1) % 26
    write_atomically(sys.argv[1], bytes([97 + letter]) * 300_000)
"""


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a"
    for delay in (0.01, 0.05):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not path.exists():
                time.sleep(0.001)
            time.sleep(delay)
            process.kill()
        content = path.read_bytes()
        assert content == content[:1] * 300_000
