"""`cnn import` and `cnn export`, and `cnn summary` and `cnn predict` on what they leave."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import cnn, draw_one

from cnn_from_scratch.cli.model_file import open_model
from cnn_from_scratch.cli.saved_run import load_run, run_metadata
from cnn_from_scratch.data import Normalization, prepare_imagenet
from cnn_from_scratch.formats import load_metadata, load_model, read_state_dict, save_model, save_onnx, save_safetensors
from cnn_from_scratch.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential, Softmax
from cnn_from_scratch.models import digits_cnn, resnet20, squeezenet1_1

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[test]'")

DIGITS = tuple("0123456789")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path):
    """An untrained network for the digits, as `cnn train` leaves one."""
    known = run_metadata("digits", DIGITS, (1, 8, 8), Normalization((0.3,), (0.4,)), "uci-digit")
    (tmp_path / "run").mkdir()
    save_model(digits_cnn(seed=3), tmp_path / "run" / "model.safetensors", metadata=known)
    return tmp_path / "run"


def tiny(path, *layers, shape=(3, 6, 4)):
    """A model that another program might have written."""
    save_onnx(Sequential(*(layers or (GlobalAvgPool2d(), Flatten(), Linear(3, 2, rng=0)))), path, input_shape=shape)
    return path


def error(*arguments):
    result = cnn(*arguments)
    assert result.exit_code == 1, result.output
    return result.output


# --- there and back -------------------------------------------------------------------------------------------------


def test_export_writes_both_kinds(run):
    result = cnn("export", run, "--onnx", "digits.onnx", "--safetensors", "weights.safetensors")
    assert (result.exit_code, result.output) == (
        0,
        "digits.onnx  ONNX, images 1x8x8, 10 classes\nweights.safetensors  26 arrays for load_state_dict\n",
    )
    model = load_model(run / "model.safetensors")
    for key, array in read_state_dict("weights.safetensors").items():
        np.testing.assert_array_equal(array, (model.params | model.buffers)[key], strict=True)
    onnx.checker.check_model("digits.onnx", full_check=True)
    (entry,) = onnx.load("digits.onnx").metadata_props
    assert entry.key == "cnn_from_scratch"
    assert json.loads(entry.value) == load_metadata(run / "model.safetensors")


def test_an_exported_run_predicts_as_the_run(run, tmp_path):
    cnn("export", run, "--onnx", "digits.onnx")
    picture = draw_one(tmp_path / "one.png")
    of_run = cnn("predict", run, picture, "--show").output
    assert cnn("predict", "digits.onnx", picture, "--show").output == of_run
    assert cnn("import", "digits.onnx", "--out", "again").exit_code == 0
    assert cnn("predict", "again", picture, "--show").output == of_run
    assert of_run.count("%") == 3


def test_an_imported_run_is_evaluated_and_exported_again(run):
    cnn("export", run, "--onnx", "first.onnx")
    cnn("import", "first.onnx", "--out", "again")
    first, again = (cnn("evaluate", folder).output.splitlines() for folder in (run, "again"))
    assert again == first
    assert cnn("export", "again", "--onnx", "second.onnx").exit_code == 0
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    ours, theirs = (open_model(run.parent / name).model.predict(x) for name in ("first.onnx", "second.onnx"))
    np.testing.assert_array_equal(ours, theirs)


def test_import_says_what_it_found(run):
    cnn("export", run, "--onnx", "digits.onnx")
    result = cnn("import", "digits.onnx")
    assert result.exit_code == 0, result.output
    assert result.output == (
        "model       digits.onnx\n"
        "parameters  75,434\n"
        "images      1x8x8\n"
        "classes     10: 0, 1, 2 ...\n"
        "pictures    prepared as uci-digit, then (x - 0.3) / 0.4\n"
        "written     runs/digits-1\n"
        "\n"
        "Next: cnn summary runs/digits-1  or  cnn predict runs/digits-1 image.png\n"
    )
    assert "written     runs/digits-2\n" in cnn("import", "digits.onnx").output


def test_import_into_a_file(run):
    cnn("export", run, "--onnx", "digits.onnx")
    assert "written     here.safetensors\n" in cnn("import", "digits.onnx", "--out", "here.safetensors").output
    assert load_run("here.safetensors").classes == DIGITS
    assert error("import", "digits.onnx", "--out", "here.safetensors") == (
        "cnn: here.safetensors is there already; --force writes over it\n"
    )
    assert cnn("import", "digits.onnx", "--out", "here.safetensors", "--force").exit_code == 0


# --- what a file does not say ---------------------------------------------------------------------------------------


def test_classes_are_numbers_and_pictures_scaled_unless_told(tmp_path):
    found = load_run(tiny(tmp_path / "tiny.onnx"))
    assert (found.classes, found.input_shape, found.preparation) == (("0", "1"), (3, 6, 4), "picture")
    assert found.normalization == Normalization((0.0,) * 3, (1.0,) * 3)
    (tmp_path / "names.txt").write_text("red\n blue \n")
    options = ["--classes", "names.txt", "--mean", "0.5", "--std", "0.1,0.2,0.3", "--out", "run"]
    output = cnn("import", "tiny.onnx", *options).output
    assert "classes     2: red, blue\n" in output
    assert "pictures    prepared as picture, then (x - 0.5) / (0.1, 0.2, 0.3)\n" in output
    told = load_run("run")
    assert told.classes == ("red", "blue")
    assert told.normalization == Normalization((0.5,) * 3, (0.1, 0.2, 0.3))
    picture = draw_one(tmp_path / "one.png")
    assert cnn("predict", "run", picture).output.startswith(f"{picture}: ")
    assert error("evaluate", "tiny.onnx") == (
        "cnn: tiny.onnx: does not say which data set it is for; cnn import tiny.onnx --data NAME does\n"
    )


def test_a_data_set_says_how_pictures_are_prepared(tmp_path):
    tiny(tmp_path / "a.onnx", Flatten(), Linear(64, 10, rng=0), shape=(1, 8, 8))
    assert cnn("import", "a.onnx", "--data", "digits", "--out", "run").exit_code == 0
    found = load_run("run")
    assert (found.dataset, found.classes, found.preparation) == ("digits", DIGITS, "uci-digit")
    assert cnn("evaluate", "run").exit_code == 0


def test_a_batch_of_one_is_made_free(tmp_path):
    path = tiny(tmp_path / "one.onnx")
    message = onnx.load(path)
    for value in (message.graph.input[0], message.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(message, path)
    output = cnn("import", path, "--out", "run").output
    assert "note        input input float32 (1, 3, 6, 4): its first axis, 1, is free now\n" in output
    assert load_model("run/model.safetensors").predict(np.zeros((5, 3, 6, 4), np.float32)).shape == (5, 2)


def test_probabilities_are_not_made_probabilities_again(tmp_path):
    layers = GlobalAvgPool2d(), Flatten(), Linear(3, 2, rng=0)
    scores, shares = tiny(tmp_path / "a.onnx", *layers), tiny(tmp_path / "b.onnx", *layers, Softmax())
    x = np.random.default_rng(0).random((4, 3, 6, 4), np.float32)
    first, second = load_run(scores).predict(x), load_run(shares).predict(x)
    np.testing.assert_allclose(first, second, rtol=1e-6)
    np.testing.assert_allclose(second.sum(1), 1, rtol=1e-6)


# --- weights --------------------------------------------------------------------------------------------------------


def test_weights_and_the_network_they_belong_to(tmp_path):
    model = resnet20(in_channels=1, num_classes=4, seed=5)
    save_safetensors(model, "weights.safetensors")
    output = cnn("import", "weights.safetensors", "--model", "resnet20", "--input", "1x16x16", "--out", "run").output
    assert "images      1x16x16\nclasses     4: 0, 1, 2 ...\n" in output
    found = load_run("run")
    for key, array in (model.params | model.buffers).items():
        np.testing.assert_array_equal(array, (found.model.params | found.model.buffers)[key])
    assert error("import", "weights.safetensors") == (
        "cnn: weights.safetensors: holds weights alone; "
        "cnn import weights.safetensors --model NAME says which network they belong to\n"
    )
    assert error("import", "weights.safetensors", "--model", "lenet5").startswith(
        "cnn: load_state_dict: weights.safetensors does not fit the model; nothing was written\n  missing: conv1.bias"
    )
    assert error("import", "weights.safetensors", "--model", "alexnet").startswith(
        "cnn: --model alexnet: there is no such network; there are digits_cnn, lenet5, mnist_cnn, resnet20,"
    )


def test_weights_of_torch_save(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional peer: pip install '.[peers]'")
    model = resnet20(seed=5)
    torch.save({k: torch.from_numpy(a.copy()) for k, a in (model.params | model.buffers).items()}, "w.pt")
    assert cnn("import", "w.pt", "--model", "resnet20", "--out", "run").exit_code == 0
    x = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    np.testing.assert_array_equal(load_run("run").model.predict(x), model.predict(x))
    for command in (["summary", "w.pt"], ["predict", "w.pt", "x.png"]):
        assert error(*command) == (
            "cnn: w.pt: holds weights alone; cnn import w.pt --model NAME says which network they belong to\n"
        )


def test_photographs_are_prepared_as_torchvision_does(tmp_path):
    save_safetensors(squeezenet1_1(num_classes=5), "w.safetensors")
    output = cnn("import", "w.safetensors", "--model", "squeezenet1_1", "--out", "run").output
    assert "images      3x224x224\nclasses     5: 0, 1, 2 ...\n" in output
    assert "prepared as imagenet, then (x - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)\n" in output
    picture = draw_one(tmp_path / "one.png")
    np.testing.assert_array_equal(load_run("run").prepare(picture), prepare_imagenet(picture))
    smaller = ["--input", "3x64x64", "--out", "smaller"]
    output = cnn("import", "w.safetensors", "--model", "squeezenet1_1", *smaller).output
    assert "prepared as picture, then (x - (0.485" in output


# --- summary --------------------------------------------------------------------------------------------------------


def test_summary_of_a_graph(tmp_path):
    tiny(tmp_path / "a.onnx", Conv2d(3, 2, 3, rng=0), ReLU())
    lines = cnn("summary", "a.onnx").output.splitlines()
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["0.Conv", "1.Relu"]
    assert lines[-1].startswith("for one example (3, 6, 4) in float32; 56 parameters")
    assert error("summary", "a.onnx", "--input", "3x9x9") == (
        "cnn: output_shape: input input float32 (N, 3, 6, 4) was given an array of shape (1, 3, 9, 9)\n"
    )


# --- errors ---------------------------------------------------------------------------------------------------------


def test_models_that_are_no_classifiers(tmp_path):
    tiny(tmp_path / "maps.onnx", ReLU())
    assert (
        error("import", "maps.onnx") == "cnn: maps.onnx: gives (3, 6, 4) for an image, not one score for each class\n"
    )
    tiny(tmp_path / "vector.onnx", ReLU(), shape=(7,))
    assert error("import", "vector.onnx") == "cnn: vector.onnx: takes no images (C, H, W) but (7,)\n"
    assert cnn("summary", "vector.onnx").exit_code == 0
    assert not (tmp_path / "runs").exists()


def test_what_is_told_must_fit(tmp_path):
    tiny(tmp_path / "a.onnx")
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    (tmp_path / "gap.txt").write_text("a\n\nb\n")
    assert error("import", "a.onnx", "--classes", "three.txt") == (
        "cnn: a.onnx: cannot be used as a run: ValueError: 3 classes, but the model gives (2,)\n"
    )
    assert error("import", "a.onnx", "--classes", "gap.txt") == (
        "cnn: gap.txt: must have the name of a class in each of its lines, got 3 lines\n"
    )
    assert error("import", "a.onnx", "--mean", "1,2") == (
        "cnn: a.onnx: cannot be used as a run: ValueError: "
        "Normalization(mean=(1.0, 2.0), std=(1.0, 1.0, 1.0)) for 3 channels\n"
    )
    assert error("import", "a.onnx", "--std", "much") == (
        "cnn: --std much: must be one number, or one for each channel, as in 0.4,0.5,0.6\n"
    )
    assert error("import", "a.onnx", "--prepare", "wash").startswith(
        "cnn: --prepare wash: there is no such way; there are picture, uci-digit"
    )
    assert error("import", "a.onnx", "--model", "lenet5") == (
        "cnn: a.onnx holds a whole model; leave out --model lenet5\n"
    )
    assert "does not take images (4, 6, 4): " in error("import", "a.onnx", "--input", "4x6x4")


def test_files_that_are_no_models(tmp_path):
    assert error("import", "nowhere.onnx") == "cnn: there is no file 'nowhere.onnx'\n"
    assert error("summary", "nowhere.onnx").startswith("cnn: 'nowhere.onnx' is neither a run nor one of digits_cnn,")
    (tmp_path / "bad.onnx").write_bytes(b"\xff\xff\xff")
    for command in (["import", "bad.onnx"], ["summary", "bad.onnx"], ["predict", "bad.onnx", "x.png"]):
        assert error(*command).startswith("cnn: bad.onnx: not an ONNX file: ")
    message = onnx.load(tiny(tmp_path / "odd.onnx"))
    onnx.helper.set_model_props(message, {"cnn_from_scratch": '{"classes": 3}'})
    onnx.save(message, "odd.onnx")
    assert error("predict", "odd.onnx", "x.png") == (
        "cnn: odd.onnx: cannot be used as a run: TypeError: 'int' object is not iterable\n"
    )
    onnx.helper.set_model_props(message, {"cnn_from_scratch": "[1]"})
    onnx.save(message, "odd.onnx")
    assert error("predict", "odd.onnx", "x.png") == (
        "cnn: odd.onnx: its metadata 'cnn_from_scratch' are no JSON object\n"
    )


def test_export_needs_a_file_to_write(run):
    assert error("export", run) == "cnn: nothing to write: name a file by --onnx or by --safetensors\n"
    assert error("export", run, "--onnx", "a.onnx", "--opset", 3).startswith(
        "cnn: save_onnx: opset must be an int from 7 to "
    )
    assert error("export", "nowhere", "--onnx", "a.onnx") == (
        "cnn: nowhere is no run: there is no model.safetensors in it\n"
    )


def test_without_the_package_one_sentence(run, tmp_path, monkeypatch):
    tiny(tmp_path / "a.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    sentence = "the package onnx is not installed; pip install onnx brings it\n"
    assert error("import", "a.onnx") == f"cnn: load_onnx: {sentence}"
    assert error("summary", "a.onnx") == f"cnn: load_onnx: {sentence}"
    assert error("export", run, "--onnx", "b.onnx") == f"cnn: save_onnx: {sentence}"
    assert cnn("export", run, "--safetensors", "b.safetensors").exit_code == 0
