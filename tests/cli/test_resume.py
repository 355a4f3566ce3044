"""`cnn train --resume`: what was cut off ends as if it had not been; what would make another training is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import cnn
from PIL import Image

from cnn_from_scratch.cli import job, run_hold
from cnn_from_scratch.cli.saved_run import load_run
from cnn_from_scratch.training.checkpoint import latest_checkpoint, list_checkpoints

OPTIONS = "--epochs 3 --batch-size 256 --shards 1 --validation 0.1 --average 0.9 --early-stopping 2 --best-weights"
STEPS = 6  # in an epoch: 1294 images in batches of 256


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """They take seconds, and other tests look at them."""
    monkeypatch.setattr(job, "_pictures", lambda *args: [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(job, "_pictures", lambda *args: [])
        assert train(folder).exit_code == 0
    return folder


def train(out, *options):
    return cnn("train", "digits", *OPTIONS.split(), "--out", out, *options)


def interrupt(monkeypatch, steps, number=signal.SIGINT):
    """From now on a real signal comes after so many steps."""
    done = iter(range(1, 10**6))

    def press(self, progress, result):
        if next(done) == steps:
            signal.raise_signal(number)

    monkeypatch.setattr(job.LinePerEpoch, "on_step_end", press)


def interrupted(monkeypatch, steps, out="run", *options):
    """A run that Ctrl-C ended after so many steps."""
    with monkeypatch.context() as patch:
        interrupt(patch, steps)
        result = train(out, *options)
    assert result.exit_code == 130, result.output
    return Path(out)


def history(run):
    """The cells of history.csv, but for the columns that measure time."""
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    return [
        [cell for name, cell in zip(rows[0], row, strict=True) if name not in ("seconds", "images_per_second")]
        for row in rows
    ]


def metrics(run):
    return {name: value for name, value in json.loads((run / "metrics.json").read_text()).items() if name != "seconds"}


def assert_same(run, other):
    assert (run / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert history(run) == history(other)
    assert metrics(run) == metrics(other)
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in other.iterdir())


def snapshot(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


# --- to the same end ------------------------------------------------------------------------------------------------


@pytest.mark.fault("resume", "interrupted")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", [1, STEPS + 2, 2 * STEPS])
def test_a_resumed_run_ends_as_if_it_had_not_been_cut_off(monkeypatch, whole, steps, number):
    with monkeypatch.context() as patch:
        interrupt(patch, steps, number)
        result = train("run")
    assert result.exit_code == 128 + number
    epochs = (steps - 1) // STEPS  # what was measured after the last step is not
    assert result.output.splitlines()[-2:] == [
        f"cnn: interrupted after {epochs} of 3 epochs; the model as it is, its history and figures are in run; "
        "this goes on:",
        "cnn train --resume run",
    ]
    assert latest_checkpoint("run/checkpoints").name == f"checkpoint-{-(-steps // STEPS):05d}-{steps:08d}.safetensors"
    assert load_run("run").input_shape == (1, 8, 8)
    result = cnn("train", "--resume", "run")
    assert result.exit_code == 0, result.output
    assert_same(Path("run"), whole)


@pytest.mark.fault("resume")
def test_cut_off_again_and_again(monkeypatch, whole):
    run = interrupted(monkeypatch, 2)
    for _ in range(3):
        with monkeypatch.context() as patch:
            interrupt(patch, 4)
            assert cnn("train", "--resume", run).exit_code == 130
    assert cnn("train", "--resume", run).exit_code == 0
    assert_same(run, whole)


def test_nothing_but_the_job_is_enough(whole, tmp_path):
    """Killed before the first checkpoint: it begins at the beginning."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.json").write_bytes((whole / "job.json").read_bytes())
    assert cnn("train", "--resume", "run").exit_code == 0
    assert_same(tmp_path / "run", whole)


def test_the_folder_is_whole_all_the_time(monkeypatch):
    seen = []

    def look(self, progress, result):
        seen.append(sorted(path.name for path in Path("run").rglob("*") if path.is_file()))

    monkeypatch.setattr(job.LinePerEpoch, "on_step_end", look)
    assert train("run").exit_code == 0
    assert seen[0] == ["job.json"]
    assert seen[STEPS] == ["best.safetensors", "checkpoint-00001-00000006.safetensors", "history.csv", "job.json"]


def test_checkpoints_as_often_as_one_likes(monkeypatch):
    run = interrupted(monkeypatch, 5, "run", "--checkpoint-every", 2)
    assert [int(path.stem[-8:]) for path in list_checkpoints(run / "checkpoints")] == [4, 5]
    with monkeypatch.context() as patch:
        interrupt(patch, 5)
        assert cnn("train", "--resume", run, "--checkpoint-every", 3).exit_code == 130
    assert [int(path.stem[-8:]) for path in list_checkpoints(run / "checkpoints")] == [9, 10]
    assert json.loads((run / "job.json").read_text())["checkpoints"] == {"written": True, "every": 3}


