"""Bilinear resizing: by hand, by a loop over the definition, exact on ramps, and as PyTorch does it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import resize_bilinear

sides = st.integers(1, 9)


def by_definition(image, H, W):
    h, w = image.shape
    y = np.empty((H, W))
    for i in range(H):
        for j in range(W):
            r = min(max((i + 0.5) * h / H - 0.5, 0), h - 1)
            c = min(max((j + 0.5) * w / W - 0.5, 0), w - 1)
            y[i, j] = sum(
                image[a, b] * max(1 - abs(r - a), 0) * max(1 - abs(c - b), 0) for a in range(h) for b in range(w)
            )
    return y


def test_by_hand():
    # middles of the four new pixels lie at -1/4, 1/4, 3/4 and 5/4 of the old ones: 0, 0.25, 0.75, 1 of the way
    np.testing.assert_allclose(resize_bilinear(np.array([[0.0, 1.0], [2.0, 3.0]]), (4, 4))[:, 0], [0, 0.5, 1.5, 2])
    np.testing.assert_allclose(resize_bilinear(np.array([[0.0, 1.0, 2.0, 3.0]]), (1, 2)), [[0.5, 2.5]])


@settings(max_examples=60, deadline=None)
@given(h=sides, w=sides, H=sides, W=sides, seed=st.integers(0, 99))
def test_the_definition(h, w, H, W, seed):
    maps = np.random.default_rng(seed).standard_normal((2, h, w))
    y = resize_bilinear(maps, (H, W))
    for image, found in zip(maps, y, strict=True):
        np.testing.assert_allclose(found, by_definition(image, H, W), rtol=1e-12, atol=1e-13)
    assert y.flags.c_contiguous
    assert maps.min() - 1e-12 <= y.min()
    assert y.max() <= maps.max() + 1e-12


def test_the_same_size_is_the_same_image_and_float32_stays():
    image = np.random.default_rng(0).random((3, 5, 4), dtype=np.float32)
    image.flags.writeable = False
    np.testing.assert_array_equal(resize_bilinear(image, (5, 4)), image)
    assert resize_bilinear(image, (9, 9)).dtype == np.float32
    assert resize_bilinear(image[:0], (9, 9)).shape == (0, 9, 9)


@pytest.mark.parametrize("size", [(28, 28), (7, 30), (3, 2), (1, 1)])
def test_pytorch(size):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional peer: pip install '.[peers]'")
    maps = np.random.default_rng(0).standard_normal((2, 3, 7, 5))
    peer = torch.nn.functional.interpolate(torch.from_numpy(maps), size=size, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(resize_bilinear(maps, size), peer.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("maps", "size", "message"),
    [
        (np.zeros(3), (2, 2), "resize_bilinear: maps must be (..., h, w) with at least one pixel, got shape (3,)"),
        (
            np.zeros((0, 3)),
            (2, 2),
            "resize_bilinear: maps must be (..., h, w) with at least one pixel, got shape (0, 3)",
        ),
        (np.zeros((3, 3)), (0, 2), "resize_bilinear: size must be an int >= 1 or a pair of them, got (0, 2)"),
    ],
)
def test_bad_input_is_named(maps, size, message):
    with pytest.raises(ShapeError) as caught:
        resize_bilinear(maps, size)
    assert str(caught.value) == message
