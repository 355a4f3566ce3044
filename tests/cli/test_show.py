"""`cnn show` draws what is asked for, leaves out what makes no sense, and leaves nothing half done."""

from __future__ import annotations

import errno
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import cnn, draw_one
from PIL import Image

from cnn_from_scratch import insight
from cnn_from_scratch.cli import own_data, scene
from cnn_from_scratch.cli.choices import What
from cnn_from_scratch.cli.own_data import OwnData, find_subject
from cnn_from_scratch.cli.saved_run import load_run, run_metadata
from cnn_from_scratch.cli.scene import KINDS, Scene
from cnn_from_scratch.cli.show import USUAL
from cnn_from_scratch.data import Normalization, load_digits
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.insight import image_optimizer
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, ReLU, Residual, Sequential

LAYERS = "conv1, bn1, relu1, conv2, bn2, relu2, pool, conv3, bn3, relu3, conv4, bn4, relu4, flatten, dropout, fc"


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def same_picture(path, figure):
    expected = io.BytesIO()
    figure.savefig(expected, format="png", dpi=150)
    np.testing.assert_array_equal(pixels(path), pixels(expected))


@pytest.fixture
def hasty(monkeypatch):
    """What is found by gradients takes three steps, for nobody looks at it."""
    monkeypatch.setattr(scene, "STEPS", 3)


@pytest.fixture
def plain(tmp_path):
    """A run without convolution and rectifier, on a data set that is not to be had."""
    folder = tmp_path / "plain"
    folder.mkdir()
    known = run_metadata("photos", ("cat", "dog"), (1, 6, 4), Normalization((0.5,), (0.25,)), "picture")
    model = Sequential(Flatten(), Linear(24, 2, rng=0))
    save_model(model, folder / "model.safetensors", metadata=known)
    return folder


# --- what is drawn --------------------------------------------------------------------------------------------------


def test_every_kind_has_a_name_on_the_command_line():
    assert [*KINDS, "all"] == list(What)
    assert set(USUAL) < set(KINDS)


@pytest.mark.usefixtures("hasty")
def test_all_pictures(tmp_path, run):
    result = cnn("show", run, "--what", "all", "--out", tmp_path / "all")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "all") == sorted([*(f"{kind}.png" for kind in KINDS), "trace.csv"])
    for kind in KINDS:
        seen = pixels(tmp_path / "all" / f"{kind}.png")
        assert 300 <= seen.shape[0] <= 1600, kind
        assert 600 <= seen.shape[1] <= 1600, kind
        assert (seen == 255).all(2).mean() < 0.97, kind  # it is not empty
    subject, *lines = result.output.splitlines()
    assert re.fullmatch(r"test image (\d+) of digits: (\d), taken for \2, \d\d\.\d %", subject)
    files = [line.split("  ")[0] for line in lines]
    assert sorted(files) == sorted(str(tmp_path / "all" / name) for name in names(tmp_path / "all"))
    assert f"{tmp_path}/all/filters.png  Filters of conv1" in lines
    assert f"{tmp_path}/all/patches.png  Images that excite units of layer relu2 most" in lines


def test_the_usual_ones_go_into_the_run(tmp_path, run):
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    for path in (tmp_path, tmp_path / "model.safetensors"):
        result = cnn("show", path)
        assert result.exit_code == 0, result.output
        assert names(tmp_path / "show") == ["attributions.png", "filters.png", "maps.png", "trace.csv", "trace.png"]


def test_a_picture_is_seen_as_predict_sees_it(tmp_path, run):
    photo, found = draw_one(tmp_path / "one.png"), load_run(run)
    result = cnn("show", run, photo, "--what", "saliency", "--class", 3, "--out", tmp_path)
    assert result.output.startswith(f"{photo}: taken for 1, ")
    assert (
        result.output.splitlines()[0].replace("taken for 1, ", "1 ")
        == cnn("predict", run, photo, "--top", 1).output.strip()
    )
    image = found.prepare(photo)
    x = found.normalization.apply(image[None])
    same_picture(
        tmp_path / "saliency.png", insight.plot_saliency(found.model, x, 3, image=image, classes=found.classes)
    )


def test_layer_and_class(tmp_path, run):
    found, test = load_run(run), load_digits().scaled().test
    options = "--what gradcam --what filters --layer conv2 --class 4 --index 7".split()
    result = cnn("show", run, *options, "--out", tmp_path)
    assert result.output.startswith(f"test image 7 of digits: {test.y[7]}, taken for ")
    image = test.x[7]
    x = found.normalization.apply(image[None])
    figure = insight.plot_gradcam(found.model, x, 4, key="conv2", image=image, classes=found.classes)
    same_picture(tmp_path / "gradcam.png", figure)
    same_picture(tmp_path / "filters.png", insight.plot_filters(found.model, "conv2"))


