"""`cnn evaluate`, `predict`, `summary`, `data`, and what `cnn` does by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import cnn, draw_one
from ladder import REAL_DATA
from PIL import Image

from cnn_from_scratch import __version__
from cnn_from_scratch.cli import errors, letters, saved_run
from cnn_from_scratch.cli.catalogue import usual_input
from cnn_from_scratch.cli.saved_run import load_run, run_metadata
from cnn_from_scratch.cli.source import PixelSource, normalization_of
from cnn_from_scratch.data import Examples, Normalization, RandomFlip, fit_picture, load_digits, prepare_small_digit
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.layers import Flatten, GlobalAvgPool2d, Linear, Sequential
from cnn_from_scratch.models import IMAGENET_PARAMETERS, MODELS
from cnn_from_scratch.training import evaluate

# --- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_says_what_the_library_says(run):
    result = cnn("evaluate", run)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    accuracy, loss = json.loads((run / "accuracy").read_text())
    assert ["test", "images", "359"] in lines
    assert ["accuracy", f"{100 * accuracy:.2f}", "%"] in lines
    assert ["loss", f"{loss:.4f}"] in lines
    assert [line[0] for line in lines if line and line[0].startswith("top-")] == ["top-2", "top-3", "top-5"]
    counts = np.array([line[1:] for line in lines if len(line) == 11 and line[0].isdigit()], int)
    assert counts.sum() == 359
    assert np.trace(counts) / 359 == pytest.approx(accuracy)
    precision, recall = counts[3, 3] / counts[:, 3].sum(), counts[3, 3] / counts[3].sum()
    assert ["3", f"{precision:.4f}", f"{recall:.4f}"] in [line[:3] for line in lines]


def test_evaluate_takes_the_file_of_the_model(run):
    assert cnn("evaluate", run / "model.safetensors").output == cnn("evaluate", run).output


def test_evaluate_refuses_other_classes(tmp_path, run):
    found = load_run(run)
    known = run_metadata("digits", tuple("abcdefghij"), found.input_shape, found.normalization, found.preparation)
    save_model(found.model, tmp_path / "model.safetensors", metadata=known)
    result = cnn("evaluate", tmp_path)
    assert (result.exit_code, result.output) == (
        1,
        f"cnn: {tmp_path}/model.safetensors: was trained on other classes than digits has now\n",
    )


# --- predict --------------------------------------------------------------------------------------------------------


def test_predict_reads_a_drawing(tmp_path, run):
    dark = draw_one(tmp_path / "dark.png")
    light = draw_one(tmp_path / "light.jpg", ink=240, paper=30)
    result = cnn("predict", run, dark, light, "--top", 2)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 2
    for path, line in zip((dark, light), lines, strict=True):
        assert line.startswith(f"{path}: 1 ")
        assert line.count("%") == 2


def test_the_probabilities_are_the_softmax_of_the_model(tmp_path, run):
    found, path = load_run(run), draw_one(tmp_path / "one.png")
    image = found.prepare(path)
    np.testing.assert_array_equal(image, prepare_small_digit(path)[None])
    probabilities = found.predict(image[None])[0]
    assert probabilities.sum() == pytest.approx(1)
    logits = found.model.predict(found.normalization.apply(image[None]))[0].astype(float)
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-5)
    assert f"1 {100 * probabilities[1]:.1f} %" in cnn("predict", run, path).output


def test_predict_shows_what_the_network_sees(tmp_path, run):
    lines = cnn("predict", run, draw_one(tmp_path / "one.png"), "--show").output.splitlines()
    assert len(lines) == 5
    assert all(len(line) == 8 and set(line) <= set(" ░▒▓█") for line in lines[:4])
    assert "█" in lines[3]


def test_one_bad_picture_does_not_stop_the_others(tmp_path, run):
    good, text, blank = draw_one(tmp_path / "one.png"), tmp_path / "text.png", tmp_path / "blank.png"
    text.write_text("hello")
    Image.new("RGB", (30, 30), "white").save(blank)
    result = cnn("predict", run, text, tmp_path / "missing.png", blank, tmp_path, good)
    assert result.exit_code == 1
    assert result.output.splitlines()[:4] == [
        f"cnn: {text}: is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)",
        f"cnn: {tmp_path}/missing.png: No such file or directory",
        f"cnn: {blank}: find_ink: nothing in the picture stands out from its background",
        f"cnn: {tmp_path}: Is a directory",
    ]
    assert result.output.splitlines()[4].startswith(f"{good}: 1 ")


def test_a_run_on_other_pictures_scales_them(tmp_path):
    model = Sequential(GlobalAvgPool2d(), Flatten(), Linear(3, 2, rng=0))
    known = run_metadata("photos", ("red", "blue"), (3, 6, 4), Normalization((0.5,) * 3, (0.25,) * 3), "picture")
    save_model(model, tmp_path / "model.safetensors", metadata=known)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    found = load_run(tmp_path)
    np.testing.assert_array_equal(found.prepare(pixels), fit_picture(pixels, (6, 4), channels=3))
    assert found.predict(found.prepare(pixels)[None]).shape == (1, 2)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({}, "KeyError: 'dataset'"),
        ({"classes": 3}, "TypeError: 'int' object is not iterable"),
        ({"classes": ["a"]}, "ValueError: 1 classes, but the model gives (2,)"),
        ({"input_shape": [1, 8]}, "ValueError: not enough values to unpack (expected 3, got 2)"),
        ({"input_shape": [3, 8, 10**9]}, "ValueError: images of shape (3, 8, 1000000000)"),
        ({"input_shape": [2, 8, 8]}, "ValueError: images of shape (2, 8, 8)"),
        ({"preparation": "uci-digit"}, "ValueError: images of shape (3, 6, 4) prepared as uci-digit"),
        ({"normalization": [[0.5], [0.5]]}, "ValueError: Normalization(mean=(0.5,), std=(0.5,)) for 3 channels"),
        (
            {"normalization": [[0, 0, 0], [1, 0, 1]]},
            "ValueError: Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 0.0, 1.0)) for 3 channels",
        ),
        ({"normalization": [[1], [2], [3]]}, "TypeError: "),
    ],
)
def test_a_model_that_no_run_wrote(tmp_path, known, message):
    right = run_metadata("photos", ("a", "b"), (3, 6, 4), Normalization((0.5,) * 3, (0.25,) * 3), "picture")
    path = tmp_path / "model.safetensors"
    model = Sequential(GlobalAvgPool2d(), Flatten(), Linear(3, 2, rng=0))
    save_model(model, path, metadata=right | known if known else {})
    with pytest.raises(FormatError) as caught:
        load_run(tmp_path)
    assert str(caught.value).startswith(f"{path}: was not written by cnn train: {message}")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_missing_or_damaged_run(tmp_path, command):
    picture = [draw_one(tmp_path / "one.png")] if command == "predict" else []
    result = cnn(command, tmp_path / "nowhere", *picture)
    assert result.exit_code == 1
    assert result.output == f"cnn: {tmp_path}/nowhere is no run: there is no model.safetensors in it\n"
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    result = cnn(command, tmp_path, *picture)
    assert result.exit_code == 1
    assert result.output == (f"cnn: {tmp_path}/model.safetensors: not a safetensors file: it begins with b'garbage'\n")


# --- summary, data --------------------------------------------------------------------------------------------------


def test_summary_lists_the_networks():
    output = cnn("summary").output
    for name, make in MODELS.items():
        (line,) = [line for line in output.splitlines() if line.startswith(f"{name} ")]
        size = usual_input(name)
        assert "x".join(map(str, size)) in line
        if name in IMAGENET_PARAMETERS:  # the tests of the models hold these to what is there
            assert f" {IMAGENET_PARAMETERS[name]:,} " in line
            continue
        count = sum(array.size for array in make(in_channels=size[0]).params.values())
        assert f"{count:,}" in line
        assert make(in_channels=size[0]).output_shape(size) == (10,)


@pytest.mark.parametrize("args", [("summary",), ("data", "digits")])
def test_tables_end_without_blanks(args):
    lines = cnn(*args).output.splitlines()
    assert len(lines) > 5
    assert [line for line in lines if line != line.rstrip()] == []


def test_summary_of_a_network():
    output = cnn("summary", "vgg_small", "--input", "1x16x16").output
    assert output.count("conv1") == 1
    assert "for one example (1, 16, 16) in float32" in output


def test_summary_of_a_network_for_photographs():
    output = cnn("summary", "squeezenet1_1").output
    assert "for one example (3, 224, 224) in float32; 1,235,496 parameters take 4.7 MiB" in output


def test_summary_of_a_run(run):
    output = cnn("summary", run).output
    assert "75,434 parameters" in output
    assert "for one example (1, 8, 8) in float32" in output


def test_summary_of_nothing():
    result = cnn("summary", "gpt")
    assert result.exit_code == 1
    assert result.output == f"cnn: 'gpt' is neither a run nor one of {', '.join(MODELS)}\n"
    for shape in ("3x64", "0x1x1", "3x64x64x1", "100000x1x1"):
        assert cnn("summary", "vgg_small", "--input", shape).exit_code == 2
    result = cnn("summary", "lenet5", "--input", "1x4x4")
    assert result.exit_code == 1
    assert result.output.startswith("cnn: layer 'conv2' = Conv2d(6, 16, 5, weight_init='lecun_normal') does not take (")


def test_data_counts_the_digits():
    lines = [line.split() for line in cnn("data", "digits").output.splitlines()]
    counts = np.bincount(load_digits().train.y)
    assert ["0", str(counts[0]), "36"] in lines
    assert ["all", "1,438", "359"] in lines
    assert ["lies", "in", "the", "package", "itself"] in lines


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not part of the repository")
def test_data_says_where_mnist_lies():
    output = cnn("data", "mnist", "--data-dir", REAL_DATA).output
    assert f"lies in {REAL_DATA / 'mnist'}\n" in output
    assert ["all", "60,000", "10,000"] in [line.split() for line in output.splitlines()]


def test_data_of_a_folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (8, 8), "red").save(tmp_path / "pets" / name / f"{i}.png")
    output = cnn("data", tmp_path / "pets").output
    assert f"lies in {tmp_path}/pets\n" in output
    assert ["cat", "4", "1"] in [line.split() for line in output.splitlines()]


def test_data_of_nothing():
    result = cnn("data", "imagenet")
    assert result.exit_code == 2
    assert "'imagenet' is none of digits, mnist, fashion-mnist, cifar10, and no folder." in " ".join(
        result.output.replace("│", " ").split()
    )


# --- cnn itself -----------------------------------------------------------------------------------------------------


def test_version():
    assert cnn("--version").output == f"cnn-from-scratch {__version__}\n"


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "show", "explain", "summary", "data", "check"])
def test_every_command_explains_itself_by_examples(command):
    result = cnn(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"cnn {command}" in result.output


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = (
        "import sys; from cnn_from_scratch.cli import main\n"
        "sys.argv = ['cnn', '--help']\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'PIL', 'safetensors') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Convolutional networks with glass walls" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "[]"


def test_the_installed_command():
    command = Path(sys.executable).with_name("cnn")
    if not command.exists():
        pytest.skip("the package is not installed beside this Python")
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout == f"cnn-from-scratch {__version__}\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("no mirror"), "no mirror"),
        (OSError("name it by data_dir=... or not"), "name it by --data-dir or not"),
        (MemoryError(), "MemoryError"),
        (FormatError("a.png: is no image"), "a.png: is no image"),
    ],
)
def test_errors_as_sentences(error, text):
    assert errors.sentence(error) == text


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(saved_run, "load_run", broken)
    assert isinstance(cnn("evaluate", "x").exception, ZeroDivisionError)


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that nobody reads is another error there")
@pytest.mark.parametrize("arguments", [["summary", "digits_cnn"], ["check"], ["--help"]])
def test_a_reader_that_has_enough_ends_it_in_silence(tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)  # as `| head -1` does in the end
    code = "from cnn_from_scratch.cli import main; main()"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", code, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
    finally:
        os.close(writer)
    assert (answer.returncode, answer.stderr) == (1, "")


@pytest.mark.parametrize(
    ("encoding", "sign"), [("ascii", b". im2col"), ("cp437", b"\xfa im2col"), ("utf-8", "· im2col".encode())]
)
def test_letters_that_a_terminal_lacks_have_others_for_them(tmp_path, encoding, sign):
    (tmp_path / "exercises").mkdir()
    code = "from cnn_from_scratch.cli import main; main()"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    for arguments in (["--new"], ["im2col"]):
        command = [sys.executable, "-c", code, "check", *arguments]
        answer = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False)
        assert answer.stderr == b""
    assert answer.stdout.startswith(sign)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_every_letter_of_ours_has_one_for_it(encoding):
    letters.print_everywhere()
    text = "".join(letters.LIKE) + "\u4e00"
    assert text.encode(encoding, errors="cnn.like")[-1:] == b"?"
    assert len(text.encode(encoding, errors="cnn.like")) == len(text)


# --- images as bytes ------------------------------------------------------------------------------------------------


def test_images_as_bytes_give_what_floats_give():
    data = load_digits()
    normalization = normalization_of(data.train, data.maximum)
    reference = Normalization.of(data.scaled().train.x)
    np.testing.assert_allclose(np.array(normalization), np.array(reference), rtol=1e-6)
    source = PixelSource(data.test, data.maximum, normalization)
    x, y = source.batch(np.array([5, 2]), np.random.default_rng(0))
    np.testing.assert_array_equal(x, normalization.apply(data.scaled().test.x[[5, 2]]))
    np.testing.assert_array_equal(y, data.test.y[[5, 2]])
    assert x.dtype == np.float32
    model = MODELS["digits_cnn"]()
    floats = (normalization.apply(data.scaled().test.x), data.test.y)
    np.testing.assert_array_equal(evaluate(model, source).logits, evaluate(model, floats).logits)


def test_a_constant_channel_is_left_as_it_is():
    examples = Examples(np.full((2, 2, 1, 1), 255, np.uint8), np.array([0, 1]))
    assert normalization_of(examples, 255) == Normalization((1.0, 1.0), (1.0, 1.0))


def test_augmentation_comes_before_normalization():
    examples = Examples(np.array([0, 255], np.uint8).reshape(1, 1, 1, 2), np.array([0]))
    source = PixelSource(examples, 255, Normalization((1.0,), (0.5,)), RandomFlip(p=1.0))
    x, _ = source.batch(np.array([0]), np.random.default_rng(0))
    assert x.ravel().tolist() == [0.0, -2.0]
