"""`cnn train` leaves a folder that says everything, and whatever goes wrong costs one sentence."""

from __future__ import annotations

import csv
import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnn_from_scratch.cli import job, plan, training_run
from cnn_from_scratch.cli.app import app
from cnn_from_scratch.cli.plan import build_model
from cnn_from_scratch.cli.recipes import AUGMENTATIONS, RECIPES, Recipe, changed_recipe
from cnn_from_scratch.cli.saved_run import load_run
from cnn_from_scratch.cli.training_run import train_recipe
from cnn_from_scratch.data import digits_folds, load_digits, stratified_split
from cnn_from_scratch.formats import load_metadata, load_model
from cnn_from_scratch.models import MODELS
from cnn_from_scratch.parallel import default_shards
from cnn_from_scratch.training import fit

CORES = default_shards()
QUICK = ["--epochs", "1", "--batch-size", "256", "--shards", "1", "--validation", "0.05"]
RESULTS = ["checkpoints", "history.csv", "job.json", "metrics.json", "model.safetensors"]
DIGITS = Recipe("digits_cnn", epochs=1, batch_size=256, augment="affine-8", preparation="uci-digit")


def cnn(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def names(folder):
    return sorted(entry.name for entry in Path(folder).iterdir())


def metrics(folder):
    return json.loads((Path(folder) / "metrics.json").read_text())


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take seconds, and only one test looks at them."""
    monkeypatch.setattr(job, "_pictures", lambda *args: [])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One quick run with everything in it: its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = cnn("train", *QUICK, "--seed", 3, "--lr", "0.01", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.output


# --- what is left ---------------------------------------------------------------------------------------------------


def test_the_folder_holds_all(trained):
    folder, _ = trained
    pictures = {"history.png", "filters.png", "feature_maps.png", "confusion.png", "mistakes.png"}
    assert set(names(folder)) == {*RESULTS, *pictures}
    assert names(folder / "checkpoints") == ["best.safetensors", "checkpoint-00001-00000006.safetensors"]
    with Image.open(folder / "confusion.png") as image:
        image.verify()


def test_the_metrics_are_those_of_the_model(trained):
    folder, _ = trained
    found = metrics(folder)
    test = load_digits().scaled().test
    run = load_run(folder)
    right = (run.predict(test.x).argmax(1) == test.y).mean()
    assert found["test_accuracy"] == pytest.approx(right)
    assert 0.3 < found["test_accuracy"] < 1
    assert found["parameters"] == 75_434
    assert (found["seed"], found["epochs"], found["shards"], found["dataset"]) == (3, 1, 1, "digits")
    assert (found["interrupted"], found["stopped"]) == (False, None)
    assert (found["train_images"], found["test_images"]) == (1438, 359)
    assert found["versions"].keys() == {"cnn_from_scratch", "numpy", "python"}
    assert found["seconds"] > 0


def test_the_history_has_a_line_for_each_epoch(trained):
    folder, _ = trained
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1"]
    assert float(rows[0]["val_accuracy"]) == pytest.approx(metrics(folder)["val_accuracy"])


def test_the_model_knows_how_images_were_prepared(trained):
    folder, _ = trained
    known = load_metadata(folder / "model.safetensors")
    x = load_digits().scaled().train.x
    assert known["classes"] == list("0123456789")
    assert (known["dataset"], known["input_shape"], known["preparation"]) == ("digits", [1, 8, 8], "uci-digit")
    np.testing.assert_allclose(np.ravel(known["normalization"]), [x.mean(), x.std()], rtol=1e-5)


def test_what_is_printed(trained):
    folder, output = trained
    accuracy = 100 * metrics(folder)["test_accuracy"]
    assert f"{accuracy:.2f} % of 359 test images are read right." in output
    assert "epoch 1/1  loss " in output
    assert "1 epoch in " in output
    assert f"Next: cnn predict {folder} image.png  or  cnn evaluate {folder}  or  cnn show {folder}" in output
    assert "Traceback" not in output
    assert [line for line in output.splitlines() if line != line.rstrip()] == []


def test_the_command_repeats_the_run_bitwise(trained, no_pictures):
    folder, _ = trained
    words = shlex.split(metrics(folder)["command"])
    assert words[:3] == ["cnn", "train", "digits"]
    assert cnn(*words[1:], "--out", "again").exit_code == 0
    assert (folder / "model.safetensors").read_bytes() == Path("again/model.safetensors").read_bytes()
    assert metrics("again")["command"] == metrics(folder)["command"]


# --- options --------------------------------------------------------------------------------------------------------


def test_every_option_arrives(no_pictures, monkeypatch):
    seen = {}

    def spy(model, data, **options):
        seen.update(options, model=model, data=data)
        return fit(model, data, **options)

    monkeypatch.setattr(training_run, "fit", spy)
    options = ["--model", "digits_cnn", "--optimizer", "sgd", "--lr", "0.02", "--schedule", "cosine", "--no-augment"]
    options += [
        "--average",
        "0",
        "--dropout",
        "0.4",
        "--label-smoothing",
        "0.1",
        "--weight-decay",
        "0.001",
        "--validation",
        "0.2",
    ]
    result = cnn("train", "digits", *QUICK, *options, "--best-weights", "--early-stopping", "2")
    assert result.exit_code == 0, result.output
    assert repr(seen["optimizer"]).startswith("SGD(lr=")
    assert seen["optimizer"].weight_decay == 0.001
    assert seen["schedule"](0) == 0.02
    assert (seen["label_smoothing"], seen["batch_size"], seen["shards"]) == (0.1, 256, 1)
    assert seen["model"].children["dropout"].p == 0.4
    assert seen["data"].augment is None
    assert len(seen["data"]) + len(seen["validation"]) == 1438
    assert len(seen["validation"]) == 287
    kinds = [type(callback).__name__ for callback in seen["callbacks"]]
    assert kinds == ["_KeepHistory", "BestWeights", "EarlyStopping", "HistoryFile", "LinePerEpoch"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("schedule", ["one-cycle", "step", "constant"])
def test_optimizers_and_schedules(optimizer, schedule):
    recipe = DIGITS._replace(optimizer=optimizer, schedule=schedule, lr=0.5)
    assert type(plan._optimizer(recipe)).__name__.lower() == optimizer
    rates = [plan._schedule(recipe, 9)(step) for step in range(9)]
    assert max(rates) == pytest.approx(0.5, rel=0.02)
    assert (rates[-1] < 0.5) == (schedule != "constant")


def test_no_validation(no_pictures):
    assert cnn("train", *QUICK, "--validation", 0, "--out", "run").exit_code == 0
    assert metrics("run")["val_loss"] is None
    result = cnn("train", *QUICK, "--validation", 0, "--best-weights", "--out", "other")
    assert result.exit_code == 1
    assert "cnn: best weights and early stopping choose by validation images; validation must be above 0" in (
        result.output
    )
    assert not Path("other").exists()


def test_a_folder_of_pictures(tmp_path, no_pictures):
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.clip(rng.normal(shade, 20, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    result = cnn("train", "photos", "--size", 8, "--epochs", 2, "--shards", 1, "--validation", 0)
    assert result.exit_code == 0, result.output
    run = load_run("runs/photos-1")
    assert run.classes == ("dark", "light")
    assert run.input_shape == (3, 8, 8)
    assert run.dataset == str(tmp_path / "photos")
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert "test images  2" in cnn("evaluate", tmp_path / "runs" / "photos-1").output
    assert cnn("predict", tmp_path / "runs" / "photos-1", tmp_path / "photos" / "dark" / "0.png").exit_code == 0


def test_runs_get_the_next_free_number(no_pictures):
    Path("runs/digits-2").mkdir(parents=True)
    for expected in ("digits-1", "digits-3"):
        assert f"runs/{expected}" in cnn("train", *QUICK).output
    assert names("runs/digits-2") == []


def test_force_writes_over_a_run(no_pictures):
    Path("run").mkdir()
    Path("run/metrics.json").write_text("old")
    result = cnn("train", *QUICK, "--out", "run")
    assert result.exit_code == 1
    assert result.output == "cnn: run is there already and not empty; --force writes over it\n"
    assert Path("run/metrics.json").read_text() == "old"
    assert cnn("train", *QUICK, "--out", "run", "--force", "--best-weights", "--validation", 0).exit_code == 1
    assert Path("run/metrics.json").read_text() == "old"
    assert cnn("train", *QUICK, "--out", "run", "--force").exit_code == 0
    assert names("run") == RESULTS
    assert metrics("run")["epochs"] == 1


def test_an_empty_folder_needs_no_force(no_pictures):
    Path("run").mkdir()
    assert cnn("train", *QUICK, "--out", "run").exit_code == 0


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nonsense"], "'nonsense' is none of digits, mnist, fashion-mnist, cifar10, and no folder."),
        (["--model", "gpt"], f"'gpt' is none of {', '.join(MODELS)}."),
        (["--augment", "mixup"], f"'mixup' is none of {', '.join(AUGMENTATIONS)}."),
        (["--epochs", "0"], "--epochs"),
        (["--optimizer", "lion"], "--optimizer"),
        (["--nonsense"], "--nonsense"),
        (
            ["--no-augment", "--augment", "shift"],
            "Invalid value for --no-augment: contradicts --augment shift; give one of them.",
        ),
        (["--dropout", "1"], "Invalid value for '--dropout': must lie in [0, 1), got 1.0."),
        (["--dropout", "-0.5"], "Invalid value for '--dropout': must lie in [0, 1), got -0.5."),
        (["--average", "1"], "Invalid value for '--average': must lie in [0, 1), got 1.0."),
        (["--label-smoothing", "1"], "Invalid value for '--label-smoothing': must lie in [0, 1), got 1.0."),
        (["--label-smoothing", "nan"], "Invalid value for '--label-smoothing': must lie in [0, 1), got nan."),
        (
            ["--batch-size", "2", "--shards", "3"],
            "Invalid value for --shards: 3 shards cannot share a batch of 2.",
        ),
        (
            ["--batch-size", "5000", "--shards", str(4 * CORES + 1)],
            f"Invalid value for --shards: {4 * CORES + 1} shards are too many here; at most {4 * CORES}, 4 for each "
            "core.",
        ),
    ],
)
def test_a_wrong_use_is_code_2(args, message):
    result = cnn("train", *args)
    assert result.exit_code == 2
    unframed = " ".join(result.output.replace("│", " ").split())
    assert message in unframed
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--model", "lenet5"],
            "layer 'conv2' = Conv2d(6, 16, 5, weight_init='lecun_normal') does not take (6, 4, 4): Conv2d: the "
            "kernel does not fit: height 4 padded by 0 and 0 is 4, but kernel 5 with dilation 1 reaches over 5; the "
            "model lenet5 is made for images of 28 x 28",
        ),
        (["--model", "resnet20", "--dropout", "0.5"], "the model resnet20 has no dropout to be set"),
        (
            ["--validation", "0.0001"],
            "stratified_split: fraction=0.0001 of 1438 examples leaves 1438 for training and 0 for validation",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(args, message):
    result = cnn("train", *QUICK, *args)
    assert result.exit_code == 1
    assert result.output == f"cnn: {message}\n"
    assert not Path("runs").exists() or names("runs") == []


def test_damaged_data(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"<html>404</html>")
    for part in ("train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{part}-ubyte.gz").touch()
    result = cnn("train", "mnist", "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert result.output.startswith(f"cnn: {tmp_path}/train-images-idx3-ubyte.gz: ")
    assert "HTML page" in result.output


def test_debug_shows_where_it_arose():
    wrong = ["--model", "resnet20", "--dropout", "0.5"]
    for args in (["train", *wrong, "--debug"], ["--debug", "train", *wrong]):
        result = cnn(*args)
        assert isinstance(result.exception, ValueError)
        assert str(result.exception) == "the model resnet20 has no dropout to be set"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path, number):
    def refuse(self, *args, **kwargs):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    rest = f"cannot write the folder of the run; choose another one by --out: {os.strerror(number)}\n"
    result = cnn("train", *QUICK, "--out", "run")
    assert (result.exit_code, result.output) == (1, f"cnn: run: {rest}")
    assert cnn("train", *QUICK).output == f"cnn: {tmp_path}/runs: {rest}"


def test_data_that_cannot_be_kept(monkeypatch, tmp_path):
    def refuse(self, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = cnn("train", "mnist", "--data-dir", tmp_path)
    assert (result.exit_code, result.output) == (1, _cannot_keep(tmp_path / "mnist"))
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "cache"))
    assert cnn("data", "mnist").output == _cannot_keep(tmp_path / "cache" / "mnist")


def _cannot_keep(folder):
    return (
        f"cnn: {folder}: fetch: cannot write train-images-idx3-ubyte.gz into {folder}; choose another folder by "
        "--data-dir or by the environment's CNN_DATA_DIR\n"
    )


@pytest.fixture
def read_only(mounted):
    """A file system on which nobody may write, not even root."""
    return mounted("ro")


@pytest.mark.fault("read-only-folder")
def test_a_file_system_that_is_read_only(read_only):
    reason = "choose another one by --out: Read-only file system"
    for out in (read_only, read_only / "run"):
        result = cnn("train", *QUICK, "--out", out)
        assert (result.exit_code, result.output) == (1, f"cnn: {out}: cannot write the folder of the run; {reason}\n")
    result = cnn("train", "mnist", "--data-dir", read_only)
    assert (result.exit_code, result.output) == (1, _cannot_keep(read_only / "mnist"))


def test_a_file_is_no_folder_for_a_run():
    Path("run").write_text("mine")
    for force in ([], ["--force"]):
        result = cnn("train", *QUICK, "--out", "run", *force)
        assert result.exit_code == 1
        assert result.output == "cnn: run is a file, not a folder; choose another one by --out\n"
    assert Path("run").read_text() == "mine"


@pytest.mark.parametrize("args", [("train", "mnist"), ("train", "digits"), ("data", "cifar10")])
def test_a_folder_of_data_that_is_not_there(monkeypatch, args):
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **options: pytest.fail("asked the network"))
    for name in ("nowhere", "~no-such-user/data"):
        result = cnn(*args, "--data-dir", name)
        assert result.exit_code == 1
        assert result.output == f"cnn: there is no folder {name!r}; --data-dir names one that is there\n"
    assert os.listdir() == []


def test_shards_are_no_more_than_images(no_pictures, monkeypatch):
    monkeypatch.setattr("cnn_from_scratch.parallel.default_shards", lambda: 999)
    assert cnn("train", "--epochs", 1, "--batch-size", 256, "--shards", 2, "--out", "a").exit_code == 0
    monkeypatch.setattr(training_run, "fit", lambda *args, **options: pytest.fail(str(options["shards"])))
    with pytest.raises(pytest.fail.Exception, match=r"^256$"):
        CliRunner().invoke(app, ["train", "--batch-size", "256"], catch_exceptions=False)


def test_a_broken_picture_is_named():
    Path("photos/cat").mkdir(parents=True)
    Path("photos/cat/0.png").write_text("no picture")
    for args in (["data"], ["train"]):
        result = cnn(*args, "photos")
        assert result.exit_code == 1
        assert result.output == "cnn: photos/cat/0.png: is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)\n"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_go_astray(no_pictures):
    result = cnn("train", *QUICK, "--optimizer", "sgd", "--lr", "1e30", "--schedule", "constant", "--out", "run")
    assert result.exit_code == 1
    last = result.output.splitlines()[-1]
    assert last.startswith("cnn: stopped after 0 of 1 epochs: fit: the ")
    assert last.endswith("; the model and its history are in run")
    assert names("run") == RESULTS
    found = metrics("run")
    assert found["test_accuracy"] is None
    assert found["interrupted"] is False
    assert found["stopped"].startswith("fit: the ")


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def _interrupting(*args, **options):
    """`fit`, but Ctrl-C is pressed in its first epoch."""

    class PressCtrlC(training_run.Callback):
        def on_step_end(self, progress, result):
            if progress.step == 2:
                signal.raise_signal(signal.SIGINT)

    return fit(*args, **{**options, "callbacks": [*options["callbacks"], PressCtrlC()]})


def test_ctrl_c_keeps_what_there_is(monkeypatch):
    monkeypatch.setattr(training_run, "fit", _interrupting)
    result = cnn("train", "--epochs", 3, "--out", "run")
    assert result.exit_code == 130
    assert result.output == (
        "cnn: interrupted after 0 of 3 epochs; the model as it is, its history and figures are in run; this goes on:\n"
        "cnn train --resume run\n"
    )
    assert names("run") == RESULTS
    found = metrics("run")
    assert (found["interrupted"], found["stopped"], found["test_accuracy"]) == (True, "KeyboardInterrupt", None)
    fresh = build_model(RECIPES["digits"], load_digits(), seed=0)
    assert (load_model("run/model.safetensors").params["fc.weight"] != fresh.params["fc.weight"]).any()
    assert Path("run/history.csv").read_text() == "epoch,loss\n"


def test_ctrl_c_during_the_last_figures(monkeypatch):
    def press(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run.Trained, "evaluate", press)
    result = cnn("train", *QUICK, "--out", "run")
    assert result.exit_code == 130
    assert "cnn: interrupted after 1 of 1 epochs; " in result.output
    assert result.output.splitlines()[-1] == "cnn train --resume run"
    assert metrics("run")["interrupted"] is True
    assert load_run("run").classes[0] == "0"


def test_ctrl_c_before_anything_was_done(monkeypatch):
    def press(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "load_dataset", press)
    result = cnn("train", *QUICK)
    assert (result.exit_code, result.output) == (130, "cnn: interrupted\n")
    assert os.listdir() == []


COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this test runs under
from cnn_from_scratch.cli import main
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.fault("interrupted")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_signal(sent, code):
    command = [sys.executable, "-c", COMMAND, "train", "--epochs", "200", "--batch-size", "256", "--out", "run"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr.readline().startswith("epoch 1/200  loss ")
        process.send_signal(sent)
        rest = process.stderr.read()
        assert process.wait(30) == code
    assert rest.splitlines()[-2].startswith("cnn: interrupted after ")
    assert rest.splitlines()[-1] == "cnn train --resume run"
    assert "Traceback" not in rest
    found = metrics("run")
    assert found["interrupted"] is True
    assert 1 <= found["epochs"] < 200
    assert load_run("run").input_shape == (1, 8, 8)


# --- without the command line ---------------------------------------------------------------------------------------


def test_a_recipe_on_any_data_set():
    fold = digits_folds(5)[0]
    result = train_recipe(DIGITS, fold, seed=1, shards=1)
    assert result.evaluation.examples == 360
    assert 0.3 < result.evaluation.accuracy <= 1
    again = train_recipe(DIGITS, fold, seed=1, shards=1)
    np.testing.assert_array_equal(result.evaluation.logits, again.evaluation.logits)


def test_validation_images_come_from_the_training_images():
    data = load_digits()
    normalization = plan.normalization_of(data.train, data.maximum)
    learn, check = plan._parts(DIGITS._replace(validation=0.25), data, normalization, seed=5)
    kept, held_out = stratified_split(data.train.y, 0.25, seed=5)
    np.testing.assert_array_equal(learn.examples.x, data.train.x[kept])
    np.testing.assert_array_equal(check.examples.x, data.train.x[held_out])
    assert learn.augment is not None
    assert check.augment is None


def test_what_follows_from_a_change():
    recipe = Recipe("mnist_cnn", epochs=5, dropout=0.4, lr=2e-3, validation=0)
    assert changed_recipe(recipe, {}) == recipe
    assert changed_recipe(recipe, {"model": "mnist_cnn", "optimizer": "adam"}) == recipe
    assert changed_recipe(recipe, {"model": "lenet5"}).dropout is None
    assert changed_recipe(recipe, {"model": "digits_cnn", "dropout": 0.1}).dropout == 0.1
    assert changed_recipe(recipe, {"optimizer": "rmsprop"}).lr == 1e-3
    assert changed_recipe(recipe, {"optimizer": "rmsprop", "lr": 0.5}).lr == 0.5
    assert changed_recipe(recipe, {"early_stopping": 2}).validation == 0.1
    assert changed_recipe(recipe, {"best_weights": True, "validation": 0.2}).validation == 0.2
    assert changed_recipe(recipe, {"best_weights": True, "validation": 0.0}).validation == 0


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_followed(name):
    recipe = RECIPES[name]
    assert recipe.augment in AUGMENTATIONS
    shape = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28)}.get(name, (3, 32, 32))
    data = load_digits()
    images = np.zeros((2, *shape), np.uint8)
    data = data._replace(train=data.train._replace(x=images))
    assert build_model(recipe, data, seed=0).output_shape(shape) == (10,)
    x = np.ones((2, *shape), np.float32)
    augment = AUGMENTATIONS[recipe.augment]
    assert augment is None or augment(x, np.random.default_rng(0)).shape == x.shape
