"""The drawn picture: the same every time, in range, with something in it for every filter."""

from __future__ import annotations

import numpy as np

from cnn_from_scratch.insight import landscape
from cnn_from_scratch.ops import conv_forward


def test_it_is_an_image():
    image = landscape()
    assert image.shape == (3, 120, 180)
    assert image.dtype == np.float32
    assert 0 <= image.min() < 0.2
    assert 0.9 < image.max() <= 1
    np.testing.assert_array_equal(image, landscape())
    assert (image != landscape(seed=1)).any()
    assert landscape(40, 50).shape == (3, 40, 50)


def test_it_has_edges_in_both_directions_and_a_flat_sky():
    grey = landscape().mean(0)[None, None]
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
    y, _ = conv_forward(grey, np.stack([sobel, sobel.T])[:, None])
    strong = np.abs(y[0]).max((1, 2))
    assert (strong > 1).all()
    assert np.abs(y[0, :, :8]).max() < 0.05 * strong.min()
