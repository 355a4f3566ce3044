"""A handful of the trials of benchmarks/faults: real signals to a real training with forked shards."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from cnn_from_scratch.training.checkpoint import latest_checkpoint, steps_of

FAULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are counted by /proc"),
]


@pytest.fixture(scope="module")
def cut_off():
    """The scripts import one another by their file names; nothing of that stays behind."""
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(FAULTS))
    try:
        import cut_off

        yield cut_off
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if str(FAULTS.parent) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def strike(cut_off, run, steps, number, to_all):
    """Go on until so many steps are in a checkpoint, then send the signal; the exit code, and who did not end."""
    from common import wait_for_the_end

    process = cut_off.begin(run)
    try:
        while process.poll() is None:
            latest = latest_checkpoint(run / "checkpoints")
            if latest is not None and steps_of(latest) >= steps:
                (os.killpg if to_all else os.kill)(process.pid, number)
                break
            time.sleep(0.001)
        return process.wait(60), wait_for_the_end(process.pid)
    finally:
        process.kill()


@pytest.mark.fault("kill-during-save", "resume", "interrupted")
def test_a_training_that_is_ended_again_and_again(cut_off, tmp_path):
    """Its forks end by themselves, its files are whole, and its end is that of a training that nobody disturbed."""
    places = [tmp_path / "undisturbed" / "run", tmp_path / "struck" / "run"]
    for run in places:
        run.parent.mkdir()
    assert cut_off.begin(places[0]).wait(100) == 0
    signals = [
        (4, signal.SIGKILL, True), (11, signal.SIGKILL, False), (13, signal.SIGINT, True), (17, signal.SIGTERM, True),
        (22, signal.SIGKILL, False), (26, signal.SIGTERM, False),
    ]  # fmt: skip
    for steps, number, to_all in signals:
        code, left = strike(cut_off, places[1], steps, number, to_all)
        assert code == (-number if number == signal.SIGKILL else 128 + number), cut_off.printed(places[1])
        assert left == []
        assert cut_off.torn_files(places[1]) == []
        if number != signal.SIGKILL:
            assert cut_off.last_line(places[1]) == "cnn train --resume run"
            assert cut_off.temporary_files(places[1]) == []
    assert cut_off.begin(places[1]).wait(100) == 0
    assert cut_off.Reference(places[0], 0.0).complaints(places[1]) == []
