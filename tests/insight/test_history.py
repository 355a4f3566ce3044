"""The curves of a training show the numbers of its history."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy

from cnn_from_scratch.insight import plot_history, plot_quantity
from cnn_from_scratch.training import History


def rows(epochs, **columns):
    return History([{"epoch": i + 1} | {name: f(i) for name, f in columns.items()} for i in range(epochs)])


FULL = {
    "loss": lambda i: 2 * 0.7**i,
    "accuracy": lambda i: 1 - 0.7**i,
    "lr": lambda i: 0.01 / (i + 1),
    "val_loss": lambda i: 1 + (i - 3) ** 2,
    "val_accuracy": lambda i: 0.5 + 0.01 * i,
}


def test_the_curves_are_the_columns():
    history = rows(6, **FULL)
    figure = plot_history(history)
    loss, accuracy, lr = figure.axes
    for ax, columns in ((loss, ("loss", "val_loss")), (accuracy, ("accuracy", "val_accuracy")), (lr, ("lr",))):
        for line, column in zip(ax.lines, columns, strict=False):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5, 6])
            np.testing.assert_array_equal(line.get_ydata(), history[column])
    assert_tidy(figure)


def test_the_best_epoch_wears_a_ring():
    figure = plot_history(rows(6, **FULL))  # the lowest validation loss is that of epoch 4, with an accuracy of 53 %
    for ax, y in zip(figure.axes, (1, 0.53), strict=False):
        ring = ax.lines[-1]
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (4, pytest.approx(y))
    said = "Lowest validation loss: 1 after epoch 4 (ring), with an accuracy of 53.00 %."
    assert figure.get_supxlabel() == said


@pytest.mark.parametrize("columns", [("loss",), ("loss", "lr"), ("loss", "val_loss", "lr"), tuple(FULL)])
@pytest.mark.parametrize("epochs", [1, 2, 100])
def test_whatever_columns_there_are(columns, epochs):
    figure = plot_history(rows(epochs, **{name: FULL[name] for name in columns}))
    assert len(figure.axes) == len({name.removeprefix("val_") for name in columns})
    assert_tidy(figure)


def test_a_wide_range_is_logarithmic():
    scales = [plot_history(rows(20, loss=lambda i, r=r: r**i)).axes[0].get_yscale() for r in (0.7, 0.99)]
    assert scales == ["log", "linear"]


def test_a_missing_value_is_a_gap():
    history = History([{"epoch": 1, "loss": 1.0, "val_loss": 0.9}, {"epoch": 2, "loss": 0.5}])
    assert np.isnan(plot_history(history).axes[0].lines[1].get_ydata()[1])


def test_no_epoch_is_an_error():
    with pytest.raises(ValueError, match=r"^plot_history: the history is empty, for no epoch was finished$"):
        plot_history(History())


@pytest.mark.parametrize(
    ("name", "title", "columns"),
    [("loss", "loss", ("loss", "val_loss")), ("accuracy", "accuracy", ("accuracy", "val_accuracy")),
     ("lr", "learning rate", ("lr",))],
)  # fmt: skip
def test_one_quantity_alone_is_the_same_chart(name, title, columns):
    history = rows(6, **FULL)
    figure = plot_quantity(history, name)
    (ax,) = figure.axes
    assert ax.get_title("left").startswith(title)
    for line, column in zip(ax.get_lines(), columns, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), history[column])
    assert_tidy(figure)


@pytest.mark.parametrize(("name", "known"), [("speed", "loss"), ("accuracy", "loss")])
def test_a_quantity_that_is_not_there(name, known):
    with pytest.raises(ValueError, match=f"plot_quantity: name must be one of {known} here, got '{name}'"):
        plot_quantity(rows(1, loss=lambda i: 1.0), name)
