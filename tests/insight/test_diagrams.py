"""The numbers in the diagrams are those that the operations give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from pictures import assert_tidy, images, network

from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.insight import (
    draw_gradient_flow,
    draw_im2col,
    draw_overlaps,
    draw_product,
    draw_shapes,
    draw_sliding_window,
    style,
)
from cnn_from_scratch.insight.diagrams import (
    Panel,
    cells_read,
    channels_read,
    draw_col2im,
    draw_convolution_options,
    draw_memory_order,
    passages,
    stages,
)
from cnn_from_scratch.insight.diagrams.flow import flow
from cnn_from_scratch.insight.diagrams.overlap_add import contributions
from cnn_from_scratch.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from cnn_from_scratch.models import mnist_cnn
from cnn_from_scratch.ops import (
    col2im,
    conv_forward,
    conv_geometry,
    cross_entropy_backward,
    cross_entropy_forward,
    im2col,
)

X = np.array([[1, 2, 0, 3], [4, 5, 1, 0], [2, 7, 6, 1], [0, 3, 8, 9]], float)
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)


def numbers_in(figure):
    """All numbers of the grids, by the cell that they stand in."""
    found = {}
    for text in figure.axes[0].texts:
        words = text.get_text().replace("−", "-")
        if words.lstrip("-").replace(".", "").isdigit():
            x, y = text.get_position()
            found[round(x - 0.5, 3), round(y - 0.52, 3)] = float(words)
    return found


def grid_at(figure, left, top, shape):
    numbers = numbers_in(figure)
    return np.array(
        [[numbers[round(left + c, 3), round(top + r, 3)] for c in range(shape[1])] for r in range(shape[0])]
    )


def test_the_sliding_window():
    figure = draw_sliding_window(X, SOBEL, padding=1, stride=2)  # 6x6 with zeros around it, an output of 2x2
    y = conv_forward(X[None, None], SOBEL[None, None], padding=1, stride=2)[0][0, 0]
    last = 2 * 7.4 + 1  # top of the third row
    np.testing.assert_array_equal(grid_at(figure, 0, 1, (6, 6)), np.pad(X, 1))
    np.testing.assert_array_equal(grid_at(figure, 7.5, last + 1.5, (3, 3)), np.pad(X, 1)[2:5, 2:5])
    np.testing.assert_array_equal(grid_at(figure, 11.5, last + 1.5, (3, 3)), SOBEL)
    np.testing.assert_array_equal(grid_at(figure, 15.5, last + 1.5, (3, 3)), np.pad(X, 1)[2:5, 2:5] * SOBEL)
    np.testing.assert_array_equal(grid_at(figure, 20.8, last + 2, (2, 2)), y)
    said = [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("sum")]
    assert said == [f"sum {v:.0f}".replace("-", "−") for v in (y[0, 0], y[0, 1], y[1, 1])]
    # what is not yet reached is not yet shown
    assert (round(20.8 + 1, 3), 1 + 2.0) not in numbers_in(figure)
    assert_tidy(figure)


def framed(figure, colour=style.INK):
    """Upper left corners of all frames in a colour, without the small shift inwards."""
    frames = [patch for patch in figure.axes[0].patches if to_hex(patch.get_edgecolor()) == colour]
    return sorted(tuple(np.round(patch.get_xy(), 3).tolist()) for patch in frames)


def test_columns():
    figure = draw_im2col(X, 3)
    cols = im2col(X[None, None], 3)[0]
    left, top = 4 + 2 + 2 * 4 + 2.7, (11 + 1) / 2 - 4.5 + 0.3
    np.testing.assert_array_equal(grid_at(figure, left, top, (9, 4)), cols)
    np.testing.assert_array_equal(grid_at(figure, 0, (11 + 1) / 2 - 2, (4, 4)), X)
    assert_tidy(figure)
    # the 5 in the second row and column is number 4, 3, 1 and 0 of the four windows
    marked = framed(figure)
    assert marked[0] == (1, 5)
    assert marked[-4:] == [(round(left + i, 3), round(top + row, 3)) for i, row in enumerate((4, 3, 1, 0))]
    assert "seen by 4 windows, is copied into 4 columns" in " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": (1, 3), "padding": (0, 1)},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 2, "dilation": 2},
    ],
)
def test_columns_however_the_window_slides(options):
    assert_tidy(draw_im2col(X, **options))


def test_the_product():
    weight = np.stack([SOBEL, SOBEL.T])
    figure = draw_product(X, weight)
    middle = 1 + 9 / 2
    y = conv_forward(X[None, None], weight[:, None])[0][0]
    np.testing.assert_array_equal(grid_at(figure, 0, middle - 1, (2, 9)), weight.reshape(2, 9))
    np.testing.assert_array_equal(grid_at(figure, 10.5, middle - 4.5, (9, 4)), im2col(X[None, None], 3)[0])
    np.testing.assert_array_equal(grid_at(figure, 16, middle - 1, (2, 4)), y.reshape(2, 4))
    assert framed(figure) == [(0, middle - 1), (11.5, middle - 4.5), (17, middle - 1), (23.8, middle - 2.5)]
    for f, top in enumerate((middle - 2.5, middle + 0.5)):
        np.testing.assert_array_equal(grid_at(figure, 22.8, top, (2, 2)), y[f])
    assert_tidy(figure)


def test_numbers_of_any_kind():
    for figure in (draw_product(X.astype(int), np.ones((1, 2, 2), np.float32)), draw_im2col(X.astype(np.uint8), 3)):
        assert_tidy(figure)
    assert_tidy(draw_sliding_window(X.astype(np.uint8), SOBEL.astype(np.float32)))


def test_overlaps_by_hand():
    # 2x2 windows on 3x3, stride 1: corners are seen once, edges twice, the middle by all four
    figure = draw_overlaps((3, 3), 2, (1, 2))
    np.testing.assert_array_equal(grid_at(figure, 0, 1, (3, 3)), [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    np.testing.assert_array_equal(grid_at(figure, 4, 1, (3, 3)), [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert_tidy(figure)


def test_columns_go_home_and_add_up():
    cols = np.arange(1.0, 17).reshape(4, 4)  # 2x2 windows on 3x3
    geometry = conv_geometry("test", (3, 3), 2, 1, 0, 1)
    parts, total = contributions(cols, geometry)
    # the window at the upper left has the column 1 5 9 13
    np.testing.assert_array_equal(parts[0], [[1, 5, np.nan], [9, 13, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(np.nansum(parts, axis=0), total)
    np.testing.assert_array_equal(total, col2im(cols[None], (1, 1, 3, 3), 2)[0, 0])
    figure = draw_col2im(cols, (3, 3), 2)
    np.testing.assert_array_equal(grid_at(figure, 4 + 2 + 8 + 1, (8.4 + 1) / 2 - 1.5, (3, 3)), total)
    # the middle: the last of the first window, 13, then 10, 7 and 4
    assert "each sends its share: 13 + 10 + 7 + 4 = 34." in " ".join(figure.get_supxlabel().split())
    assert_tidy(figure)


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": 1, "stride": 2}, {"dilation": 2}, {"padding": (0, 1)}])
def test_columns_go_home_however_the_window_slides(options):
    geometry = conv_geometry("test", (4, 4), 2, **{"stride": 1, "padding": 0, "dilation": 1} | options)
    cols = np.random.default_rng(0).integers(-9, 10, (4, np.prod(geometry.output))).astype(float)
    if cols.shape[1] <= 9:
        assert_tidy(draw_col2im(cols, (4, 4), 2, **options))
    parts, total = contributions(cols, geometry)
    np.testing.assert_array_equal(total, col2im(cols[None], (1, 1, 4, 4), 2, **options)[0, 0])
    np.testing.assert_array_equal(np.nansum(parts, axis=0), total)
    counts = col2im(np.ones_like(cols)[None], (1, 1, 4, 4), 2, **options)[0, 0]
    np.testing.assert_array_equal((~np.isnan(parts)).sum(0), counts)


def test_what_a_window_reads_by_hand():
    geometry = conv_geometry("test", (3, 3), 2, (1, 2), 1, 1)  # 5x5 with zeros around it; windows in steps of 1 and 2
    read = cells_read((3, 3), geometry)
    assert read.shape == (4 * 2, 5, 5)
    np.testing.assert_array_equal(np.argwhere(read[0]), [[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(np.argwhere(read[3]), [[1, 2], [1, 3], [2, 2], [2, 3]])
    dilated = cells_read((3, 3), conv_geometry("test", (3, 3), 2, 1, 0, 2))
    np.testing.assert_array_equal(dilated[0], [[1, 0, 1], [0, 0, 0], [1, 0, 1]])


def test_which_channels_a_filter_reads():
    np.testing.assert_array_equal(channels_read(4, 4, 4), np.eye(4, dtype=bool))
    np.testing.assert_array_equal(channels_read(4, 4, 2), np.kron(np.eye(2), np.ones((2, 2))) > 0)
    assert channels_read(4, 6, 1).all()


def test_options_at_a_glance():
    figure = draw_convolution_options()
    said = [text.get_text() for text in figure.axes[0].texts]
    assert [words for words in said if words.startswith("output")] == [
        "output 4 × 4", "output 6 × 6", "output 2 × 2", "output 2 × 2",
    ]  # fmt: skip
    assert "weight\n4 × 1 × 3 × 3" in said
    assert "groups 4, depthwise" in said
    assert_tidy(figure)
    one = draw_convolution_options((3, 3), (3, 1), (Panel(padding=(0, 1), stride=(1, 2)),), groups=(1,))
    assert "output 1 × 3" in [text.get_text() for text in one.axes[0].texts]
    assert_tidy(one)


def test_memory_order_by_hand():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    x.flags.writeable = False
    figure = draw_memory_order(x)
    np.testing.assert_array_equal(grid_at(figure, 0, 5.3, (1, 24))[0], np.arange(24))
    # the first pixel of each image and channel is every fourth number
    order = [first + 4 * k for first in range(4) for k in range(6)]
    np.testing.assert_array_equal(grid_at(figure, 0, 8.3, (1, 24))[0], order)
    frames = [patch for patch in figure.axes[0].patches if patch.get_y() > 5 and patch.get_linewidth() == 1.8]
    assert [patch.get_width() for patch in frames] == [1] * 6 + [6]
    said = [text.get_text() for text in figure.axes[0].texts if "along" in text.get_text()]
    assert said[0].endswith("is 12, 4, 2, 1 numbers")
    assert said[1].endswith("is 3, 1, 12, 6 numbers")
    assert_tidy(figure)
    for shape in ((1, 1, 2, 2), (1, 4, 1, 3), (4, 1, 3, 1)):
        assert_tidy(draw_memory_order(np.zeros(shape)))


def test_passages_are_those_of_a_run():
    steps = passages(network(), images(2), np.array([0, 1]))
    assert [step.name for step in steps][:2] == ["0 Conv2d", "1 ReLU"]
    assert steps[0].output == (2, 6, 8, 8)
    assert steps[0].dx == (2, 1, 8, 8)
    assert steps[0].grads == {"weight": (6, 1, 3, 3), "bias": (6,)}
    assert all(a.output == b.dx for a, b in itertools.pairwise(steps))


def test_gradient_flow():
    x, targets = images(2), np.array([0, 1])
    figure = draw_gradient_flow(network(), x, targets)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said.count("2 × 6 × 8 × 8") == 4  # after the convolution and after ReLU, forward and backward
    found = flow(network(), x, targets)
    assert f"rms {np.sqrt((x**2).mean()):.2g}" in said
    weight, bias = (f"{np.sqrt((found.grads[0][name] ** 2).mean()):.2g}" for name in ("weight", "bias"))
    assert f"dweight 6 × 1 × 3 × 3, rms {weight}\ndbias 6, rms {bias}" in said
    assert f"cross-entropy {found.loss:.3g}" in said
    assert_tidy(figure)
    # the pictures are the maps themselves: after ReLU, and the gradient there
    pictures = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    strongest = np.abs(found.values[3][0]).mean((1, 2)).argmax()  # after the pool there are still six maps
    assert any(np.array_equal(picture, found.values[2][0, strongest]) for picture in pictures)
    assert any(np.array_equal(picture, found.gradients[2][0, strongest]) for picture in pictures)


def test_gradient_flow_of_long_names_and_shapes():
    layers = {"a_long_name_of_a_layer": Conv2d(1, 128, 3, padding=1), "pool": GlobalAvgPool2d(), "flatten": Flatten()}
    model = Sequential(layers | {"linear": Linear(128, 3)}).initialize(0)
    assert_tidy(draw_gradient_flow(model, np.ones((100, 1, 8, 112), np.float32), np.arange(100) % 3))
    vectors = Sequential(Linear(4, 3), ReLU()).initialize(0)
    assert_tidy(draw_gradient_flow(vectors, np.ones((2, 4), np.float32), np.array([0, 1])))


def test_the_flow_is_that_of_the_model():
    model, x, targets = network(), images(3), np.array([0, 1, 2])
    found = flow(model, x, targets)
    np.testing.assert_array_equal(found.values[-1], model.predict(x))
    loss, cache = cross_entropy_forward(model.predict(x), targets)
    assert found.loss == loss
    np.testing.assert_array_equal(found.gradients[-1], cross_entropy_backward(cache))
    # ReLU lets the gradient through where its output is not 0
    np.testing.assert_array_equal(found.gradients[1], np.where(found.values[2] > 0, found.gradients[2], 0))
    assert [list(grads) for grads in found.grads] == [
        ["weight", "bias"],
        [],
        [],
        ["weight", "bias"],
        [],
        [],
        ["weight", "bias"],
    ]


def test_stages_join_what_keeps_the_shape():
    found = stages(mnist_cnn(), (1, 28, 28))
    assert [stage.shape for stage in found[1:4]] == [(32, 28, 28), (32, 14, 14), (64, 14, 14)]
    assert found[1].layers == ["conv1 Conv2d", "relu1 ReLU"]
    assert sum(stage.parameters for stage in found) == 421_642


def test_shapes():
    figure = draw_shapes(mnist_cnn(), (1, 28, 28))
    said = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "64 × 7 × 7" in said
    assert "fc1 Linear\nrelu3 ReLU\n401,536 parameters" in said
    assert figure.get_suptitle() == "Shapes from 1 × 28 × 28 to 10"
    assert_tidy(figure)
    assert [len(ax.texts) / 2 for ax in figure.axes] == [4, 4]  # eight shapes in two rows
    arrows = [sum(isinstance(patch, FancyArrowPatch) for patch in ax.patches) for ax in figure.axes]
    assert arrows == [4, 4]  # three between four shapes, and one from row to row
    assert_tidy(draw_shapes(Sequential(Linear(3, 200, rng=0), ReLU()), (3,)))
    assert_tidy(draw_shapes(Sequential(Conv2d(3, 512, 1, rng=0), Flatten()), (3, 4, 9)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: draw_im2col(np.ones((9, 9)), 2),
            LimitError,
            "draw_im2col: 64 windows are too many to draw; at most 16",
        ),
        (
            lambda: draw_im2col(np.ones((1, 4, 4)), 2),
            ShapeError,
            "draw_im2col: x must have 2 axes (H, W), got shape (1, 4, 4)",
        ),
        (
            lambda: draw_col2im(np.ones((4, 16)), (5, 5), 2),
            LimitError,
            "draw_col2im: 16 windows are too many to draw; at most 9",
        ),
        (
            lambda: draw_col2im(np.ones((4, 3)), (3, 3), 2),
            ShapeError,
            "draw_col2im: cols must have shape (4, 4), got (4, 3)",
        ),
        (
            lambda: draw_memory_order(np.ones((2, 3, 4, 4))),
            LimitError,
            "draw_memory_order: x must hold 1 to 32 numbers, got 96",
        ),
        (
            lambda: draw_sliding_window(X, SOBEL[None]),
            ShapeError,
            "draw_sliding_window: weight must have 2 axes (KH, KW), got shape (1, 3, 3)",
        ),
        (
            lambda: draw_product(X, SOBEL),
            ShapeError,
            "draw_product: weight must have 3 axes (F, KH, KW), got shape (3, 3)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
