"""The pictures of a run: all there, whole, made without pyplot, from any thread."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pictures import evaluation, images, network
from PIL import Image

from cnn_from_scratch.insight import save_figure, save_run_pictures
from cnn_from_scratch.insight.style import new_figure
from cnn_from_scratch.layers import Linear, Sequential
from cnn_from_scratch.training import Evaluation, History

NAMES = ["history", "filters", "feature_maps", "confusion", "mistakes"]
HISTORY = History([{"epoch": e, "loss": 1 / e, "accuracy": 1 - 1 / e, "lr": 0.1} for e in (1, 2, 3)])


def run(folder, **changes):
    options = {
        "folder": folder,
        "model": network(3),
        "history": HISTORY,
        "evaluation": evaluation(20, 10, wrong=5),
        "x": images(20, 3),
        "y": np.arange(20) % 10,
        "classes": [str(k) for k in range(10)],
        "prepare": lambda x: (x - 0.5) / 0.25,
    }
    return save_run_pictures(**(options | changes))


def test_five_pictures(tmp_path):
    (tmp_path / "history.png").write_text("an older one")
    paths = run(tmp_path)
    assert [path.name for path in paths] == [f"{name}.png" for name in NAMES]
    assert sorted(tmp_path.iterdir()) == sorted(paths)  # and nothing else is left
    for path in paths:
        with Image.open(path) as picture:
            picture.load()
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert path.stat().st_size < 200_000


def test_the_network_sees_what_prepare_makes(tmp_path):
    seen = []
    run(tmp_path, prepare=lambda x: seen.append(x) or x)
    # the first five are wrong: the first that is right goes through the network
    np.testing.assert_array_equal(seen, [images(20, 3)[5:6]])


def test_what_has_nothing_to_show_is_left_out(tmp_path):
    assert [p.stem for p in run(tmp_path, history=History())] == NAMES[1:]
    x = images(4, 1)
    flat = Evaluation.of(np.ones((4, 8, 8, 3)), np.ones((4, 8, 8, 3)), loss=0.1)
    options = {"model": Sequential(Linear(8, 3, rng=0)), "x": x, "evaluation": flat, "prepare": lambda x: x}
    assert [p.stem for p in run(tmp_path, **options)] == ["history", "feature_maps"]


def test_two_runs_give_the_same_bytes(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as pool:  # at the same time
        first, second = pool.map(run, folders)
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_failure_leaves_the_old_picture(tmp_path, monkeypatch):
    path = save_figure(new_figure(2, 1, "old"), tmp_path / "a.png")
    before = path.read_bytes()
    figure = new_figure(2, 1, "new")

    def broken(file, **options):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", broken)
    with pytest.raises(OSError, match=r"No space left on device.*a\.png"):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pyplot_is_never_imported():
    code = """
import sys, tempfile
sys.path[:0] = {folders!r}
from test_pictures import run
with tempfile.TemporaryDirectory() as folder:
    run(folder)
sys.exit("matplotlib.pyplot" in sys.modules)
"""
    code = code.format(folders=[str(folder) for folder in Path(__file__).parents[:2]])
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
