"""How a filter learns, drawn: one step of SGD, and a loss that falls by what the gradient promises."""

from __future__ import annotations

import numpy as np
import pytest
from boards import grid_named, words_in, written
from pictures import assert_tidy

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import draw_filter_step
from cnn_from_scratch.insight.diagrams import filter_step

X = np.array([[0, 0, 2, 1], [0, 1, 1, 0], [2, 0, 2, 0], [0, 0, 2, 0]], float)
WEIGHT = np.array([[-1, 0, 1], [0, 0, 0], [-1, 1, 0]], float)
TARGET = np.array([[4, -1], [3, -1]], float)


def test_by_hand():
    step = filter_step(X, WEIGHT, TARGET, 0.1)
    # the first window: -0 + 2 - 2 + 0 = 0, where 4 is wanted; errors -4, 4, -2, 2: loss (16 + 16 + 4 + 4) / 4
    assert step.y.tolist() == [[0, 3], [1, 1]]
    assert step.loss == 10
    assert step.dy.tolist() == [[-2, 2], [-1, 1]]  # 2/4 of the errors
    # what the weight in the middle of the last row has seen, times dy: 0*-2 + 2*2 + 0*-1 + 2*1
    assert step.dweight[2, 1] == 6
    assert step.new_weight[2, 1] == pytest.approx(1 - 0.1 * 6)
    assert step.new_loss < step.loss


def test_the_gradient_is_the_slope():
    rng, eps = np.random.default_rng(0), 1e-6
    x, weight, target, way = (rng.standard_normal(shape) for shape in ((5, 6), (3, 2), (3, 5), (3, 2)))
    step = filter_step(x, weight, target, 0.0)
    up, down = (filter_step(x, weight + sign * eps * way, target, 0.0).loss for sign in (1, -1))
    assert (up - down) / (2 * eps) == pytest.approx((step.dweight * way).sum(), rel=1e-7)
    assert step.new_loss == step.loss
    np.testing.assert_array_equal(step.new_weight, weight)


def test_numbers_are_those_of_the_step():
    figure, step = draw_filter_step(X, WEIGHT, TARGET, 0.1), filter_step(X, WEIGHT, TARGET, 0.1)
    for name, numbers in (
        ("image x", X),
        ("filter", WEIGHT),
        ("output y", step.y),
        ("target", TARGET),
        ("dy = 2 (y − target) / 4", step.dy),
        ("dweight", step.dweight),
        ("new filter", step.new_weight),
        ("new output y", step.new_y),
    ):
        np.testing.assert_array_equal(grid_named(figure, name), written(numbers), err_msg=name)
    said = words_in(figure)
    assert "forward:\nloss 10" in said
    assert "forward again:\nloss 1.5" in said
    assert "1 − 0.1 × 6\n= 0.4" in said
    assert figure.get_suptitle() == "A filter learns: one step takes the loss from 10 to 1.5"
    assert_tidy(figure)


def test_other_shapes_and_nothing_is_written():
    x, weight = X.astype(np.float32), np.ones((2, 3), np.float32)
    x.flags.writeable = weight.flags.writeable = False
    assert_tidy(draw_filter_step(x, weight, np.zeros((3, 2)), 0.01))
    assert (weight == 1).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: draw_filter_step(X[0], WEIGHT, TARGET, 0.1),
            ShapeError,
            "draw_filter_step: x must have 2 axes (H, W), got shape (4,)",
        ),
        (
            lambda: draw_filter_step(X, WEIGHT[0], TARGET, 0.1),
            ShapeError,
            "draw_filter_step: weight must have 2 axes (KH, KW), got shape (3,)",
        ),
        (
            lambda: draw_filter_step(X, WEIGHT, X, 0.1),
            ShapeError,
            "filter_step: target must have shape (2, 2), got (4, 4)",
        ),
        (
            lambda: draw_filter_step(X, WEIGHT, TARGET, -0.1),
            ValueError,
            "SGD: lr must be a finite number >= 0, got -0.1",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
