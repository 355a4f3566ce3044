"""Batch norm, drawn: means and deviations are those of the operation, and the layer stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
from boards import written
from pictures import assert_tidy

from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.insight import draw_batch_norm
from cnn_from_scratch.layers import BatchNorm2d, Context


def batch(seed=0, N=8):
    """Three channels that differ in mean and spread."""
    noise = np.random.default_rng(seed).standard_normal((N, 3, 6, 5)).astype(np.float32)
    return noise * np.array([1, 0.2, 3], np.float32)[:, None, None] + np.array([0, 2, -4], np.float32)[:, None, None]


def seasoned():
    layer = BatchNorm2d(3)
    layer.params["weight"] = np.array([1, 2, 0.5], np.float32)
    layer.params["bias"] = np.array([0, 1, 0], np.float32)
    layer.commit(layer.forward(batch(1), Context(train=True))[1])
    return layer


def numbers_above(figure):
    """(C, 3) of words: before, in training, in evaluation."""
    titles = [ax.get_title(loc="left").split("\n")[-1] for ax in figure.axes]
    return np.array(titles).reshape(3, 4)[:, 1:]


def test_numbers_are_those_of_the_layer():
    layer, x = seasoned(), batch()
    figure = draw_batch_norm(layer, x)
    train, evaluation = (layer.forward(x, Context(train=mode))[0] for mode in (True, False))
    for column, values in enumerate((x, train, evaluation)):
        means, spreads = values.mean(axis=(0, 2, 3)).round(2), values.std(axis=(0, 2, 3)).round(2)
        expected = [f"{mean} ± {std}" for mean, std in zip(written(means), written(spreads), strict=True)]
        assert numbers_above(figure)[:, column].tolist() == expected
    # in training, mean and deviation are what bias and weight say
    assert numbers_above(figure)[:, 1].tolist() == ["0 ± 1", "1 ± 2", "0 ± 0.5"]
    assert_tidy(figure)


def test_the_grey_bar_is_what_is_remembered():
    layer = seasoned()
    figure = draw_batch_norm(layer, batch())
    for c in range(3):
        this_batch, _, running, _ = figure.axes[4 * c + 1].lines
        values = batch()[:, c]
        np.testing.assert_allclose(this_batch.get_xdata(), values.mean() + values.std() * np.array([-1, 1]), rtol=1e-4)
        mean, std = layer.buffers["running_mean"][c], np.sqrt(layer.buffers["running_var"][c])
        np.testing.assert_allclose(running.get_xdata(), [mean - std, mean + std], rtol=1e-6)


def test_nothing_is_changed():
    layer, x = seasoned(), batch(N=1)
    before = {key: array.copy() for key, array in (layer.params | layer.buffers).items()}
    x.flags.writeable = False
    assert_tidy(draw_batch_norm(layer, x))
    for key, array in (layer.params | layer.buffers).items():
        np.testing.assert_array_equal(array, before[key])


def test_a_constant_channel():
    assert_tidy(draw_batch_norm(BatchNorm2d(1), np.ones((2, 1, 3, 3), np.float32)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: draw_batch_norm(BatchNorm2d(3), batch()[0]),
            ShapeError,
            "draw_batch_norm: x must have 4 axes (N, C, H, W), got shape (3, 6, 5)",
        ),
        (
            lambda: draw_batch_norm(BatchNorm2d(5), np.ones((2, 5, 3, 3), np.float32)),
            LimitError,
            "draw_batch_norm: 5 channels are too many to draw; at most 4",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_statistics_must_be_there():
    with pytest.raises(ValueError, match="batch_norm_forward"):
        draw_batch_norm(BatchNorm2d(3, track_running_stats=False), batch())
