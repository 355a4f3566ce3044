"""The script that kills processes within their saves: a handful of its trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ladder import REPOSITORY


@pytest.mark.slow
@pytest.mark.fault("kill-during-save")
@pytest.mark.skipif(sys.platform != "linux", reason="the trials are made on Linux")
def test_a_few_kills_within_a_save(tmp_path):
    script = REPOSITORY / "benchmarks" / "faults" / "kill_saving.py"
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-W", "error", script, "--trials", "5", "--seed", "1", "--out", tmp_path]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "kill_saving.json").read_text())
    assert (record["trials"], record["survived"], record["lost"]) == (5, 5, "nothing")
    assert record["command"] == "python benchmarks/faults/kill_saving.py --trials 5 --seed 1"
    assert record["details"]["in a save"] == 5
