"""What the commands say of files that mean harm: one sentence, and nothing that a terminal would obey."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import cnn, draw_one

from cnn_from_scratch.cli.run_folder import MODEL
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.saved_model import ENTRY
from cnn_from_scratch.formats.tensors import write_tensors
from cnn_from_scratch.layers import Flatten, Linear, Sequential

KNOWN = {
    "dataset": "digits",
    "classes": ["a", "b"],
    "input_shape": [1, 8, 8],
    "normalization": [[0.5], [0.2]],
    "preparation": "picture",
}
CHANGES = {
    "a terminal's commands": {"classes": ["\x1b]0;owned\x07", "b"]},
    "a lone surrogate": {"classes": ["\ud800", "b"]},
    "a data set's name": {"dataset": "\x1b[2J"},
    "an infinite mean": {"normalization": [["inf"], [0.2]]},
    "a deviation that is none": {"normalization": [[0.5], ["nan"]]},
    "a size without end": {"input_shape": [1, 8, "9" * 5000]},
    "a size of 2^62": {"input_shape": [1, 8, 1 << 62]},
    "a deep size": {"input_shape": [[[[]]], 8, 8]},
    "classes that are a number": {"classes": 2},
    "too many classes": {"classes": ["a"] * 1000},
    "no such preparation of this size": {"preparation": "imagenet"},
}


@pytest.mark.fault("hostile-architecture", "hostile-tensors")
@pytest.mark.parametrize("case", CHANGES)
def test_a_run_that_means_harm(tmp_path, case):
    save_model(Sequential(Flatten(), Linear(64, 2, rng=0)), tmp_path / MODEL, metadata=KNOWN | CHANGES[case])
    result = cnn("predict", tmp_path, draw_one(tmp_path / "one.png"))
    assert result.exit_code == 1
    assert result.output.startswith(f"cnn: {tmp_path / MODEL}: was not written by cnn train: ")
    assert result.output.strip().isprintable()


@pytest.mark.fault("hostile-architecture")
def test_a_layer_whose_name_would_command_the_terminal(tmp_path):
    document = {"version": 1, "architecture": {"type": "\x1b[2J", "config": {}}, "metadata": {}}
    text = json.dumps({**document, "sha256": digest(document, {"\x1b[2J": np.zeros(1)})})
    write_tensors(tmp_path / MODEL, {"\x1b[2J": np.zeros(1)}, {ENTRY: text})
    result = cnn("summary", tmp_path)
    assert result.exit_code == 1
    assert result.output.strip().isprintable()
    assert r"is of the unknown type '\x1b[2J'" in result.output
