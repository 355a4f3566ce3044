"""Grad-CAM is its formula, and finds what was planted: a bar of the right kind, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import (
    gradcam,
    guided_backpropagation,
    guided_gradcam,
    input_gradient,
    last_spatial_layer,
    resize_bilinear,
)
from cnn_from_scratch.layers import (
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.models import MODELS


def bars():
    """Two classes: 0 is a standing bar, 1 a lying one. Each class is the mean of the map of its own detector."""
    detectors = Conv2d(1, 2, 3, padding=1)
    standing = np.array([[-1, 2, -1]] * 3, np.float32)
    detectors.params["weight"] = np.stack([standing, standing.T])[:, None]
    detectors.params["bias"] = np.array([-2.5, -2.5], np.float32)
    head = Linear(2, 2, bias=False)
    head.params["weight"] = np.array([[1.0, -0.5], [-0.5, 1.0]], np.float32)
    return Sequential({"conv": detectors, "relu": ReLU(), "pool": MaxPool2d(2), "mean": GlobalAvgPool2d(),
                       "flat": Flatten(), "fc": head})  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    quarters=st.permutations([(0, 0), (0, 8), (8, 0), (8, 8)]), shift=st.tuples(st.integers(1, 4), st.integers(1, 4))
)
def test_a_planted_object_is_found(quarters, shift):
    """A standing bar in one quarter of 16x16, a lying one in another: each class is seen in its own quarter."""
    x = np.zeros((1, 1, 16, 16), np.float32)
    (top, left), (other_top, other_left) = ((a + shift[0], b + shift[1]) for a, b in quarters[:2])
    x[0, 0, top : top + 3, left + 1] = 1
    x[0, 0, other_top + 1, other_left : other_left + 3] = 1
    for target, (row, column) in enumerate(quarters[:2]):
        for alpha in ("mean", "each"):
            cam = gradcam(bars(), x, target, alpha=alpha)[0]
            inside = cam[row : row + 8, column : column + 8].sum()
            assert inside > 0
            assert inside > 0.99 * cam.sum()


def test_by_hand():
    """Scores are means over 16 pools, and a pool hands its gradient to one of four pixels: alpha = weight / 64."""
    model, x = bars().astype(np.float64), images(3).astype(np.float64)
    maps = np.maximum(input_gradient(model, x, key="conv").output, 0)
    for target, weight in enumerate(([1, -0.5], [-0.5, 1])):
        expected = np.maximum(weight[0] * maps[:, 0] + weight[1] * maps[:, 1], 0) / 64
        np.testing.assert_allclose(gradcam(model, x, target, size="layer"), expected, rtol=1e-12, atol=1e-15)


def test_the_formula():
    model, x = network().astype(np.float64), images(4).astype(np.float64)
    target = np.array([0, 9, 3, 3])
    for key, alpha in (("4", "mean"), ("0", "mean"), ("2", "each")):
        found = input_gradient(model, x, target, key=key)
        expected = np.zeros((4, *found.output.shape[2:]))
        for n, k in np.ndindex(*found.output.shape[:2]):
            weight = found.doutput[n, k] if alpha == "each" else found.doutput[n, k].sum() / found.doutput[n, k].size
            expected[n] += weight * found.output[n, k]
        expected = np.maximum(expected, 0)
        cam = gradcam(model, x, target, key=key, alpha=alpha, size="layer")
        np.testing.assert_allclose(cam, expected, rtol=1e-10, atol=1e-14)
        for size in (None, (5, 11)):
            resized = resize_bilinear(expected, size or (8, 8))
            np.testing.assert_allclose(
                gradcam(model, x, target, key=key, alpha=alpha, size=size), resized, rtol=1e-10, atol=1e-14
            )


def test_each_place_by_its_own_gradient_adds_up_to_the_score():
    """Behind the layer all is linear: sum of dscore/dA * A = score - bias, and none of it is below 0."""
    model = Sequential(Conv2d(1, 3, 3, rng=0), ReLU(), Flatten(), Linear(108, 2, rng=1)).astype(np.float64)
    model.params["3.weight"] = np.abs(model.params["3.weight"])
    x = images(2).astype(np.float64)
    cam = gradcam(model, x, 1, alpha="each", size="layer")
    np.testing.assert_allclose(cam.sum((1, 2)), model.predict(x)[:, 1] - model.params["3.bias"][1], rtol=1e-12)


def test_guided():
    model, x = network(), images(3)
    expected = guided_backpropagation(model, x) * gradcam(model, x)[:, None]
    np.testing.assert_allclose(guided_gradcam(model, x), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("digits_cnn", "relu4"),
        ("lenet5", "tanh2"),
        ("mnist_cnn", "relu2"),
        ("resnet20", "layer3.2.relu2"),
        ("vgg_small", "relu5"),
    ],
)
def test_the_last_layer_with_maps(name, key):
    shape = {"digits_cnn": (1, 8, 8), "lenet5": (1, 28, 28), "mnist_cnn": (1, 28, 28)}.get(name, (3, 32, 32))
    model = MODELS[name](in_channels=shape[0])
    assert last_spatial_layer(model, shape) == key
    x = np.random.default_rng(0).random((1, *shape), dtype=np.float32)
    np.testing.assert_array_equal(gradcam(model, x), gradcam(model, x, key=key))


def test_the_last_layer_in_containers():
    features = Sequential({"conv": Conv2d(1, 2, 3, rng=0), "pool": MaxPool2d(2)})
    model = Sequential({"features": features, "flat": Flatten(), "fc": Linear(18, 2, rng=0)})
    assert last_spatial_layer(model, (1, 8, 8)) == "features.conv"  # not "features", which gives what the pool gives
    wide = Sequential({"wide": Concat(Conv2d(1, 1, 1, rng=0), ReLU()), "flat": Flatten(), "fc": Linear(128, 2, rng=0)})
    assert last_spatial_layer(wide, (1, 8, 8)) == "wide"
    block = Sequential({"block": Residual(ReLU()), "flat": Flatten(), "fc": Linear(64, 2, rng=0)})
    assert last_spatial_layer(block, (1, 8, 8)) == "block"
    assert gradcam(block, images(1)).shape == (1, 8, 8)


def test_batches_memory_and_dtype():
    model, x = network(), images(5)
    x.flags.writeable = False
    before = {key: value.copy() for key, value in model.params.items()}
    cam = gradcam(model, x)
    np.testing.assert_allclose(cam, gradcam(model, x, batch_size=2), rtol=1e-4, atol=1e-7)
    assert cam.dtype == np.float32
    assert cam.flags.c_contiguous
    assert cam.min() >= 0
    assert all((before[key] == value).all() for key, value in model.params.items())
    assert gradcam(model, images(0)).shape == (0, 8, 8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: gradcam(network(), images(1)[0]),
            ShapeError,
            "gradcam: x must have 4 axes (N, C, H, W), got shape (1, 8, 8)",
        ),
        (lambda: gradcam(network(), images(1), key="6"), ShapeError, "gradcam: layer '6' gives no maps (N, C, h, w) "
         "but (1, 10)"),
        (
            lambda: gradcam(network(), images(1), key="x"),
            ValueError,
            "gradcam: no layer has the key 'x'; those of this model: 0, 1, 2, 3, 4, 5, 6",
        ),
        (
            lambda: gradcam(network(), images(1), alpha="max"),
            ValueError,
            "gradcam: alpha must be 'mean' or 'each', got 'max'",
        ),
        (
            lambda: gradcam(Sequential(Flatten(), Linear(64, 2, rng=0)), images(1)),
            ValueError,
            "last_spatial_layer: no layer but pools gives maps of more than one pixel",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