def test_without_checkpoints(monkeypatch):
    run = interrupted(monkeypatch, 3, "run", "--no-checkpoints")
    assert not (run / "checkpoints").exists()
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        result = train("other", "--no-checkpoints")
    assert result.output.endswith("its history and figures are in other\n")
    result = cnn("train", "--resume", run)
    assert result.exit_code == 1
    assert result.output == "cnn: run was begun with --no-checkpoints: there is nothing to go on from\n"


def test_a_finished_run_is_left_alone(whole):
    before = snapshot(whole)
    result = cnn("train", "--resume", whole)
    assert result.exit_code == 0
    assert result.output == (
        f"cnn: {whole} is finished; there is nothing to go on with. cnn evaluate {whole} says how good it is\n"
    )
    assert snapshot(whole) == before


def test_ended_while_the_last_figures_were_made(monkeypatch, whole):
    def press(*args):
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(job, "_pictures", press)
        result = train("run")
    assert result.exit_code == 143
    assert result.output.splitlines()[-1] == "cnn train --resume run"
    assert metrics(Path("run"))["interrupted"] is True
    assert cnn("train", "--resume", "run").exit_code == 0
    assert_same(Path("run"), whole)


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_a_damaged_checkpoint_is_passed_over(monkeypatch, whole):
    run = interrupted(monkeypatch, STEPS + 2)
    newest = latest_checkpoint(run / "checkpoints")
    damaged = bytearray(newest.read_bytes())
    damaged[-100] ^= 1
    newest.write_bytes(damaged)
    result = cnn("train", "--resume", run)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"cnn: fit: {newest}: damaged: ")
    assert_same(run, whole)


# --- more epochs ----------------------------------------------------------------------------------------------------


def test_more_epochs_where_they_are_the_same_training():
    constant = ["train", "digits", "--batch-size", 256, "--shards", 1, "--schedule", "constant"]
    assert cnn(*constant, "--epochs", 1, "--out", "run").exit_code == 0
    assert cnn(*constant, "--epochs", 2, "--out", "long").exit_code == 0
    result = cnn("train", "--resume", "run", "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert_same(Path("run"), Path("long"))
    assert "is finished" in cnn("train", "--resume", "run").output


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lr", "0.1"], "for --lr: {run} is trained with 0.004, not with 0.1; leave it out, or begin another run."),
        (["mnist"], "for dataset: {run} is trained with digits, not with mnist; leave it out, or begin another run."),
        (["--seed", "1"], "for --seed: {run} is trained with 0, not with 1;"),
        (["--shards", "2"], "for --shards: {run} is trained with 1, not with 2;"),
        (["--no-augment"], "for --augment: {run} is trained with affine-8, not with none;"),
        (["--epochs", "2"], "for --epochs: {run} is trained for 3; fewer are not possible."),
        (
            ["--epochs", "4"],
            "for --epochs: {run} is trained for 3, which decides its schedule (one-cycle) from the first step; more "
            "are possible with --schedule constant alone.",
        ),
        (["--out", "x"], "for --out: cannot stand beside --resume, which goes on in {run}."),
        (["--force"], "for --force: cannot stand beside --resume, which goes on in {run}."),
        (["--no-checkpoints"], "for --no-checkpoints: cannot stand beside --resume, which goes on in {run}."),
        (
            ["--no-checkpoints", "--checkpoint-every", "2"],
            "for --no-checkpoints: contradicts --checkpoint-every 2; give one of them.",
        ),
    ],
)
def test_options_that_contradict_the_run(whole, monkeypatch, options, message):
    monkeypatch.chdir(whole.parent)
    before = snapshot(whole)
    result = cnn("train", "--resume", "run", *options)
    assert result.exit_code == 2
    assert message.format(run="run") in " ".join(result.output.replace("│", " ").split())
    assert snapshot(whole) == before


def test_options_that_agree_with_the_run(whole):
    assert "is finished" in cnn("train", "digits", "--resume", whole, "--seed", 0, "--epochs", 3, "--lr", 0.004).output


def test_no_run_at_all():
    Path("empty").mkdir()
    for name in ("empty", "nowhere"):
        result = cnn("train", "--resume", name)
        assert result.exit_code == 1
        assert result.output == f"cnn: {name} is no run that can be resumed: there is no job.json in it\n"


def pictures(folder):
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / name / f"{i}.png")


@pytest.mark.fault("resume")
def test_a_data_set_that_has_changed(monkeypatch, tmp_path):
    pictures(tmp_path / "photos")
    options = ["--size", 8, "--epochs", 2, "--batch-size", 4, "--shards", 1, "--validation", 0, "--out", "run"]
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        assert cnn("train", "photos", *options).exit_code == 130
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    before = snapshot(tmp_path / "run")
    first = tmp_path / "photos" / "dark" / "0.png"
    kept = first.read_bytes()
    Image.new("RGB", (8, 8), "red").save(first)
    start = (
        f"cnn: {tmp_path}/photos holds other images, labels or classes than those that ../run was begun with (SHA-256 "
    )
    result = cnn("train", "--resume", "../run")
    assert (result.exit_code, result.output[: len(start)]) == (1, start)
    first.unlink()
    result = cnn("train", "--resume", "../run")
    assert result.exit_code == 1
    assert result.output.startswith(f"cnn: {tmp_path}/photos has ")
    assert "images now, but ../run was begun with" in result.output
    assert snapshot(tmp_path / "run") == before
    first.write_bytes(kept)
    assert cnn("train", "--resume", "../run").exit_code == 0


