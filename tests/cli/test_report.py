"""`cnn report` writes one page about any run: finished, interrupted, damaged, imported, on pictures of one's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import cnn
from PIL import Image
from report_pages import SECTIONS, read_page

from cnn_from_scratch.cli import job
from cnn_from_scratch.cli.report_record import read_history, read_metrics
from cnn_from_scratch.cli.saved_run import load_run, run_metadata
from cnn_from_scratch.data import Normalization
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import save_model, save_onnx
from cnn_from_scratch.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential, Softmax

CHECK_PAGES = Path(__file__).parents[2] / ".ci" / "check_pages.py"
HOSTILE = "<script>alert('1')</script>", 'a"onload="x', "& <b>"
"""Names of classes."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What `cnn train` leaves after two epochs, without its pictures."""
    folder = tmp_path_factory.mktemp("report") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(job, "_pictures", lambda *args: [])
        result = cnn("train", "digits", "--epochs", 2, "--validation", 0.1, "--shards", 1, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def page(trained):
    """Its report."""
    result = cnn("report", trained)
    assert result.exit_code == 0, result.output
    assert f"{trained / 'report.html'}  report of digits_cnn on digits, 0." in result.output
    return (trained / "report.html").read_text(encoding="utf-8")


def report(run, *options):
    """The page of a run, taken apart."""
    result = cnn("report", run, "--out", "page.html", *options)
    assert result.exit_code == 0, result.output
    return read_page(Path("page.html").read_text(encoding="utf-8"))


def photographs(folder):
    """Three classes with hostile names, of red, green and blue noise."""
    rng = np.random.default_rng(0)
    for c, name in enumerate(HOSTILE):
        (folder / name.replace("/", "\u2215")).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 90, (12, 12, 3)).astype(np.uint8)
            pixels[..., c] += 120
            Image.fromarray(pixels).save(folder / name.replace("/", "\u2215") / f"{i}.png")
    return folder


# --- a finished run -------------------------------------------------------------------------------------------------


def test_page_is_whole_and_nothing_is_left_out(page):
    found = read_page(page)
    assert "Not in this report" not in found.text
    assert found.text.count("More in the documentation") == len(SECTIONS)


def test_figures_are_those_of_the_record(trained, page):
    metrics, text = json.loads((trained / "metrics.json").read_text()), read_page(page).text
    assert f"{100 * metrics['test_accuracy']:.2f} %" in text
    assert f"{metrics['test_loss']:.4f}" in text
    assert metrics["command"] in text
    assert f"NumPy {metrics['versions']['numpy']}" in text
    assert "tried again" not in text  # the model is as good as its record says


def test_same_run_gives_the_same_page(trained, page):
    report(trained)
    assert Path("page.html").read_text(encoding="utf-8") == page


def test_so_many_mistakes_as_asked_for(trained):
    for count in (1, 2):
        images = [image["alt"] for image in report(trained, "--images", count).all("img")]
        assert sum(alt.startswith("Grad-CAM: where it speaks for") for alt in images) == count


