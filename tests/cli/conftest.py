"""One trained model for all commands that need one."""

from __future__ import annotations

import json

import pytest

from cnn_from_scratch.cli.recipes import Recipe
from cnn_from_scratch.cli.saved_run import run_metadata
from cnn_from_scratch.cli.training_run import train_recipe
from cnn_from_scratch.data import load_digits
from cnn_from_scratch.formats import save_model

DIGITS = Recipe("digits_cnn", epochs=4, batch_size=64, lr=5e-3, augment="affine-8", preparation="uci-digit")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Four epochs of the digits: good enough to tell a one."""
    folder = tmp_path_factory.mktemp("commands") / "run"
    folder.mkdir()
    data = load_digits()
    trained, evaluation = train_recipe(DIGITS, data)
    known = run_metadata("digits", data.classes, (1, 8, 8), trained.normalization, "uci-digit")
    save_model(trained.model, folder / "model.safetensors", metadata=known)
    (folder / "accuracy").write_text(json.dumps([evaluation.accuracy, evaluation.loss]))
    return folder