def test_one_training_at_a_time(monkeypatch):
    run = interrupted(monkeypatch, 2)
    monkeypatch.setattr(run_hold, "PATIENCE", 0.1)
    with run_hold.held(run):
        for result in (cnn("train", "--resume", run), train(run, "--force")):
            assert result.exit_code == 1
            assert result.output == ("cnn: run: another process is training in this folder; wait for it, or end it\n")
    assert cnn("train", "--resume", run).exit_code == 0


def test_other_versions_are_said(monkeypatch):
    run = interrupted(monkeypatch, 2)
    order = json.loads((run / "job.json").read_text())
    order["versions"]["numpy"] = "1.99.0"
    (run / "job.json").write_text(json.dumps(order))
    result = cnn("train", "--resume", run)
    assert result.exit_code == 0
    assert result.output.startswith(
        f"cnn: run was begun by numpy 1.99.0, now {np.__version__}: the last digits may differ from those of one "
        "uninterrupted run\n"
    )


# --- nothing is lost by accident ------------------------------------------------------------------------------------


def test_a_run_that_could_go_on_is_not_written_over(monkeypatch):
    run = interrupted(monkeypatch, 2)
    before = snapshot(run)
    result = train(run)
    assert result.exit_code == 1
    assert result.output == (
        "cnn: run is there already and not empty; --force writes over it, cnn train --resume run goes on with it\n"
    )
    assert train(run, "--force", "--validation", "0.0001").exit_code == 1
    assert snapshot(run) == before


def test_force_begins_anew_and_leaves_other_files(monkeypatch, whole):
    run = interrupted(monkeypatch, STEPS + 1, "run", "--seed", 5)
    (run / "notes.txt").write_text("mine")
    assert train(run, "--force").exit_code == 0
    assert (run / "notes.txt").read_text() == "mine"
    (run / "notes.txt").unlink()
    assert_same(run, whole)


def test_a_run_without_a_model_yet(whole, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.json").write_bytes((whole / "job.json").read_bytes())
    result = cnn("evaluate", "run")
    assert result.exit_code == 1
    assert result.output == "cnn: run has no model.safetensors yet; cnn train --resume run trains it to its end\n"


def test_what_killed_writers_left_is_taken_away(monkeypatch, whole):
    run = interrupted(monkeypatch, 2)
    for name in (".history.csv.0123456789abcdef.part", ".can-be-written", "checkpoints/.x.0123456789abcdef.part"):
        (run / name).write_text("half")
    assert cnn("train", "--resume", run).exit_code == 0
    assert_same(run, whole)
    assert list(run.rglob(".*")) == []


# --- a disk that is full, or read-only ------------------------------------------------------------------------------


@pytest.mark.fault("disk-full", "resume")
@pytest.mark.parametrize("size", ["600k", "2500k"])  # not even a checkpoint; one, but not two and the best
def test_a_disk_that_is_full(mounted, whole, size):
    run = mounted(f"size={size}") / "run"
    result = train(run)
    assert result.exit_code == 1
    *_, said, goes_on = result.output.splitlines()
    assert said.startswith(f"cnn: {run}/checkpoints/")
    assert said.endswith(".safetensors: No space left on device; this goes on:")
    assert goes_on == f"cnn train --resume {run}"
    assert list(run.rglob(".*")) == []
    mounted("remount,size=32m")
    assert cnn("train", "--resume", run).exit_code == 0
    assert_same(run, whole)


@pytest.mark.fault("read-only-folder")
def test_a_run_on_a_disk_that_is_read_only(monkeypatch, mounted):
    run = interrupted(monkeypatch, 2, mounted("size=32m") / "run")
    before = snapshot(run)
    mounted("remount,ro")
    monkeypatch.setattr(job, "_train", lambda *args, **options: pytest.fail("trained"))
    result = cnn("train", "--resume", run)
    assert result.exit_code == 1
    assert result.output == (
        f"cnn: {run}: cannot write the folder of the run; --resume takes a copy of it, too: Read-only file system\n"
    )
    assert snapshot(run) == before


@pytest.mark.fault("read-only-folder")
def test_a_folder_of_somebody_else(tmp_path):
    """Root may write anywhere; so somebody who may read everything, but write nothing, trains."""
    (tmp_path / "theirs").mkdir(mode=0o755)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    nobody += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--", sys.executable, "-c"]
    try:
        subprocess.run([*nobody, "import numpy"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may become somebody else, by setpriv")
    code = f"import sys; sys.path[:0] = {sys.path!r}; from cnn_from_scratch.cli import main; main()"
    command = [*nobody, code, "train", "--epochs", "1", "--out", "theirs/run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == (
        "cnn: theirs/run: cannot write the folder of the run; choose another one by --out: Permission denied\n"
    )
    assert done.returncode == 1
    assert list((tmp_path / "theirs").iterdir()) == []
