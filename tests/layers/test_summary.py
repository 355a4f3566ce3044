"""The summary: every leaf a row, totals that add up, all of it from shapes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    summarize,
)

MODEL = Sequential(
    {
        "conv": Conv2d(1, 4, 3, padding=1),
        "mix": Concat(Sequential(Conv2d(4, 2, 1), ReLU()), Identity()),
        "block": Residual(
            Sequential({"dw": Conv2d(6, 6, 3, padding=1, groups=6, bias=False), "bn": BatchNorm2d(6)}), body_name=""
        ),
        "pool": MaxPool2d(2),
        "mean": GlobalAvgPool2d(),
        "flatten": Flatten(),
        "fc": Linear(6, 3),
    }
)


def test_every_layer_is_a_row_with_its_key():
    table = summarize(MODEL, (1, 6, 8))
    assert [(row.key, row.output_shape, row.parameters, row.multiply_adds) for row in table.rows] == [
        ("conv", (4, 6, 8), 4 * 9 + 4, 4 * 6 * 8 * 9),
        ("mix.0.0", (2, 6, 8), 2 * 4 + 2, 2 * 6 * 8 * 4),
        ("mix.0.1", (2, 6, 8), 0, 0),
        ("mix.1", (4, 6, 8), 0, 0),
        ("block.dw", (6, 6, 8), 54, 6 * 6 * 8 * 9),
        ("block.bn", (6, 6, 8), 12, 0),
        ("pool", (6, 3, 4), 0, 0),
        ("mean", (6, 1, 1), 0, 0),
        ("flatten", (6,), 0, 0),
        ("fc", (3,), 21, 18),
    ]
    assert [row.key for row in table.rows] == [key for key, _ in MODEL.layers()]


def test_totals_add_up():
    table = MODEL.summary((1, 6, 8))
    assert table.parameters == sum(array.size for array in MODEL.params.values())
    assert table.multiply_adds == MODEL.multiply_adds((1, 6, 8)) == 1728 + 384 + 2592 + 18
    outputs = 48 * (4 + 2 + 2 + 4 + 6 + 6) + 72 + 6 + 6 + 3
    assert table.bytes == 4 * outputs


def test_multiply_adds_of_a_transposed_convolution():
    # every one of 4*5*6 pixels puts a 3x3 kernel into each of the 3 maps of its group
    assert ConvTranspose2d(4, 6, 3, groups=2).multiply_adds((4, 5, 6)) == 4 * 5 * 6 * 3 * 9


def test_linear_counts_every_row():
    assert Linear(5, 3).multiply_adds((7, 5)) == 7 * 5 * 3


def test_prints_as_a_table(capsys):
    model = Sequential({"conv": Conv2d(1, 32, 3, padding=1, bias=False, algorithm="im2row"), "flatten": Flatten()})
    text = """\
key      layer                                                 output        parameters  multiply-adds     memory
-----------------------------------------------------------------------------------------------------------------
conv     Conv2d(1, 32, 3, padding=1, bias=False, algorithm...  (32, 28, 28)         288        225,792   98.0 KiB
flatten  Flatten()                                             (25088,)               0              0   98.0 KiB
-----------------------------------------------------------------------------------------------------------------
total                                                                               288        225,792  196.0 KiB
for one example (1, 28, 28) in float32; 288 parameters take 1.1 KiB"""
    assert str(model.summary((1, 28, 28))) == text
    assert capsys.readouterr().out == text + "\n"
    assert repr(model.summary((1, 28, 28))) == "Summary(2 layers, 288 parameters, 225,792 multiply-adds)"


def test_says_what_is_frozen_and_in_which_dtype():
    model = Sequential(Linear(10, 10)).astype(np.float64).freeze("*.bias")
    assert str(model.summary((10,))).endswith(
        "for one example (10,) in float64; 110 parameters (10 of them frozen) take 880 B"
    )
    model.unfreeze("*")


def test_a_plain_layer_has_a_summary_too():
    table = Linear(3, 2).summary((3,))
    assert [(row.key, row.parameters) for row in table.rows] == [("", 8)]


@pytest.mark.parametrize("input_shape", [5, "abc", (), (1, 8.0, 8), (1, 0, 8), [1, True]])
def test_a_shape_that_is_none_is_named(input_shape):
    with pytest.raises(ShapeError) as caught:
        Sequential().summary(input_shape)
    assert str(caught.value) == (
        f"summary: input_shape must be the shape of one example, as in (C, H, W), in ints >= 1; got {input_shape!r}"
    )


def test_an_empty_model_has_an_empty_table():
    assert Sequential().summary((3,)).rows == ()
    assert "total" in str(Sequential().summary((3,)))


def test_as_a_data_frame():
    pd = pytest.importorskip("pandas")
    frame = MODEL.summary((1, 6, 8)).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [
        *("key", "layer", "output_shape", "parameters", "frozen", "multiply_adds", "bytes"),
    ]
    assert frame["parameters"].sum() == MODEL.summary((1, 6, 8)).parameters
    assert frame.set_index("key").loc["fc", "layer"] == "Linear(6, 3)"


def test_no_number_is_computed():
    model = Sequential(Conv2d(3, 8, 3), ReLU())
    for layer in model.children.values():
        layer.forward = lambda x, ctx: pytest.fail("a summary needs no arithmetic")
    assert model.summary((3, 100_000, 100_000)).multiply_adds == 8 * 99_998**2 * 27


def test_pandas_is_not_imported_for_the_table():
    code = (
        "import sys; from cnn_from_scratch.layers import Linear; "
        "str(Linear(3, 2).summary((3,))); assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
