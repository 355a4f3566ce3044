"""Pooling, drawn: the numbers are those of the operations, and the frames are where the gradient goes."""

from __future__ import annotations

import numpy as np
import pytest
from boards import grid_named, grids_in, written
from matplotlib.patches import Rectangle
from pictures import assert_tidy

from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.insight import draw_pooling
from cnn_from_scratch.ops import avg_pool_backward, avg_pool_forward, max_pool_backward, max_pool_forward

X = np.array([[1, 2, 5, 0], [4, 5, 1, 2], [7, 2, 3, 0], [0, 3, 3, 2]], float)  # a 3 stands twice in the last window
DY = np.array([[4, 8], [-4, 12]], float)


def framed(figure, dashed):
    """Cells with a frame of their own, as (column, row) of the board."""
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_width() < 1]
    chosen = [patch for patch in frames if (patch.get_linestyle() not in ("-", "solid")) == dashed]
    return {(round(patch.get_x() - 0.06, 3), round(patch.get_y() - 0.06, 3)) for patch in chosen}


def test_by_hand():
    figure = draw_pooling(X, 2, dy=DY)
    # maxima 5, 5, 7, 3; means (1+2+4+5)/4 = 3, 8/4 = 2, 12/4 = 3, 8/4 = 2
    assert grid_named(figure, "y", 0).tolist() == [["5", "5"], ["7", "3"]]
    assert grid_named(figure, "y", 1).tolist() == [["3", "2"], ["3", "2"]]
    # the first 3 of the last window, row by row, takes all of its 12
    assert grid_named(figure, "dx", 0)[2:, 2:].tolist() == [["12", "0"], ["0", "0"]]
    assert grid_named(figure, "dx", 1)[2:, 2:].tolist() == [["3", "3"], ["3", "3"]]
    assert_tidy(figure)


@pytest.mark.parametrize("kernel", [2, (1, 2), (4, 2), (2, 4), 4])
def test_numbers_are_those_of_the_operations(kernel):
    x = np.random.default_rng(0).integers(0, 4, (4, 4)).astype(float)
    figure = draw_pooling(x[:2] if kernel == (1, 2) else x, kernel)
    x4 = x[None, None, : 2 if kernel == (1, 2) else 4]
    highest, max_cache = max_pool_forward(x4, kernel)
    mean, avg_cache = avg_pool_forward(x4, kernel)
    size = x4.size // highest.size
    dy = size * np.arange(1.0, highest.size + 1).reshape(highest.shape)
    for i, (y, dx) in enumerate(
        ((highest, max_pool_backward(dy, max_cache)), (mean, avg_pool_backward(dy, avg_cache)))
    ):
        for name, numbers in (("x", x4), ("y", y), ("dx", dx), ("dy", dy)):
            np.testing.assert_array_equal(grid_named(figure, name, i), written(numbers[0, 0]))
    assert_tidy(figure)


def test_frames_are_where_the_gradient_goes():
    figure = draw_pooling(X, 2, dy=DY)
    top, below = (next(grid for grid in grids_in(figure) if grid.name == name) for name in ("x", "dx"))
    reached = np.argwhere(below.words != "0")
    for grid in (top, below):
        places = {(round(grid.left + column, 3), round(grid.top + row, 3)) for row, column in reached}
        assert places <= framed(figure, dashed=False)
        assert (round(grid.left + 2, 3), round(grid.top + 3, 3)) in framed(figure, dashed=True)
    assert len(framed(figure, dashed=False)) == 2 * 4
    assert len(framed(figure, dashed=True)) == 2
    assert "Dashed" in figure.get_supxlabel()
    assert "Dashed" not in draw_pooling(np.arange(16.0).reshape(4, 4), 2).get_supxlabel()


def test_nothing_is_written():
    x, dy = X.copy(), DY.copy()
    x.flags.writeable = dy.flags.writeable = False
    assert_tidy(draw_pooling(x, 2, dy=dy))
    assert_tidy(draw_pooling(x.astype(np.uint8), 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: draw_pooling(X[0], 2), ShapeError, "draw_pooling: x must have 2 axes (H, W), got shape (4,)"),
        (lambda: draw_pooling(X, 3), ShapeError, "draw_pooling: windows of 3x3 must divide the image, got x (4, 4)"),
        (lambda: draw_pooling(X, 2, dy=X), ShapeError, "draw_pooling: dy must have shape (2, 2), got (4, 4)"),
        (lambda: draw_pooling(X, 1), LimitError, "draw_pooling: 16 windows are too many to draw; at most 6"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
