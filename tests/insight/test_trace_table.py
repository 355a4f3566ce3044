"""Every figure of the table against its definition, and the trace in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from random_models import random_batch, random_model

from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.insight.trace_table import trace_table
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential
from cnn_from_scratch.ops import to_hwnc
from cnn_from_scratch.optim import SGD

COLUMNS = [
    *("key", "layer", "container", "input_shape", "output_shape", "parameters", "multiply_adds", "output_bytes"),
    *("cache_bytes", "columns_bytes", "mean", "std", "dead", "norm_dy", "norm_dx", "norm_dweight", "norm_dbias"),
    "update_ratio",
]


def rows_of(seen):
    return seen.table().set_index("key")


def test_a_convolution_by_hand():
    """Two images of 2 channels and 4x4, 3 filters of 3x3: OH = OW = 2.

    Parameters 3*2*3*3 + 3 = 57; multiply-adds 2 images * 3 filters * 2*2 places * 2*3*3 = 432; output 2*3*2*2 numbers
    of 4 bytes; columns 2 images * 2*3*3 rows * 2*2 places of 4 bytes = 576.
    """
    model = Sequential({"conv": Conv2d(2, 3, 3, rng=0), "cut": ReLU(), "flat": Flatten(), "head": Linear(12, 2, rng=0)})
    x = np.random.default_rng(0).random((2, 2, 4, 4), np.float32)
    seen = trace(model, x, np.array([0, 1]), optimizer=SGD(0.5))
    table = seen.table()
    assert list(table) == COLUMNS
    row = rows_of(seen).loc["conv"]
    assert (row.layer, row.container) == ("Conv2d(2, 3, 3)", False)
    assert (row.input_shape, row.output_shape) == ((2, 2, 4, 4), (2, 3, 2, 2))
    assert (row.parameters, row.multiply_adds) == (57, 432)
    assert (row.output_bytes, row.columns_bytes, row.cache_bytes) == (96, 576, 0)
    assert row.columns_bytes == seen.columns("conv").nbytes
    conv = seen["conv"]
    assert row["mean"] == pytest.approx(conv.output.mean(), rel=1e-5)
    assert row["std"] == pytest.approx(conv.output.std(), rel=1e-5)
    assert row.norm_dy == pytest.approx(np.sqrt((conv.dy**2).sum()), rel=1e-5)
    assert row.norm_dx == pytest.approx(np.sqrt((conv.dx**2).sum()), rel=1e-5)
    assert row.norm_dweight == pytest.approx(np.sqrt((conv.grads["weight"] ** 2).sum()), rel=1e-5)
    assert row.norm_dbias == pytest.approx(np.sqrt((conv.grads["bias"] ** 2).sum()), rel=1e-5)
    squares = [(array**2).sum() for array in (*conv.grads.values(), *conv.params.values())]
    ratio = 0.5 * math.sqrt(sum(squares[:2]) / sum(squares[2:]))
    assert row.update_ratio == pytest.approx(ratio, rel=1e-4)
    assert math.isnan(row.dead)


def test_dead_units_are_channels_of_images_and_features_of_vectors():
    x = np.zeros((2, 4, 2, 2), np.float32)
    x[0, 0, 1, 1], x[0, 1, 0, 0], x[:, 2:] = 1, 2, -3  # two channels live in one pixel of the first image
    model = Sequential(ReLU(), Flatten(), ReLU())
    table = rows_of(trace(model, x))
    assert table.dead["0"] == 0.5
    assert table.dead["2"] == 14 / 16
    assert math.isnan(table.dead["1"])


def test_caches_count_only_what_is_nowhere_else():
    """ReLU and convolution borrow; batch norm keeps 4 vectors, in training the running ones, too; dropout its mask."""
    model = Sequential(Conv2d(1, 2, 3, rng=0), BatchNorm2d(2), ReLU(), MaxPool2d(2), Dropout(0.5))
    x = np.random.default_rng(0).random((3, 1, 6, 6), np.float32)
    for images in (x, to_hwnc(x)):
        evaluated, trained = rows_of(trace(model, images)), rows_of(trace(model, images, train=True))
        assert list(evaluated.cache_bytes[["0", "2", "4"]]) == [0, 0, 0]
        vectors = [trace(model, images)["1"].cache[i].nbytes for i in (3, 4, 5, 6)]
        assert evaluated.cache_bytes["1"] == sum(vectors)
        assert trained.cache_bytes["1"] == sum(vectors) + 2 * 2 * 4  # running mean and variance, float32
        assert trained.cache_bytes["4"] == 3 * 2 * 2 * 2  # one byte for each number


def test_sums_are_over_single_layers():
    model, (x, y) = random_model(11, kinds=("nested", "residual", "concat", "projected")), random_batch(11)
    seen = trace(model, x, y, optimizer=SGD(0.1))
    table = seen.table()
    single = table[~table.container]
    assert table.container.sum() >= 5
    assert single.parameters.sum() == sum(array.size for array in model.params.values())
    assert single.multiply_adds.sum() == len(x) * model.multiply_adds(x.shape[1:])
    block = table[table.container].iloc[0]
    assert block.layer in ("Sequential", "Residual", "Concat")
    assert block.parameters == sum(array.size for array in seen[block.key].layer.params.values())


def test_of_a_forward_pass_there_are_no_gradients():
    seen = trace(Sequential(Linear(2, 3, rng=0)), np.ones((1, 2), np.float32))
    table = seen.table()
    assert list(table) == COLUMNS
    assert table[["norm_dy", "norm_dx", "norm_dweight", "norm_dbias", "update_ratio"]].isna().all(axis=None)


def test_ratios_where_there_is_nothing_to_divide_by():
    model = Sequential(Linear(1, 2, bias=False), Linear(2, 2, bias=False))
    for array in model.params.values():
        array[...] = 0
    model.params["1.weight"][...] = 1
    seen = trace(model, np.ones((1, 1), np.float32), np.array([0]), optimizer=SGD(0.1))
    ratio = rows_of(seen).update_ratio
    assert math.isnan(rows_of(trace(model, np.ones((1, 1), np.float32), np.array([0]))).update_ratio["0"])
    assert ratio["0"] == 0  # both rows of the second layer are equal, so no gradient comes through
    model.params["1.weight"][...] = [[1, 0], [0, 1]]
    seen = trace(model, np.ones((1, 1), np.float32), np.array([0]), optimizer=SGD(0.1))
    assert rows_of(seen).update_ratio["0"] == math.inf


def test_columns_have_the_types_they_should():
    seen = trace(random_model(1), *random_batch(1))
    types = seen.table().dtypes
    for name in ("parameters", "multiply_adds", "output_bytes", "cache_bytes", "columns_bytes"):
        assert types[name] == np.int64, name
    for name in ("mean", "std", "dead", "norm_dy", "norm_dx", "update_ratio"):
        assert types[name] == np.float64, name
    assert types["container"] == np.dtype(bool)
    pd.testing.assert_frame_equal(trace_table(seen), seen.table())


# --- in words -------------------------------------------------------------------------------------------------------


def test_every_layer_has_a_line():
    model = Sequential({"block": Residual(Sequential(Conv2d(1, 1, 3, padding=1, rng=0), ReLU())), "flat": Flatten()})
    seen = trace(model, np.zeros((2, 1, 4, 4), np.float32), np.array([0, 1]), optimizer=SGD(0.1), train=True)
    lines = str(seen).splitlines()
    assert lines[0] == "Trace of Sequential, 2 examples of 1 × 4 × 4, float32, as in training"
    assert lines[1].startswith("cross_entropy 2.773; gradients of its mean; ")
    assert lines[3].split() == ["key", "layer", "output", "mean", "std", "dead", "|dy|", "|dx|", "|dparams|", "update"]
    assert [line.split()[0] for line in lines[5:]] == list(seen.layers)
    assert len({len(line) for line in lines[3:5]}) == 1
    assert max(map(len, lines)) <= 132
    assert lines[6].split()[:8] == ["block.body.1", "ReLU()", "1", "×", "4", "×", "4", "0"]
    assert "100 %" in lines[6]
    assert " nan" not in str(seen)


def test_of_a_forward_pass_alone():
    text = str(trace(ReLU(), np.ones((1, 3), np.float32)))
    assert text.splitlines()[:2] == [
        "Trace of ReLU, 1 example of 3, float32, in evaluation",
        "forward only; 24 B held",
    ]
