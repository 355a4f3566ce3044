"""Importing the package is cheap, and its names are all there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import cnn_from_scratch

HEAVY = {
    "pandas",
    "matplotlib",
    "PIL",
    "typer",
    "rich",
    "tqdm",
    "safetensors",
    "urllib3",
    "platformdirs",
    "torch",
    "scipy",
}
PUBLIC = """
    im2col col2im conv_forward conv_backward relu_forward relu_backward max_pool_forward batch_norm_backward
    Conv2d ConvTranspose2d MaxPool2d AvgPool2d AdaptiveAvgPool2d GlobalAvgPool2d Linear Flatten ReLU LeakyReLU PReLU ELU
    GELU SiLU Sigmoid Tanh Softplus Softmax BatchNorm1d BatchNorm2d LayerNorm GroupNorm Dropout ZeroPad2d Upsample
    Sequential Residual Concat SGD RMSprop Adam AdamW clip_grad_norm fit evaluate save_model load_model History
    ShapeError FormatError LimitError CnnError load_digits load_mnist
""".split()


def imported_by(statement):
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    return set(
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    )


@pytest.mark.fault("many-threads")
@pytest.mark.parametrize(
    "statement", ["import cnn_from_scratch", "from cnn_from_scratch import Conv2d, Adam, fit, load_digits"]
)
def test_import_brings_numpy_and_nothing_heavier(statement):
    modules = imported_by(statement)
    assert not modules & HEAVY
    assert "cnn_from_scratch" in modules


def test_only_insight_brings_matplotlib():
    assert "matplotlib" not in imported_by(
        "from cnn_from_scratch import training, formats, models, data, optim, layers"
    )


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_at_the_top(name):
    assert getattr(cnn_from_scratch, name) is not None
    assert name in dir(cnn_from_scratch)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'cnn_from_scratch' has no attribute 'Conv3d'"):
        cnn_from_scratch.Conv3d  # noqa: B018


def test_a_star_import_brings_every_public_name_and_no_room():
    names: dict[str, object] = {}
    exec("from cnn_from_scratch import *", names)
    assert {"Conv2d", "fit", "conv_forward", "load_digits"} <= names.keys()
    assert not {"ops", "layers", "data"} & names.keys()