@pytest.mark.usefixtures("hasty")
def test_units_of_a_layer(tmp_path, run):
    result = cnn("show", run, "--what", "activation", "--layer", "conv1", "--out", tmp_path)
    assert result.output == f"{tmp_path}/activation.png  What excites each unit of layer conv1 most\n"
    found = load_run(run)
    maxima = insight.maximize_activation(
        found.model, range(16), (1, 8, 8), key="conv1", position="center", normalization=found.normalization, steps=3
    )
    same_picture(tmp_path / "activation.png", insight.plot_activation_maxima(maxima))
    cnn("show", run, "--what", "activation", "--class", "3", "--out", tmp_path)
    maxima = insight.maximize_activation(found.model, 3, (1, 8, 8), normalization=found.normalization, steps=3)
    same_picture(tmp_path / "activation.png", insight.plot_activation_maxima(maxima))


def test_the_table_of_the_trace(tmp_path, run):
    cnn("show", run, "--what", "trace", "--index", 5, "--out", tmp_path)
    found, test = load_run(run), load_digits().scaled().test
    expected = insight.trace(found.model, found.normalization.apply(test.x[5:6]), test.y[5:6]).table()
    table = pd.read_csv(tmp_path / "trace.csv", keep_default_na=False)
    assert table["key"].tolist() == LAYERS.split(", ")
    assert list(table) == list(expected)
    np.testing.assert_allclose(table["norm_dx"].astype(float), expected["norm_dx"])


def test_the_image_that_is_shown_is_read_right_but_not_all_too_surely(run, monkeypatch):
    found, data = load_run(run), load_digits()
    probabilities = found.predict(data.scaled().test.x)
    right = np.flatnonzero(probabilities.argmax(1) == data.test.y)
    own = OwnData(found, None)
    for sure in (0.9999, 0.5, 0.0):
        monkeypatch.setattr(own_data, "SURE", sure)
        unsure = [n for n in right if probabilities[n].max() <= sure]
        assert find_subject(own, None, None).name == f"test image {(unsure or list(right))[0]} of digits"


def test_layers_for_patches_and_inversion_exist_in_branches():
    body = Sequential(Conv2d(4, 4, 3, padding=1, rng=0), ReLU(), Conv2d(4, 4, 3, padding=1, rng=1))
    model = Sequential({"stem": Conv2d(1, 4, 3, rng=2), "block": Residual(body), "flat": Flatten()})
    known = run_metadata("x", ("a",), (1, 9, 9), Normalization((0.0,), (1.0,)), "picture")
    found = scene.Run("", model, "x", known["classes"], (1, 9, 9), Normalization((0.0,), (1.0,)), "picture")
    keys = scene._telling_layers(found)
    assert keys[0] == "stem"
    assert len(keys) == 4
    assert scene._patch_layer(found) == "block.body.1"  # 5 of 9 rows; the next one sees 7
    assert [insight.receptive_windows(model, (1, 9, 9), key).size[0] for key in keys] == [3, 5, 5, 7]


# --- what is left out -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
def test_what_makes_no_sense_is_left_out(tmp_path, plain):
    photo = draw_one(tmp_path / "one.png")
    result = cnn("show", plain, photo, "--what", "all")
    assert result.exit_code == 0
    written = {"maps", "trace", "saliency", "integrated", "smoothgrad", "occlusion"}
    written |= {"attributions", "activation", "inversion"}
    assert names(plain / "show") == sorted([*(f"{name}.png" for name in written), "trace.csv"])
    reasons = [line for line in result.output.splitlines() if line.startswith("cnn: ")]
    assert reasons[0] == "cnn: left out filters: find_convolution: the model has no Conv2d"
    assert reasons[1].startswith("cnn: left out guided: guided_backpropagation: the model has no rectifier")
    assert reasons[2].startswith("cnn: left out gradcam: last_spatial_layer: no layer but pools gives maps")
    assert reasons[3:] == [
        "cnn: left out patches, embedding: 'photos' is neither a data set (digits, mnist, fashion-mnist, cifar10) "
        "nor a folder of pictures",
    ]


def test_without_any_image(plain):
    missing = (
        "'photos' is neither a data set (digits, mnist, fashion-mnist, cifar10) nor a folder of pictures; "
        "or name a picture after the run\n"
    )
    result = cnn("show", plain)
    assert (result.exit_code, result.output) == (
        1,
        "cnn: left out filters: find_convolution: the model has no Conv2d\n"
        f"cnn: left out maps, trace, attributions: {missing}",
    )
    result = cnn("show", plain, "--what", "maps")
    assert (result.exit_code, result.output) == (1, f"cnn: {missing}")
    assert names(plain) == ["model.safetensors"]


