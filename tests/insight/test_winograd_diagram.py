"""Winograd, drawn: both ways give the same outputs, those of the convolution."""

from __future__ import annotations

import numpy as np
import pytest
from boards import grid_named, grids_in, words_in, written
from pictures import assert_tidy

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import draw_winograd, draw_winograd_row
from cnn_from_scratch.ops import conv_forward
from cnn_from_scratch.ops.winograd import transform_filters

D, G = np.array([1.0, 2, 3, 4]), np.array([2.0, 20, 200])
X = np.random.default_rng(0).integers(0, 9, (6, 6)).astype(float)
WEIGHT = np.array([[0, 2, 0], [2, -8, 2], [0, 2, 0]], float)


def test_a_row_by_hand():
    figure = draw_winograd_row(D, G)
    # 1*2 + 2*20 + 3*200 = 642, 2*2 + 3*20 + 4*200 = 864
    assert [grid.words.ravel().tolist() for grid in grids_in(figure) if grid.words.size <= 2] == [
        ["642"],
        ["864"],
        ["642", "864"],
    ]
    grids = {tuple(grid.words.ravel()) for grid in grids_in(figure)}
    assert ("−2", "5", "1", "−2") in grids  # 1 - 3, 2 + 3, 3 - 2, 2 - 4
    assert ("2", "111", "91", "200") in grids  # 2, (2 + 20 + 200) / 2, (2 - 20 + 200) / 2, 200
    assert ("−4", "555", "91", "−400") in grids
    assert_tidy(figure)


def test_what_the_columns_do_is_said():
    said = words_in(draw_winograd_row(D, G))
    assert "d0 − d2,   d1 + d2,\nd2 − d1,   d1 − d3" in said
    assert "g0,   (g0 + g1 + g2) / 2,\n(g0 − g1 + g2) / 2,   g2" in said


def test_as_many_yellow_cells_as_multiplications():
    from cnn_from_scratch.insight.diagrams.winograd_row import PRODUCT

    def yellow(figure):
        cells = [cells for cells in figure.axes[0].collections if len(cells.get_facecolor())]
        return [len(grid.get_paths()) for grid in cells if np.allclose(grid.get_facecolor()[0, :3], PRODUCT)]

    assert yellow(draw_winograd_row(D, G)) == [3, 3, 4]
    assert yellow(draw_winograd(X, WEIGHT)) == [16]


def test_a_plane():
    figure = draw_winograd(X, WEIGHT)
    grids = [grid.words for grid in grids_in(figure)]
    np.testing.assert_array_equal(grid_named(figure, "image, four tiles"), written(X))
    np.testing.assert_array_equal(grid_named(figure, "first tile d"), written(X[:4, :4]))
    y = conv_forward(X[None, None], WEIGHT[None, None], algorithm="loops")[0][0, 0]
    np.testing.assert_array_equal(grid_named(figure, "output"), written(y))
    assert any(np.array_equal(words, written(y[:2, :2])) for words in grids)
    U = transform_filters(WEIGHT[None, None], 2).reshape(4, 4)  # as the convolution makes it
    assert any(np.array_equal(words, written(U)) for words in grids)
    assert_tidy(figure)


def test_what_comes_in_stays_as_it_is():
    x, weight = X.astype(np.float32), WEIGHT.astype(np.float32)
    x.flags.writeable = weight.flags.writeable = False
    assert_tidy(draw_winograd(x, weight))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_winograd_row(G, G), "draw_winograd_row: d must have shape (4,), got (3,)"),
        (lambda: draw_winograd_row(D, D), "draw_winograd_row: g must have shape (3,), got (4,)"),
        (lambda: draw_winograd(WEIGHT, WEIGHT), "draw_winograd: x must have shape (6, 6), got (3, 3)"),
        (lambda: draw_winograd(X, X), "draw_winograd: weight must have shape (3, 3), got (6, 6)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message
