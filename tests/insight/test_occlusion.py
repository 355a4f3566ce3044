"""Occlusion is what the score loses; planted patterns that speak for a class, and against it, are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import occlusion
from cnn_from_scratch.layers import Flatten, Linear, Sequential


def by_definition(model, x, target, patch, places, baseline):
    """For each place one covered image, one after the other; each pixel's mean over the patches that cover it."""
    drop, count = np.zeros(x.shape[2:]), np.zeros(x.shape[2:])
    for i, j in places:
        covered = x.copy()
        covered[0, :, i : i + patch[0], j : j + patch[1]] = baseline
        drop[i : i + patch[0], j : j + patch[1]] += (model.predict(x) - model.predict(covered))[0, target]
        count[i : i + patch[0], j : j + patch[1]] += 1
    return drop / count


@pytest.mark.parametrize(
    ("patch", "stride", "rows", "columns"),
    [
        (3, 1, range(6), range(6)),
        ((2, 5), (2, 3), [0, 2, 4, 6], [0, 3]),
        ((5, 4), (4, 4), [0, 3], [0, 4]),  # the last one ends at the edge
        (8, 8, [0], [0]),
        (None, None, range(7), range(7)),  # a sixth of 8, rounded up: 2
    ],
)
def test_the_definition(patch, stride, rows, columns):
    model, x = network(2).astype(np.float64), images(1, 2).astype(np.float64)
    places = [(i, j) for i in rows for j in columns]
    size = (patch, patch) if isinstance(patch, int) else patch or (2, 2)
    found = occlusion(model, x, 4, patch=patch, stride=stride, baseline=0.25)
    np.testing.assert_allclose(found[0], by_definition(model, x, 4, size, places, 0.25), rtol=1e-9, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_a_sum_loses_what_is_covered(size, data):
    """score = sum of x, baseline 0, x = 1: every patch costs its area, so every pixel shows it, wherever it lies."""
    patch = tuple(data.draw(st.integers(1, s)) for s in size)
    stride = tuple(data.draw(st.integers(1, p)) for p in patch)
    model = Sequential(Flatten(), Linear(size[0] * size[1], 1, bias=False)).astype(np.float64)
    model.params["1.weight"].fill(1)
    found = occlusion(model, np.ones((1, 1, *size)), patch=patch, stride=stride, baseline=0, batch_size=7)
    np.testing.assert_allclose(found, patch[0] * patch[1], rtol=1e-12)


def test_the_sign_of_a_planted_pattern():
    """The score counts light at the top left and loses by light at the bottom right; elsewhere nothing counts."""
    weight = np.zeros((10, 10))
    weight[1:4, 1:4], weight[6:9, 5:9] = 1, -1
    model = Sequential(Flatten(), Linear(100, 2, bias=False)).astype(np.float64)
    model.params["1.weight"] = np.stack([weight.ravel(), -weight.ravel()])
    x = np.random.default_rng(0).uniform(0.5, 1, (2, 1, 10, 10))
    for target, sign in ((0, 1), (1, -1)):
        found = sign * occlusion(model, x, target, patch=2, stride=1, baseline=0)
        assert (found[:, weight > 0] > 0).all()
        assert (found[:, weight < 0] < 0).all()
        far = np.ones((10, 10), bool)
        far[:5, :5] = far[5:10, 4:10] = False
        np.testing.assert_allclose(found[:, far], 0, atol=1e-12)


def test_covering_black_with_black_loses_nothing_not_even_rounding():
    model, x = network(), images(2)
    x[:, :, :, 4:] = 0
    found = occlusion(model, x, patch=2, stride=1, baseline=0)
    assert (found[:, :, 5:] == 0).all()
    assert (found[:, :, :5] != 0).all()
    assert (occlusion(model, x * 0) == 0).all()


def test_batches_memory_and_dtype():
    model, x = network(), images(3)
    x.flags.writeable = False
    before = {key: value.copy() for key, value in model.params.items()}
    a, b = (occlusion(model, x, patch=3, stride=2, batch_size=size) for size in (100, 4))
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert a.dtype == np.float32
    assert a.shape == (3, 8, 8)
    assert a.flags.c_contiguous
    assert all((before[key] == value).all() for key, value in model.params.items())
    assert occlusion(model, images(0)).shape == (0, 8, 8)


def test_each_image_has_its_own_class_and_its_own_darkness():
    model, x = network().astype(np.float64), images(3).astype(np.float64)
    x[1] += 2
    together = occlusion(model, x)
    for n in range(3):
        own = model.predict(x[n : n + 1]).argmax()
        alone = occlusion(model, x[n : n + 1], int(own), baseline=x[n].min())
        np.testing.assert_allclose(together[n], alone[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patch": 9}, ShapeError, "occlusion: patch (9, 9) is larger than the image (8, 8)"),
        ({"patch": 0}, ShapeError, "occlusion: patch must be an int >= 1 or a pair of them, got 0"),
        (
            {"patch": 2, "stride": 3},
            ShapeError,
            "occlusion: stride (3, 3) must not exceed the patch (2, 2), or pixels are left out",
        ),
        ({"target": 10}, ValueError, "occlusion: target must be in 0..9, got 10"),
        ({"batch_size": 0}, ValueError, "occlusion: batch_size must be an int >= 1, got 0"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error) as caught:
        occlusion(network(), images(2), **options)
    assert str(caught.value) == message
