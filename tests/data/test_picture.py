"""Picture files of every kind become arrays, the right way up; what is none is refused before it costs memory."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cnn_from_scratch.data import as_pixels, fit_picture
from cnn_from_scratch.errors import FormatError

GREY = np.array([[0, 100], [200, 255], [7, 8]], np.uint8)  # (3, 2)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("1", (3, 2)),
        ("L", (3, 2)),
        ("P", (3, 2, 3)),
        ("RGB", (3, 2, 3)),
        ("CMYK", (3, 2, 3)),
        ("YCbCr", (3, 2, 3)),
        ("LA", (3, 2, 4)),
        ("RGBA", (3, 2, 4)),
    ],
)
def test_every_mode(mode, shape):
    pixels = as_pixels(Image.fromarray(GREY).convert(mode))
    assert pixels.shape == shape
    assert pixels.dtype == np.uint8
    if mode in ("L", "P", "RGB", "RGBA", "LA"):
        np.testing.assert_array_equal(pixels[..., 0] if pixels.ndim == 3 else pixels, GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "webp", "tiff", "ppm"])
def test_every_format_that_loses_nothing(tmp_path, suffix):
    image = Image.fromarray(np.dstack([GREY, GREY, GREY]))
    image.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(as_pixels(tmp_path / f"a.{suffix}")[:, :, 0], GREY)


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_array_equal(as_pixels(tmp_path / "a.png"), [[[10, 20, 30, 255], [40, 50, 60, 0]]])


def test_an_array_is_itself():
    assert as_pixels(GREY) is GREY


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.fault("hostile-image")
def test_too_many_pixels_are_refused_from_the_header(tmp_path):
    path = tmp_path / "bomb.png"
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))))
    with pytest.raises(FormatError, match=r"bomb\.png: declares too many pixels|bomb\.png: declares 60000 x 60000"):
        as_pixels(path)
    Image.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"a\.png: declares 2 x 3 pixels; at most 5 are accepted"):
        as_pixels(tmp_path / "a.png", max_pixels=5)


@pytest.mark.fault("hostile-image")
def test_more_than_8_bits_are_refused(tmp_path):
    Image.fromarray(GREY.astype(np.uint16) * 256).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"a\.png: has mode I;16, not 8 bits for each value; convert it first"):
        as_pixels(tmp_path / "a.png")


# --- fitted ---------------------------------------------------------------------------------------------------------


def test_the_middle_is_cut_out():
    # 2 x 6 scaled to cover 2 x 2: the two columns in the middle
    picture = np.array([[0, 0, 255, 0, 0, 0], [0, 0, 255, 0, 0, 0]], np.uint8)
    np.testing.assert_array_equal(fit_picture(picture, (2, 2), channels=1)[0], [[1, 0], [1, 0]])


def test_colours_and_grey():
    red = np.full((5, 5, 3), [255, 0, 0], np.uint8)
    np.testing.assert_array_equal(fit_picture(red, (2, 3), channels=3)[:, 0, 0], [1, 0, 0])
    assert fit_picture(red, (2, 3), channels=1)[0, 0, 0] == pytest.approx(0.299, abs=0.003)  # ITU-R 601
    grey = fit_picture(GREY, (3, 2), channels=3)
    assert grey.shape == (3, 3, 2)
    assert grey.dtype == np.float32
    assert grey.flags.c_contiguous
    np.testing.assert_allclose(grey, np.stack([GREY / 255] * 3), atol=1e-6)


def test_what_is_transparent_is_white():
    picture = np.zeros((4, 4, 4), np.uint8)
    np.testing.assert_array_equal(fit_picture(picture, (2, 2), channels=3), np.ones((3, 2, 2)))


def test_floats_are_taken_as_0_to_1():
    np.testing.assert_allclose(fit_picture(np.full((4, 4), 0.4), (2, 2), channels=1), 0.4, atol=1e-6)
