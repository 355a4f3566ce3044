"""Early layers give an image back, invertible ones exactly; late ones give another image with the same activations."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from digit_reader import digit_reader
from pictures import assert_tidy, images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import Regularizers, invert_features, plot_feature_inversion
from cnn_from_scratch.insight.until import model_until
from cnn_from_scratch.layers import Conv2d, Flatten, Linear, ReLU, Sequential

LAYERS = ("relu1", "relu2", "pool", "fc")


@cache
def inversions():
    model, normalization, x, _ = digit_reader()
    return {key: invert_features(model, x[:8], key, normalization=normalization) for key in LAYERS}


def correlations(a, b):
    return np.array([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(a, b, strict=True)])


def test_an_early_layer_gives_the_digit_back():
    _, _, x, _ = digit_reader()
    assert (correlations(inversions()["relu1"].images, x[:8]) > 0.95).all()
    assert (correlations(inversions()["relu2"].images, x[:8]) > 0.9).all()


def test_the_deeper_the_layer_the_less_it_knows():
    _, _, x, _ = digit_reader()
    means = [correlations(inversions()[key].images, x[:8]).mean() for key in LAYERS]
    assert means == sorted(means, reverse=True)
    assert means[-1] < 0.7  # ten numbers are not 64


def test_to_the_layer_the_image_is_the_same():
    model, normalization, x, y = digit_reader()
    found = inversions()["fc"]
    goal, reached = (model.predict(normalization.apply(batch)) for batch in (x[:8], found.images))
    np.testing.assert_allclose(found.errors, ((reached - goal) ** 2).sum(1) / (goal**2).sum(1), rtol=1e-2)
    assert (found.errors < 0.05).all()
    np.testing.assert_array_equal(reached.argmax(1), goal.argmax(1))


def test_an_invertible_linear_layer_gives_its_input_back():
    rng = np.random.default_rng(0)
    model = Sequential(Flatten(), Linear(12, 12, rng=0)).astype(np.float64)
    basis, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    model.params["1.weight"] = basis * np.linspace(0.5, 2, 12)
    x = rng.normal(size=(3, 3, 2, 2))
    x.setflags(write=False)
    found = invert_features(model, x, regularizers=Regularizers(), bounds=None, steps=2000, lr=0.05)
    np.testing.assert_allclose(found.images, x, atol=1e-3)
    assert (found.errors < 1e-6).all()
    assert found.images.dtype == np.float64


def test_what_a_layer_does_not_see_is_left_as_it_was():
    model = Conv2d(2, 1, 1, bias=False).astype(np.float64)
    model.params["weight"] = np.array([1.0, 0.0]).reshape(1, 2, 1, 1)
    x, start = images(2, 2).astype(np.float64), np.full((2, 2, 8, 8), 0.5)
    found = invert_features(model, x, regularizers=Regularizers(), start=start, steps=500)
    np.testing.assert_allclose(found.images[:, 0], x[:, 0], atol=1e-3)
    np.testing.assert_array_equal(found.images[:, 1], start[:, 1])


def test_errors_fall():
    for found in inversions().values():
        assert found.history.shape == (300, 8)
        assert (found.errors < 0.1 * found.history[0]).all()


def test_without_penalties_errors_fall_all_the_way():
    model, normalization, x, _ = digit_reader()
    found = invert_features(model, x[:8], "pool", normalization=normalization, regularizers=Regularizers(), steps=120)
    assert (np.diff(found.history[::30].mean(1)) < 0).all()
    assert (found.errors < found.history[90]).all()


def test_a_layer_that_gives_only_zeros_says_nothing():
    model = Sequential(Conv2d(1, 2, 3, rng=0), ReLU())
    model.params["0.bias"] = np.full(2, -100, np.float32)
    found = invert_features(model, images(1), "1", steps=5)
    assert np.isfinite(found.images).all()
    assert found.errors.tolist() == [0]


def test_the_same_seed_gives_the_same_images():
    a, b, c = (invert_features(network(), images(1), "1", steps=5, seed=seed).images.tobytes() for seed in (0, 0, 1))
    assert a == b != c


def test_arrays_are_as_the_model_computes():
    found = invert_features(network(), images(2).astype(np.float64), "0", steps=2)
    assert {array.dtype for array in found} == {np.dtype(np.float32)}
    assert all(array.flags.c_contiguous for array in found)
    assert found.images.min() >= 0
    assert found.images.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_tidy(channels):
    x, model = images(2, channels), network(channels)
    found = {key: invert_features(model, x, key, steps=2) for key in ("0", "3", "6")}
    found = {key if i else "a_block_with_a_name.a_layer": value for i, (key, value) in enumerate(found.items())}
    assert_tidy(plot_feature_inversion(x, found))
    figure = plot_feature_inversion(x, found, names=["some digit", "another"])
    assert_tidy(figure)
    assert len(figure.axes[0].images) == 2 * 4


def test_the_model_is_the_part_up_to_the_layer():
    model, normalization, x, _ = digit_reader()
    goal = model_until(model, "pool").predict(normalization.apply(x[:8]))
    reached = model_until(model, "pool").predict(normalization.apply(inversions()["pool"].images))
    error = ((reached - goal) ** 2).sum((1, 2, 3)) / (goal**2).sum((1, 2, 3))
    np.testing.assert_allclose(inversions()["pool"].errors, error, rtol=1e-2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: invert_features(network(), images(1)[0]),
            ShapeError,
            "invert_features: images must have 4 axes (N, C, H, W), got shape (1, 8, 8)",
        ),
        (
            lambda: invert_features(network(), np.zeros((1, 1, 8, 8), np.uint8)),
            TypeError,
            "invert_features: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
        (
            lambda: plot_feature_inversion(images(1), {}),
            ValueError,
            "plot_feature_inversion: nothing to show: 1 images, 0 layers",
        ),
        (
            lambda: plot_feature_inversion(images(1), {"0": invert_features(network(), images(2), "0", steps=1)}),
            ShapeError,
            "plot_feature_inversion: found['0'].images must have shape (1, 1, 8, 8), got (2, 1, 8, 8)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
