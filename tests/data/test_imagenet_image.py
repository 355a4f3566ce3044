"""Photographs as ImageNet's networks see them: size, place, smoothness, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cnn_from_scratch.data import IMAGENET_NORMALIZATION, prepare_imagenet
from cnn_from_scratch.errors import FormatError


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (256, 256), (100, 101), (1, 1), (224, 5000)])
def test_shape_and_range(shape):
    pixels = noise(*shape)
    pixels.setflags(write=False)
    image = prepare_imagenet(pixels)
    assert image.shape == (3, 224, 224)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert 0 <= image.min()
    assert image.max() <= 1


def test_nothing_is_scaled_where_the_size_is_right():
    # (256 - 224) / 2 = 16 rows go above, (300 - 224) / 2 = 38 columns to the left
    pixels = noise(256, 300)
    expected = pixels[16:240, 38:262].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(prepare_imagenet(pixels), expected)


@pytest.mark.parametrize(("width", "left"), [(259, 18), (261, 18), (263, 20)])
def test_half_a_pixel_goes_to_the_even_side(width, left):
    # (259 - 224) / 2 = 17.5 -> 18; 18.5 -> 18; 19.5 -> 20
    pixels = noise(256, width)
    np.testing.assert_array_equal(prepare_imagenet(pixels)[0], pixels[16:240, left : left + 224, 0] / np.float32(255))


def triangle(size, new):
    """The weights of bilinear scaling: a triangle as wide as two new pixels, or two old ones if these are larger."""
    scale = size / new
    reach = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    weights = np.maximum(1 - np.abs(np.arange(size) + 0.5 - centres[:, None]) / reach, 0)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(700, 512), (300, 280), (90, 128)])
def test_scaling_is_bilinear_and_does_not_alias(height, width):
    pixels = noise(height, width)
    image = prepare_imagenet(pixels, resize=128, size=100)
    H, W = (128 * height // width, 128) if width <= height else (128, 128 * width // height)
    scaled = np.einsum("hH,wW,HWc->chw", triangle(height, H), triangle(width, W), pixels.astype(float), optimize=True)
    top, left = round((H - 100) / 2), round((W - 100) / 2)
    expected = scaled[:, top : top + 100, left : left + 100]
    np.testing.assert_allclose(image * 255, expected, atol=1.1)  # rounded to whole numbers twice


def test_the_longer_side_is_cut_to_a_whole_number():
    # 256 * 500 / 333 = 384.4: at 384 columns the middle begins at column 80, which a step from black to white shows
    pixels = np.zeros((333, 500, 3), np.uint8)
    pixels[:, 250:] = 255
    row = prepare_imagenet(pixels)[0, 112]
    assert row[:111].max() == 0
    assert row[113:].min() == 1
    assert row[111] + row[112] == pytest.approx(1, abs=0.01)


def test_grey_transparent_and_turned_pictures(tmp_path):
    grey = prepare_imagenet(np.full((256, 256), 51, np.uint8))
    np.testing.assert_array_equal(grey, np.full((3, 224, 224), np.float32(0.2)))
    clear = prepare_imagenet(np.zeros((256, 256, 4), np.uint8))
    np.testing.assert_array_equal(clear, np.ones((3, 224, 224)))
    pixels = noise(256, 300)
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(prepare_imagenet(tmp_path / "a.png"), prepare_imagenet(pixels[::-1, ::-1]))


def test_normalization():
    # red (1 - 0.485) / 0.229, green and blue -mean / deviation
    red = np.zeros((256, 256, 3), np.uint8)
    red[:, :, 0] = 255
    x = IMAGENET_NORMALIZATION.apply(prepare_imagenet(red)[None])
    np.testing.assert_allclose(x[0, :, 0, 0], [0.515 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-6)
    assert x.dtype == np.float32


def test_what_is_refused(tmp_path):
    with pytest.raises(FormatError, match="a picture of 4000 x 1 would become one of 1024000 x 256; it is too narrow"):
        prepare_imagenet(noise(1, 4000))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(FormatError, match=r"a\.png"):
        prepare_imagenet(tmp_path / "a.png")
    for size in (0, 257):
        with pytest.raises(ValueError, match=f"size must be at least 1 and at most resize=256, got {size}"):
            prepare_imagenet(noise(9, 9), size=size)
