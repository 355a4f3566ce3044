"""Pixels to floats, normalization by the training images, and images that are not finite."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ladder import frozen, layouts

from cnn_from_scratch.data import Dataset, Examples, Normalization, check_finite, scale
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, to_hwnc


def test_scale_by_hand():
    x = np.array([0, 51, 102, 255], np.uint8)  # / 255 = 0, 1/5, 2/5, 1
    y = scale(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.array([0.0, 0.2, 0.4, 1.0], np.float32))
    np.testing.assert_array_equal(scale(np.array([0, 4, 16]), maximum=16), np.array([0, 0.25, 1], np.float32))
    assert scale(np.zeros((0, 1, 2, 2), np.uint8)).shape == (0, 1, 2, 2)


@pytest.mark.parametrize(
    ("x", "maximum", "error", "message"),
    [
        (
            np.ones(2, np.float32),
            255,
            TypeError,
            "scale: x has dtype float32; expected integers (it may have been scaled before)",
        ),
        (np.array([3, 17]), 16, ValueError, "scale: x must lie in 0..16, got values in 3..17"),
        (np.array([-1, 5]), 255, ValueError, "scale: x must lie in 0..255, got values in -1..5"),
    ],
)
def test_scale_refuses(x, maximum, error, message):
    with pytest.raises(error) as caught:
        scale(x, maximum=maximum)
    assert str(caught.value) == message


def test_a_scaled_data_set_uses_its_own_maximum():
    x, y = np.full((2, 1, 2, 2), 8, np.uint8), np.array([0, 1])
    data = Dataset("d", Examples(x, y), Examples(x[:1], y[:1]), ("a", "b"), maximum=16)
    scaled = data.scaled()
    assert scaled.train.x.dtype == scaled.test.x.dtype == np.float32
    assert (scaled.train.x == 0.5).all()
    assert (scaled.test.x == 0.5).all()
    assert str(scaled) == "d: 2 training and 1 test images of shape (1, 2, 2), float32, 2 classes"


def test_normalization_by_hand():
    # channel 0: 1 and 3, mean 2, deviation 1; channel 1: 0 and 4, mean 2, deviation 2
    x = np.array([[1.0, 0.0], [3.0, 4.0]]).reshape(2, 2, 1, 1)
    n = Normalization.of(x)
    assert n == ((2.0, 2.0), (1.0, 2.0))
    np.testing.assert_array_equal(n.apply(x).reshape(2, 2), [[-1, -1], [1, 1]])
    np.testing.assert_array_equal(n.undo(n.apply(x)), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalized_images_have_mean_0_and_deviation_1(dtype):
    rng = np.random.default_rng(0)
    (x,) = frozen(
        (rng.standard_normal((50, 3, 200, 60)) * [[[2]], [[1]], [[0.1]]] + [[[5]], [[0]], [[9]]]).astype(dtype)
    )
    n = Normalization.of(x)  # more than a megapixel: summed in several parts
    np.testing.assert_allclose(n.mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(n.std, x.std(axis=(0, 2, 3), dtype=np.float64), rtol=1e-12)
    y = n.apply(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3), dtype=np.float64), 1, rtol=1e-5)


def test_a_constant_channel_becomes_zero():
    x = np.full((3, 1, 7, 7), 0.1, np.float32)
    n = Normalization.of(x)
    assert n.std == (1.0,)
    np.testing.assert_allclose(n.apply(x), 0, atol=1e-7)


def test_normalization_travels_as_json():
    n = Normalization.of(np.random.default_rng(0).random((4, 3, 5, 5)))
    back = Normalization(*json.loads(json.dumps(n)))
    x = np.random.default_rng(1).random((2, 3, 5, 5))
    np.testing.assert_array_equal(back.apply(x), n.apply(x))


def test_normalization_in_any_layout():
    x = np.random.default_rng(0).random((4, 3, 5, 6)).astype(np.float32)
    n = Normalization.of(x)
    for label, variant in layouts(x):
        np.testing.assert_allclose(Normalization.of(variant).mean, n.mean, rtol=1e-6, err_msg=label)
        y = n.apply(variant)
        assert y.dtype == np.dtype(np.float32)
        np.testing.assert_array_equal(y, n.apply(x), err_msg=label)
    assert is_hwnc(n.apply(to_hwnc(x)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Normalization.of(np.zeros((2, 1, 2, 2), np.uint8)),
            TypeError,
            "Normalization.of: x has dtype uint8; expected floats (scale(x) makes them)",
        ),
        (
            lambda: Normalization.of(np.zeros((0, 1, 2, 2))),
            ValueError,
            "Normalization.of: there is no pixel to take the mean of, got shape (0, 1, 2, 2)",
        ),
        (
            lambda: Normalization((0.0,), (1.0,)).apply(np.zeros((2, 3, 2, 2))),
            ShapeError,
            "Normalization.apply: made for C=1 channels, got shape (2, 3, 2, 2)",
        ),
        (
            lambda: Normalization((0.0,), (1.0,)).undo(np.zeros((2, 1, 2, 2), int)),
            TypeError,
            "Normalization.undo: got dtype int64; expected floats (scale(x) makes them)",
        ),
    ],
)
def test_normalization_refuses(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_check_finite():
    check_finite("f", np.array([1, 2]))
    check_finite("f", np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="f: 1 NaN and 2 infinite values among 6, the first at \\(0, 1\\)"):
        check_finite("f", np.array([[0, np.inf, 1], [np.nan, -np.inf, 2]]))
