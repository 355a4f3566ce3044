"""The preparation of photographs beside PyTorch's own scaling, which has the same window."""

from __future__ import annotations

import numpy as np
import pytest
from peers.compare import torch

from cnn_from_scratch.data import prepare_imagenet


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 427), (120, 90)])
def test_scaling_with_antialias(height, width):
    smooth = np.add.outer(np.sin(np.arange(height) / 9), np.cos(np.arange(width) / 5))[..., None] * [60, 50, 40]
    pixels = (128 + smooth + np.random.default_rng(0).integers(-8, 8, (height, width, 3))).astype(np.uint8)
    H, W = (256, 256 * width // height) if height <= width else (256 * height // width, 256)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(tensor, (H, W), mode="bilinear", antialias=True)[0].numpy()
    top, left = round((H - 224) / 2), round((W - 224) / 2)
    expected = scaled[:, top : top + 224, left : left + 224].astype(int)
    found = (prepare_imagenet(pixels) * 255).round().astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.95
