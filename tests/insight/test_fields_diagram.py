"""Receptive fields: exactly the pixels through which a gradient comes back."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PatchCollection
from pictures import assert_tidy

from cnn_from_scratch.errors import ShapeError, UnsupportedOpError
from cnn_from_scratch.insight import draw_receptive_fields, receptive_fields
from cnn_from_scratch.insight.receptive_windows import receptive_windows
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm2d,
    Context,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.models import mnist_cnn


def ones(kernel, **options):
    """A convolution that adds up its window."""
    layer = Conv2d(1, 1, kernel, bias=False, rng=0, **options)
    layer.params["weight"] = np.ones_like(layer.params["weight"])
    return layer


def test_by_hand():
    fields = receptive_fields(Sequential(ones((1, 3)), ReLU(), AvgPool2d((1, 2)), ones((1, 2))), (1, 1, 16))
    # 3; two of them one pixel apart: 4; two of those two pixels apart: 6
    assert [field.box[3] for field in fields] == [3, 4, 6]
    assert [field.step for field in fields] == [(1, 1), (1, 2), (1, 2)]
    assert fields[1].paths[0, fields[1].box[1] :][:4].tolist() == [1, 2, 2, 1]
    assert fields[2].paths[0, fields[2].box[1] :][:6].tolist() == [1, 2, 3, 3, 2, 1]


@pytest.mark.parametrize(
    "layers",
    [
        [ones(3, padding=1), ones(3, padding=1), ones(3, stride=2)],
        [ones(3, dilation=2), ones((2, 3), stride=(2, 1), padding=(1, 0))],
        [ones(5, padding="same"), ones(3, padding=((0, 2), (1, 0))), ones(2, stride=3)],
        [ones(9, padding=4), ones(9, padding=4)],  # larger than the image
    ],
)
def test_paths_are_the_gradient_of_windows_that_add_up(layers):
    model, x = Sequential(*layers), np.zeros((1, 1, 13, 14), np.float32)
    y, caches = model.forward(x, Context(train=True))
    dy = np.zeros_like(y)
    dy[0, 0, y.shape[2] // 2, y.shape[3] // 2] = 1
    dx, _ = model.backward(dy, caches)
    field = receptive_fields(model, (1, 13, 14))[-1]
    np.testing.assert_array_equal(field.paths, dx[0, 0])
    assert field.output == y.shape[2:]
    row, column, height, width = field.box
    outside = np.ones((13, 14), bool)
    outside[row : row + height, column : column + width] = False
    assert not dx[0, 0][outside].any()


def test_the_formula_of_the_books():
    # r = 1 + sum of (kernel - 1) * dilation * the product of the strides before
    model = Sequential(
        Sequential(Conv2d(2, 3, 3, padding=1), BatchNorm2d(3), ReLU(), MaxPool2d(2)),
        Conv2d(3, 3, 3, padding=2, dilation=2),
        MaxPool2d(3, stride=2, padding=1),
        Conv2d(3, 1, 3, padding=1),
        Flatten(),
        Linear(6 * 6, 2),
    )
    fields = receptive_fields(model, (2, 48, 48))
    reach, step = 1, 1
    for field, (kernel, dilation, stride) in zip(
        fields, [(3, 1, 1), (2, 1, 2), (3, 2, 1), (3, 1, 2), (3, 1, 1)], strict=True
    ):
        reach, step = reach + (kernel - 1) * dilation * step, step * stride
        assert field.step == (step, step)
        assert field.box[2:] == (reach, reach)
    assert [field.name for field in fields][:2] == ["0.0 Conv2d", "0.3 MaxPool2d"]


def test_windows_that_are_reckoned_another_way_are_the_same():
    model = mnist_cnn()
    for field in receptive_fields(model, (1, 28, 28)):
        windows = receptive_windows(model, (1, 28, 28), field.name.split()[0])
        (top, bottom), (left, right) = (
            np.clip(ends[len(ends) // 2], 0, 28) for ends in (windows.rows, windows.columns)
        )
        assert field.box == (top, left, bottom - top, right - left)


def test_the_picture_says_what_is_seen():
    figure = draw_receptive_fields(mnist_cnn(), (1, 28, 28))
    said = [text.get_text() for text in figure.axes[0].texts]
    fields = receptive_fields(mnist_cnn(), (1, 28, 28))
    for field in fields:
        assert f"sees {field.box[2]}×{field.box[3]}, output {field.output[0]} × {field.output[1]}" in said
    shaded = [cells for cells in figure.axes[0].collections if isinstance(cells, PatchCollection)]
    for field, cells in zip(fields, shaded, strict=True):
        assert len(cells.get_paths()) == np.count_nonzero(field.paths)
        darkness = -cells.get_facecolor()[:, :3].sum(axis=1)  # the more ways, the darker
        assert (np.diff(darkness[np.argsort(field.paths[field.paths > 0], kind="stable")]) >= -1e-12).all()
    assert_tidy(figure)
    assert_tidy(draw_receptive_fields(Sequential(ones(3)), (1, 9, 30)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: receptive_fields(Sequential(ones(3)), (9, 9)),
            ShapeError,
            "receptive_fields: input_shape must be (C, H, W), got (9, 9)",
        ),
        (
            lambda: receptive_fields(Sequential(ones(3), GlobalAvgPool2d()), (1, 9, 9)),
            UnsupportedOpError,
            "receptive_fields: 1 GlobalAvgPool2d is neither a window without ceil_mode nor works pixel by pixel",
        ),
        (
            lambda: receptive_fields(Sequential(Residual(ones(3, padding=1))), (1, 9, 9)),
            UnsupportedOpError,
            "receptive_fields: 0 Residual is neither a window without ceil_mode nor works pixel by pixel",
        ),
        (
            lambda: receptive_fields(Sequential(MaxPool2d(2, ceil_mode=True)), (1, 9, 9)),
            UnsupportedOpError,
            "receptive_fields: 0 MaxPool2d is neither a window without ceil_mode nor works pixel by pixel",
        ),
        (
            lambda: draw_receptive_fields(Sequential(ReLU()), (1, 9, 9)),
            ShapeError,
            "draw_receptive_fields: the model has no convolution or pool before its first Flatten",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
