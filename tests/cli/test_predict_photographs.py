"""`cnn predict` with the preparation of ImageNet and names of classes from a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import cnn
from PIL import Image

from cnn_from_scratch.cli.labels import read_labels
from cnn_from_scratch.data import IMAGENET_NORMALIZATION, prepare_imagenet
from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.layers import Flatten, GlobalAvgPool2d, Linear, Sequential
from cnn_from_scratch.models import squeezenet1_1


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def reddish(tmp_path):
    """A model that was saved without a word about images: class k is the mean of normalized channel k."""
    model = Sequential(GlobalAvgPool2d(), Flatten(), Linear(3, 3))
    model.params["2.weight"] = np.eye(3, dtype=np.float32)
    model.params["2.bias"] = np.zeros(3, np.float32)
    save_model(model, tmp_path / "mean.safetensors")
    return tmp_path / "mean.safetensors"


def test_a_colour_by_hand(tmp_path, reddish):
    # red (1 - 0.485) / 0.229 = 2.249, green -0.456 / 0.224 = -2.036, blue -0.406 / 0.225 = -1.804:
    # exp(2.249) = 9.478, exp(-2.036) = 0.1306, exp(-1.804) = 0.1646, and 9.478 / 9.773 = 97.0 %
    Image.new("RGB", (500, 300), "red").save(tmp_path / "red.png")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    options = ("--preprocessing", "imagenet", "--labels", tmp_path / "names.txt")
    result = cnn("predict", reddish, tmp_path / "red.png", *options)
    assert result.exit_code == 0, result.output
    assert result.output == f"{tmp_path}/red.png: red 97.0 %, blue 1.7 %, green 1.3 %\n"


def test_a_network_of_torchvision(tmp_path, photo):
    network = squeezenet1_1(num_classes=6, seed=3)
    save_model(network, tmp_path / "model.safetensors")
    logits = network.predict(IMAGENET_NORMALIZATION.apply(prepare_imagenet(photo)[None]))[0].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum()
    result = cnn("predict", tmp_path, photo, "--preprocessing", "imagenet", "--top", 1)
    assert result.exit_code == 0, result.output
    assert result.output == f"{photo}: {shares.argmax()} {100 * shares.max():.1f} %\n"


def test_what_does_not_fit_is_said(tmp_path, reddish, photo):
    result = cnn("predict", reddish, photo, "--preprocessing", "cifar")
    assert result.exit_code == 1
    assert result.output.startswith(
        "cnn: --preprocessing cifar: there is no such way; there are uci-digit, mnist-digit,"
    )
    result = cnn("predict", reddish, photo, "--preprocessing", "mnist-digit")
    assert result.exit_code == 1
    assert result.output.startswith(f"cnn: {reddish}: does not take images (1, 28, 28)")
    result = cnn("predict", tmp_path / "nowhere", photo, "--preprocessing", "imagenet")
    assert result.output == f"cnn: {tmp_path}/nowhere is no run: there is no model.safetensors in it\n"
    (tmp_path / "two.txt").write_text("a\nb\n")
    result = cnn("predict", reddish, photo, "--preprocessing", "imagenet", "--labels", tmp_path / "two.txt")
    assert result.exit_code == 1
    assert result.output == f"cnn: {tmp_path}/two.txt: names 2 classes, but the model has 3\n"


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "tench\ngoldfish \n"),
        ("a.json", json.dumps(["tench", "goldfish"])),
        ("a.json", json.dumps({"1": "goldfish", "0": "tench"})),
        ("a.json", json.dumps({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]})),
    ],
)
def test_labels_of_every_kind(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_labels(tmp_path / name, 2) == ("tench", "goldfish")


@pytest.mark.parametrize(
    "text", ['{"0": "a", "2": "b"}', '{"a": "b"}', "[]", "{}", "3", '["a", 1]', '["a", ""]', '["a", []]', '[["a", 2]]']
)
def test_labels_that_are_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError) as caught:
        read_labels(tmp_path / "a.json", 2)
    assert str(caught.value).startswith(f"{tmp_path}/a.json: must be a list of names, or a dict from the numbers")


def test_labels_that_are_no_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff{")
    with pytest.raises(FormatError, match=r"a\.json: its list of names is not sound JSON"):
        read_labels(tmp_path / "a.json", 2)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match=r"a\.txt: is no text"):
        read_labels(tmp_path / "a.txt", 2)