def test_figures_that_are_no_longer_true_are_called_so(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    metrics = json.loads((trained / "metrics.json").read_text())
    (tmp_path / "copy" / "metrics.json").write_text(json.dumps(metrics | {"test_accuracy": 0.5}))
    text = report(tmp_path / "copy").text
    assert "The run recorded an accuracy of 50.00 %" in text
    assert f"tried again for this report it has {100 * metrics['test_accuracy']:.2f} %" in text


# --- other runs -----------------------------------------------------------------------------------------------------


def test_interrupted_run_says_so_and_how_to_go_on(monkeypatch, tmp_path):
    steps = iter(range(1, 1000))

    def press(self, progress, result):
        if next(steps) == 30:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(job.LinePerEpoch, "on_step_end", press)
    assert cnn("train", "digits", "--epochs", 3, "--shards", 1, "--out", "run").exit_code == 130
    page = report("run")
    assert "The training was interrupted after 1 of 3 epochs" in page.text
    assert "cnn train --resume run" in page.text
    assert "test accuracy" in page.text


def test_imported_onnx_model_with_data(tmp_path, trained):
    run = load_run(trained)
    model = Sequential({**run.model.children, "probabilities": Softmax()})
    save_onnx(model, "digits.onnx", input_shape=run.input_shape)
    mean, std = run.normalization.mean[0], run.normalization.std[0]
    told = ("--data", "digits", "--mean", f"{mean:.17g}", "--std", f"{std:.17g}")
    assert cnn("import", "digits.onnx", *told, "--out", "run").exit_code == 0
    page = report("run")
    metrics = json.loads((trained / "metrics.json").read_text())
    assert f"{100 * metrics['test_accuracy']:.2f} % test accuracy" in _swapped(page.text)
    assert f"{metrics['test_loss']:.4f} test loss" in _swapped(page.text)  # of logits, although it ends in a softmax
    assert page.text.count("Not in this report") == 2  # there is no history
    assert "the model was trained elsewhere" in page.text


def _swapped(text):
    """Value before name, as it is seen."""
    for name in ("test accuracy", "test loss"):
        at = text.index(name)
        value = text[at + len(name) :].split()
        text = text.replace(name, f"{' '.join(value[: 2 if '%' in value[1] else 1])} {name}", 1)
    return text


def test_onnx_file_alone_lies_beside_its_report(tmp_path):
    model = Sequential(Conv2d(3, 4, 3, rng=0), ReLU(), MaxPool2d(2), GlobalAvgPool2d(), Flatten(), Linear(4, 2, rng=1))
    save_onnx(model, "tiny.onnx", input_shape=(3, 12, 12))
    assert cnn("report", "tiny.onnx").exit_code == 0
    page = read_page(Path("tiny-report.html").read_text(encoding="utf-8"))
    assert "There are no images to try the model on" in page.text
    assert "cnn import tiny.onnx --data NAME" in page.text
    assert "4 filters of 3 × 3 on 3 channels, in red, green and blue" in page.text
    assert str(tmp_path) not in page.text


def test_own_pictures_with_hostile_names(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_pictures", lambda *args: [])
    folder = photographs(tmp_path / "<i>photos</i>".replace("/", "\u2215"))
    result = cnn(
        "train",
        folder,
        "--epochs",
        2,
        "--size",
        12,
        "--batch-size",
        4,
        "--validation",
        0.2,
        "--shards",
        1,
        "--out",
        "run",
    )
    assert result.exit_code == 0, result.output
    page = report("run")
    tags = {tag for tag, _ in page.elements}
    assert not {"i", "script"} & tags
    for name in HOSTILE:
        assert name.replace("/", "\u2215") in page.text


def test_damaged_record_is_left_out(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    (tmp_path / "copy" / "metrics.json").write_text("[1")
    (tmp_path / "copy" / "history.csv").write_text("epoch,loss\n1,<b>\n")
    (tmp_path / "copy" / "job.json").write_text("{}")
    text = report(tmp_path / "copy").text
    for name in ("metrics.json", "history.csv", "job.json"):
        assert f"{name} was left out:" in text
    assert "There is no history" in text


def test_record_of_another_kind_does_no_harm(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    odd = {"test_accuracy": "<b>", "test_loss": [1], "seconds": True, "epochs": None, "command": 5, "versions": "x",
           "stopped": {"<": 1}, "model": "<u>", "lr": {"a": ["<s>"]}}  # fmt: skip
    (tmp_path / "copy" / "metrics.json").write_text(json.dumps(odd))
    page = report(tmp_path / "copy")
    assert not {"u", "s"} & {tag for tag, _ in page.elements}


def test_model_without_convolution_and_data_has_what_there_is(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    known = run_metadata("photos", ("cat", "dog"), (1, 6, 4), Normalization((0.5,), (0.25,)), "picture")
    save_model(Sequential(Flatten(), Linear(24, 2, rng=0)), folder / "model.safetensors", metadata=known)
    text = report(folder).text
    assert "The network has no convolution." in text
    assert "There are no images to try the model on: 'photos' is neither a data set" in text


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_no_run(tmp_path):
    result = cnn("report", tmp_path)
    assert result.exit_code == 1
    assert "is no run: there is no model.safetensors in it" in result.output


def test_out_in_a_folder_that_is_not_there(trained):
    result = cnn("report", trained, "--out", "missing/page.html")
    assert result.exit_code == 1
    assert "there is no folder 'missing' for the report" in result.output


def test_out_is_a_folder(trained, tmp_path):
    result = cnn("report", trained, "--out", tmp_path)
    assert result.exit_code == 1
    assert "is a folder; name a file in it" in result.output


def test_ctrl_c_leaves_the_old_page(trained, tmp_path):
    """A real signal in the middle of the page."""
    page = tmp_path / "page.html"
    page.write_text("old")
    script = (
        "import signal; from cnn_from_scratch.cli.app import app; from cnn_from_scratch.insight.report import training;"
        "training.plot_quantity = lambda *a: signal.raise_signal(signal.SIGINT);"
        f"app(['report', {str(trained)!r}, '--out', {str(page)!r}])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (130, "cnn: interrupted\n")
    assert page.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize("text", ["epoch,loss\n1,x\n", "loss\n1\n", "epoch,loss\n1,2,3\n", "epoch\n1.5\n"])
def test_history_that_is_none(tmp_path, text):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(FormatError, match=r"history.csv: (is no table of numbers|has a row without an epoch)"):
        read_history(tmp_path / "history.csv")


def test_history_as_it_was(trained):
    rows = read_history(trained / "history.csv").rows
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]) >= {"loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"}


def test_metrics_must_be_an_object(tmp_path):
    (tmp_path / "metrics.json").write_text("3")
    with pytest.raises(FormatError, match=r"metrics.json: is no JSON object"):
        read_metrics(tmp_path / "metrics.json")


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_opens_in_chromium_without_a_request_or_an_error(trained, page):
    """On a desk and on a phone, light and dark; nothing is wider than the window. Skips by itself without Chromium."""
    if not CHECK_PAGES.is_file():
        pytest.skip(".ci is not part of the source distribution")
    ended = subprocess.run(
        [sys.executable, CHECK_PAGES, trained / "report.html"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "no outside request, no error" in ended.stdout or "skipped" in ended.stdout
