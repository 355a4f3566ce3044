"""Paths of optimizers: those of the formulas, and of optimizers that stay as they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pictures import assert_tidy

from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.insight import draw_optimizer_paths, optimizer_path
from cnn_from_scratch.optim import SGD, Adam, RMSprop

STEEP = np.array([1.0, 30.0])
START = np.array([-6.0, 1.4])


def value(points):
    return (STEEP * points**2).sum(axis=-1) / 2


def gradient(point):
    return STEEP * point


def test_momentum_is_the_formula():
    point, speed = START.copy(), np.zeros(2)
    path = optimizer_path(SGD(0.04, momentum=0.7), gradient, START, 5)
    for step in range(5):
        np.testing.assert_allclose(path[step], point, rtol=1e-12)
        speed = 0.7 * speed + STEEP * point
        point = point - 0.04 * speed


def test_the_first_steps_of_adam_are_as_long_as_its_learning_rate():
    path = optimizer_path(Adam(0.4), gradient, START, 1)
    np.testing.assert_allclose(np.abs(path[1] - path[0]), 0.4, rtol=1e-6)


def test_an_optimizer_stays_as_it_was():
    optimizer, start = SGD(0.04, momentum=0.9), START.copy()
    start.flags.writeable = False
    first = optimizer_path(optimizer, gradient, start, 4)
    assert optimizer.state_dict() == SGD(0.04, momentum=0.9).state_dict()
    np.testing.assert_array_equal(optimizer_path(optimizer, gradient, start, 4), first)
    assert optimizer_path(optimizer, gradient, start, 0).tolist() == [START.tolist()]


def test_the_picture_holds_the_paths():
    optimizers = {"SGD": SGD(0.058), "momentum": SGD(0.04, momentum=0.7), "Adam": Adam(0.4, betas=(0.8, 0.99))}
    figure = draw_optimizer_paths(value, gradient, optimizers, START, steps=40)
    plane, heights = figure.axes
    names = {text.get_text(): text for text in plane.texts}
    assert set(names) == set(optimizers)
    *lines, ring = plane.lines
    assert ring.get_xydata().tolist() == [START.tolist()]
    for line, below, (name, optimizer) in zip(lines, heights.lines, optimizers.items(), strict=True):
        path = optimizer_path(optimizer, gradient, START, 40)
        np.testing.assert_array_equal(line.get_xydata(), path)
        np.testing.assert_array_equal(below.get_ydata(), value(path))
        assert line.get_color() == below.get_color() == names[name].get_color()
    assert [text.get_text() for text in heights.get_legend().get_texts()] == list(optimizers)
    assert figure.get_suptitle() == "One surface, one start: the path of SGD, momentum and Adam in 40 steps"
    assert "SGD 0.058, momentum 0.04 and Adam 0.4" in figure.get_supxlabel().replace("\n", " ")
    assert_tidy(figure)


def test_names_keep_off_all_paths():
    optimizers = {"SGD": SGD(0.058), "momentum": SGD(0.04, momentum=0.7), "Adam": Adam(0.4), "RMSprop": RMSprop(0.2)}
    figure = draw_optimizer_paths(value, gradient, optimizers, START)
    figure.draw_without_rendering()
    plane = figure.axes[0]
    for text in plane.texts:
        box = text.get_window_extent()
        for line in plane.lines[:-1]:
            ends = plane.transData.transform(line.get_xydata())
            on_the_way = np.concatenate([np.linspace(a, b, 50) for a, b in itertools.pairwise(ends)])
            assert not box.count_contains(on_the_way), f"{text.get_text()} lies on a path"
    assert_tidy(figure)


def test_one_that_does_not_move():
    assert_tidy(draw_optimizer_paths(lambda p: 1 + (p**2).sum(-1), lambda p: 0 * p, {"SGD": SGD(0.1)}, START))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: optimizer_path(SGD(0.1), gradient, np.zeros(3), 1),
            ShapeError,
            "optimizer_path: start must have shape (2,), got (3,)",
        ),
        (
            lambda: draw_optimizer_paths(value, gradient, dict.fromkeys("abcde", SGD(0.1)), START),
            LimitError,
            "draw_optimizer_paths: takes 1 to 4 optimizers, got 5",
        ),
        (
            lambda: draw_optimizer_paths(value, gradient, {}, START),
            LimitError,
            "draw_optimizer_paths: takes 1 to 4 optimizers, got 0",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