def test_a_data_set_that_is_not_to_be_had_is_asked_for_once(plain, monkeypatch):
    asked = []

    def offline(*args):
        asked.append(args)
        raise OSError("no mirror gives it")

    monkeypatch.setattr(own_data, "dataset_of", offline)
    assert "left out patches, embedding: no mirror gives it\n" in cnn("show", plain, "--what", "all").output
    assert len(asked) == 1


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--what maps --layer conv9", f"--layer conv9: there is no such layer; those of this model: {LAYERS}"),
        ("--what saliency --class 10", "--class 10: the classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("--what maps --index 359", "--index 359: the test images of digits go from 0 to 358"),
        (
            "--what saliency --what maps --layer conv1",
            "--layer says nothing to saliency, maps; "
            "it is for filters, gradcam, activation, inversion, patches, embedding",
        ),
        (
            "--what maps --class 1",
            "--class says nothing to maps; it is for trace, saliency, guided, integrated, smoothgrad, occlusion, "
            "gradcam, attributions, activation",
        ),
        (
            "--what filters --layer fc",
            "find_convolution: no Conv2d has the key 'fc'; those that have one: conv1, conv2, conv3, conv4",
        ),
    ],
)
def test_options_that_do_not_fit(tmp_path, run, options, message):
    result = cnn("show", run, *options.split(), "--out", tmp_path / "out")
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, f"cnn: {message}")
    assert names(tmp_path) == []


def test_a_class_by_its_name_or_its_number(plain, tmp_path):
    photo = draw_one(tmp_path / "one.png")
    for name in ("dog", "1"):
        result = cnn("show", plain, photo, "--what", "saliency", "--class", name)
        assert result.output.splitlines()[-1].endswith("Saliency: pixels that would change the score of dog")
    result = cnn("show", plain, photo, "--class", "mouse")
    assert result.output == "cnn: --class mouse: the classes are cat, dog, or 0 to 1\n"


def test_one_image_at_a_time(tmp_path, run):
    photo = draw_one(tmp_path / "one.png")
    result = cnn("show", run, photo, "--index", 3)
    assert result.output == f"cnn: --index 3 is a test image, and {photo} is another one; ask for one of them\n"


def test_a_picture_that_cannot_be_read(tmp_path, run):
    out = tmp_path / "out"
    result = cnn("show", run, tmp_path / "missing.png", "--out", out)
    assert (result.exit_code, result.output) == (1, f"cnn: {tmp_path}/missing.png: No such file or directory\n")
    (tmp_path / "text.png").write_text("hello")
    result = cnn("show", run, tmp_path / "text.png", "--what", "all", "--out", out)
    assert result.output == f"cnn: {tmp_path}/text.png: is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)\n"
    assert not out.exists()


def test_no_such_kind(run):
    result = cnn("show", run, "--what", "dreams")
    assert result.exit_code == 2
    assert "'dreams' is not one of 'filters', 'maps'" in " ".join(result.output.replace("│", " ").split())


def test_a_folder_that_cannot_be(tmp_path, run):
    (tmp_path / "file").write_text("")
    result = cnn("show", run, "--what", "filters", "--out", tmp_path / "file")
    assert result.output == f"cnn: {tmp_path}/file is a file, not a folder; choose another one by --out\n"


def test_a_folder_that_is_not_to_be_written(tmp_path, run, monkeypatch):
    def forbidden(self, *args, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    result = cnn("show", run, "--what", "filters")
    assert (result.exit_code, result.output) == (
        1,
        f"cnn: {run}/show: cannot write the folder of the pictures; choose another one by --out: "
        "Read-only file system\n",
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device", "trace.png")])
def test_nothing_half_done_stays(tmp_path, run, monkeypatch, error):
    def broken(figure, path):
        raise error

    monkeypatch.setattr(insight, "save_figure", broken)
    result = cnn("show", run, "--what", "trace", "--out", tmp_path / "out")
    assert result.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["activation", "inversion"])
def test_ctrl_c_in_the_middle_of_a_search(tmp_path, run, monkeypatch, kind):
    def interrupted(*args, **options):  # the library ends the search, and gives what it has
        raise KeyboardInterrupt

    monkeypatch.setattr(image_optimizer, "gaussian_blur", interrupted)
    result = cnn("show", run, "--what", kind, "--what", "filters", "--out", tmp_path / "out")
    assert (result.exit_code, result.output.splitlines()[-1]) == (130, "cnn: interrupted")
    assert names(tmp_path) == []


def test_what_was_in_the_folder_stays(tmp_path, run):
    (tmp_path / "mine.txt").write_text("mine")
    assert cnn("show", run, "--what", "filters", "--out", tmp_path).exit_code == 0
    assert names(tmp_path) == ["filters.png", "mine.txt"]


def test_the_class_of_the_loss(run):
    found = load_run(run)
    own = OwnData(found, None)
    label = int(load_digits().test.y[7])
    assert Scene(found, own, index=7).right == label
    assert Scene(found, own, index=7, target=2).right == 2
    subject = find_subject(own, None, 7)
    unknown = Scene(found, own)
    unknown.subject = subject._replace(label=None, probabilities=np.eye(10, dtype=np.float32)[6])
    assert unknown.right == 6
