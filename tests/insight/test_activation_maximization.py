"""The images found excite their units far more than data do; of a linear layer they are the weight itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from digit_reader import digit_reader
from pictures import assert_tidy, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import Regularizers, maximize_activation, plot_activation_maxima
from cnn_from_scratch.insight.until import model_until
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

SHAPE = (1, 8, 8)


@cache
def ten_digits():
    model, normalization, _, _ = digit_reader()
    return maximize_activation(model, range(10), SHAPE, normalization=normalization)


def test_it_is_far_above_what_data_and_noise_give():
    model, normalization, x, _ = digit_reader()
    found = ten_digits()
    for inputs in (x, np.random.default_rng(0).random((500, *SHAPE), np.float32)):
        logits = model.predict(normalization.apply(inputs))
        assert (found.activations > logits.max(0)).all()
        assert (found.activations > logits.mean(0) + 2 * logits.std(0)).all()


def test_each_image_is_read_as_its_digit():
    model, normalization, _, _ = digit_reader()
    logits = model.predict(normalization.apply(ten_digits().images))
    np.testing.assert_array_equal(logits.argmax(1), np.arange(10))
    np.testing.assert_allclose(np.diag(logits), ten_digits().activations, rtol=1e-4)


def test_it_rises_from_checkpoint_to_checkpoint():
    history = ten_digits().history
    assert history.shape == (500, 10)
    assert (np.diff(history[[0, 4, 8, 16]], axis=0) > 0).all()
    assert (history[-1] > 0.7 * history.max(0)).all()  # what the penalties take away as they come in


def test_without_penalties_it_rises_all_the_way():
    model, normalization, _, _ = digit_reader()
    found = maximize_activation(
        model, range(10), SHAPE, normalization=normalization, regularizers=Regularizers(), steps=120
    )
    assert (np.diff(found.history[::20], axis=0) > 0).all()
    assert found.activations.mean() > ten_digits().activations.mean()  # legibility has its price


def test_the_maximiser_of_a_linear_unit_is_its_weight():
    # max of w.x / rms(w) - d |x|^2 is at x = w / (2 d rms(w))
    model = Sequential(Flatten(), Linear(12, 5, rng=0)).astype(np.float64)
    found = maximize_activation(
        model, range(5), (3, 2, 2), regularizers=Regularizers(decay=0.25), bounds=None, steps=600, lr=0.1
    )
    weight = model.params["1.weight"]
    expected = 2 * weight / np.sqrt((weight**2).mean(1, keepdims=True))
    np.testing.assert_allclose(found.images.reshape(5, 12), expected, atol=1e-3)
    np.testing.assert_allclose(found.activations, (expected * weight).sum(1) + model.params["1.bias"], rtol=1e-3)


def test_between_bounds_a_linear_unit_wants_the_signs_of_its_weight():
    model = Sequential(Flatten(), Linear(12, 5, rng=0))
    found = maximize_activation(model, range(5), (3, 2, 2), regularizers=Regularizers())
    np.testing.assert_allclose(found.images.reshape(5, 12), model.params["1.weight"] > 0, atol=1e-6)


def test_one_unit_of_a_convolution_wants_its_filter_at_its_place():
    model = Conv2d(2, 3, 3, padding=1, rng=0).astype(np.float64)
    found = maximize_activation(
        model, 1, (2, 6, 7), position=(2, 4), regularizers=Regularizers(decay=0.5), bounds=None, steps=600, lr=0.1
    )
    weight = model.params["weight"][1]
    np.testing.assert_allclose(found.images[0][:, 1:4, 3:6], weight / np.sqrt((weight**2).mean()), atol=1e-3)
    assert np.abs(np.delete(found.images[0], np.s_[3:6], 2)).max() < 1e-3
    center = maximize_activation(model, 1, (2, 6, 7), position="center", steps=2)
    np.testing.assert_array_equal(
        center.images, maximize_activation(model, 1, (2, 6, 7), position=(3, 3), steps=2).images
    )


def test_a_channel_is_the_mean_over_its_positions():
    model, normalization, _, _ = digit_reader()
    found = maximize_activation(model, (2, 5), SHAPE, key="relu2", normalization=normalization, steps=40)
    maps = model_until(model, "relu2").predict(normalization.apply(found.images))
    np.testing.assert_allclose(found.activations, [maps[0, 2].mean(), maps[1, 5].mean()], rtol=1e-4)
    assert found.key == "relu2"
    assert found.units == (2, 5)


def test_pixels_keep_their_bounds_and_the_model_its_parameters():
    model, normalization, _, _ = digit_reader()  # its parameters are read-only
    found = ten_digits()
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert found.images.dtype == found.activations.dtype == found.history.dtype == np.float32
    assert found.images.flags.c_contiguous


def test_the_same_seed_gives_the_same_images():
    model, normalization, _, _ = digit_reader()
    a, b, c = (
        maximize_activation(model, 3, SHAPE, normalization=normalization, steps=20, seed=seed).images.tobytes()
        for seed in (0, 0, 1)
    )
    assert a == b != c


def test_units_do_not_know_of_each_other():
    model = network().astype(np.float64)
    together = maximize_activation(model, range(4), SHAPE, steps=30)
    for unit in range(4):
        alone = maximize_activation(model, unit, SHAPE, steps=30)
        np.testing.assert_allclose(alone.images[0], together.images[unit], atol=1e-6)


def test_ctrl_c_returns_what_has_been_reached():
    class Interrupted(ReLU):
        calls = 0

        def forward(self, x, ctx):
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().forward(x, ctx)

    model = Sequential(Interrupted(), Flatten(), Linear(64, 2, rng=0))
    found = maximize_activation(model, (0, 1), SHAPE)
    assert found.history.shape == (4, 2)
    np.testing.assert_allclose(found.activations, np.diag(model.predict(found.images)), rtol=1e-5)


def test_it_may_begin_with_given_images():
    model, normalization, x, _ = digit_reader()
    found = maximize_activation(model, (0, 1), SHAPE, normalization=normalization, start=x[:2], steps=1, lr=0.0)
    np.testing.assert_array_equal(found.images, x[:2])


def test_dead_units_leave_the_image_to_the_penalties():
    model = Sequential(Conv2d(1, 1, 3, rng=0), ReLU(), MaxPool2d(2), Flatten(), Linear(4, 1, rng=0))
    model.params["0.bias"] = np.full(1, -100, np.float32)
    found = maximize_activation(model, 0, (1, 6, 6), steps=200)
    assert np.ptp(found.images) < 0.1


@pytest.mark.parametrize(("units", "channels"), [(1, 1), (10, 3), (40, 1)])
def test_pictures_are_tidy(units, channels):
    model = Sequential(Flatten(), Linear(channels * 64, units, rng=0))
    found = maximize_activation(model, range(units), (channels, 8, 8), steps=2)
    assert_tidy(plot_activation_maxima(found))
    figure = plot_activation_maxima(found, names=[f"some kind of thing {k}" for k in range(units)])
    assert_tidy(figure)
    assert len(figure.axes[0].images) == units


def test_the_picture_shows_the_images():
    found = ten_digits()
    drawn = plot_activation_maxima(found).axes[0].images
    for image, shown in zip(found.images, drawn, strict=True):
        np.testing.assert_array_equal(shown.get_array()[..., 0], image[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: maximize_activation(network(), 10, SHAPE),
            ValueError,
            "maximize_activation: units must be ints in 0..9, got 10",
        ),
        (lambda: maximize_activation(network(), (), SHAPE), ValueError, "maximize_activation: units is empty"),
        (
            lambda: maximize_activation(network(), 0, SHAPE, position="center"),
            ShapeError,
            "maximize_activation: position is for layers that give maps, this one gives (10,)",
        ),
        (
            lambda: maximize_activation(network(), 0, SHAPE, key="0", position=(8, 0)),
            ShapeError,
            "maximize_activation: position (8, 0) is not within maps of 8 x 8",
        ),
        (
            lambda: maximize_activation(network(), 0, SHAPE, start=np.zeros((2, 1, 8, 8))),
            ShapeError,
            "maximize_activation: start must have shape (1, 1, 8, 8), got (2, 1, 8, 8)",
        ),
        (
            lambda: maximize_activation(network(), 0, SHAPE, bounds=(1.0, 0.0)),
            ValueError,
            "maximize_activation: bounds must be None or (low, high) with low < high, got (1.0, 0.0)",
        ),
        (
            lambda: plot_activation_maxima(ten_digits(), names=["a"]),
            ShapeError,
            "plot_activation_maxima: 1 names for 10 images",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
