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
def test_whichever_step_fails_the_old_file_stays_and_nothing_else(tmp_path, monkeypatch, where, name):
    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(where, name, _full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    monkeypatch.undo()
    assert str(caught.value) == f"[Errno 28] No space left on device: '{path}'"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.fixture
def full(mounted):
    """A file system in memory with an old file, and no room for another."""
    folder = mounted("size=64k")
    (folder / "a").write_text("old")
    return folder


@pytest.mark.fault("disk-full")
@pytest.mark.parametrize("size", [64_000, 1_000_000])  # the last page is the one too many; or most of it
def test_a_file_system_that_is_full(full, size):
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(full / "a", bytes(size))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(full / "a")
    assert (full / "a").read_text() == "old"
    assert names(full) == ["a"]
    write_atomically(full / "a", "as long as there is room")
    assert (full / "a").read_text() == "as long as there is room"


@pytest.mark.fault("disk-full")
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


@pytest.mark.fault("kill-during-save")
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


@pytest.mark.fault("kill-during-save")
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a"
    for delay in (0.01, 0.05, 0.003):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not path.exists():
                time.sleep(0.001)
            time.sleep(delay)
            process.kill()
        content = path.read_bytes()
        assert content == content[:1] * 300_000
        write_atomically(path, "the next writer clears up")
        assert names(tmp_path) == ["a"]
        path.unlink()


HALF = """
import os, signal, sys
from cnn_from_scratch.formats import replacing
with replacing(sys.argv[1]) as part:
    part.write_text("half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.fault("kill-during-save")
def test_killed_between_writing_and_replacing(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with subprocess.Popen([sys.executable, "-c", HALF, str(path)]) as process:
        pass
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2  # nobody could clear up after it
    write_atomically(path, "new")
    assert names(tmp_path) == ["a"]


@pytest.mark.fault("kill-during-save")
def test_a_writer_whose_file_is_cleared_away_before_it_is_locked_takes_another(tmp_path, monkeypatch):
    import fcntl

    lock, removed = fcntl.flock, []

    def late(descriptor, operation):
        if not removed:  # another process was quicker: it found a file that nobody holds
            [part] = tmp_path.glob(".a.*.part")
            part.unlink()
            removed.append(part.name)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write_atomically(tmp_path / "a", "new")
    assert removed
    assert names(tmp_path) == ["a"]
