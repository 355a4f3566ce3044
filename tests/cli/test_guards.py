"""Options out of range end `cnn train` with exit code 2 before anything is made: no folder, no traceback."""

from __future__ import annotations

import pytest
from command_line import cnn

SETTINGS = [
    *(("--epochs", value) for value in ("0", "-3", "1.5", "many")),
    *(("--lr", value) for value in ("nan", "-1", "fast")),
    *(("--batch-size", value) for value in ("0", "-1")),
    *(("--seed", value) for value in ("-1", "x")),
    *(("--dropout", value) for value in ("1.0", "-0.1", "nan")),
    *(("--weight-decay", value) for value in ("-1", "nan")),
    *(("--label-smoothing", value) for value in ("2", "-0.1")),
    *(("--shards", value) for value in ("0", "-2")),
    *(("--validation", value) for value in ("1.5", "-0.5")),
    *(("--average", value) for value in ("1.0", "-1")),
    ("--early-stopping", "0"),
    ("--checkpoint-every", "0"),
    ("--model", "nonsense"),
    ("--optimizer", "nonsense"),
    ("--schedule", "nonsense"),
]


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(("option", "value"), SETTINGS)
def test_options_out_of_range(option, value, tmp_path):
    result = cnn("train", "digits", option, value, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "Invalid value" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize("command", [["predict", "nowhere", "x.png"], ["show", "nowhere"], ["explain", "nowhere"]])
def test_a_run_that_is_none(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cnn(*command)
    assert result.exit_code == 1
    assert "nowhere is no run" in " ".join(result.output.split())
