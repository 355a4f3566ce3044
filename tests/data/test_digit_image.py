"""Pictures become what the data sets hold: in a box of 20, by the centre of mass, light on black."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ladder import REAL_DATA
from PIL import Image, ImageDraw, ImageOps
from PIL.Image import Resampling

from cnn_from_scratch.data import (
    load_digits,
    load_fashion_mnist,
    load_mnist,
    prepare_digit,
    prepare_garment,
    prepare_small_digit,
)
from cnn_from_scratch.data.digit_image import FINE, THICKEST, THINNEST, stroke_width
from cnn_from_scratch.errors import FormatError


def drawing(size=(200, 260), *, at=(60, 80), scale=1.0, width=14, ink=0, paper=255, mode="L"):
    """A seven, drawn with lines; size is (width, height)."""
    image = Image.new(mode, size, paper)
    points = [(0, 0), (70, 0), (30, 110)]
    ImageDraw.Draw(image).line(
        [(at[0] + scale * x, at[1] + scale * y) for x, y in points], fill=ink, width=round(scale * width), joint="curve"
    )
    return image


def box(image):
    """First and last row and column with ink, and the centre of mass."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    mass = image.sum()
    centre = (image.sum(1) @ np.arange(28) / mass, image.sum(0) @ np.arange(28) / mass)
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1, centre


def near(a, b, most=0.05):
    return np.abs(a - b).mean() < most


# --- as MNIST -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "picture",
    [
        drawing(),
        drawing((900, 400), at=(500, 200)),
        drawing((90, 120), at=(30, 30), scale=0.5),
        drawing(ink=230, paper=10),
        drawing(ink=(200, 30, 30), paper=(190, 230, 190), mode="RGB"),
        drawing((800, 1100), at=(250, 300), scale=3.5),
    ],
    ids=["plain", "wide", "small", "inverted", "coloured", "large"],
)
def test_size_place_and_colours_make_no_difference(picture):
    image = prepare_digit(picture)
    height, width, centre = box(image)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert (height, image.max()) == (20, pytest.approx(1, abs=0.01))
    assert width == pytest.approx(20 * 84 / 124, abs=1.5)  # the proportions, with the strokes' own width
    assert np.abs(np.array(centre) - 14).max() <= 0.5
    assert near(image, prepare_digit(drawing()))


def test_a_lying_shape_fits_into_the_box_by_its_width():
    picture = np.full((100, 100), 255, np.uint8)
    picture[40:60, 10:90] = 0
    height, width, centre = box(prepare_digit(picture))
    assert width == 20
    assert height in (3, 4, 5)  # 80 x 20 -> 20 x 5, and thinner, as no pen of MNIST is so thick
    assert np.abs(np.array(centre) - 13.5).max() <= 0.5 + 1e-6


def test_the_centre_of_mass_counts_and_not_the_box():
    # a heavy head and a thin tail to the right: the head must come near the middle
    picture = np.full((100, 140), 255, np.uint8)
    picture[20:80, 20:60] = 0
    picture[48:52, 60:80] = 0
    image = prepare_digit(picture)
    columns = np.flatnonzero(image.any(0))
    assert np.abs(np.array(box(image)[2]) - 14).max() <= 0.5
    assert 14 - columns[0] < columns[-1] - 14


def test_transparency():
    sheet = Image.new("RGBA", (200, 260), (255, 255, 255, 0))
    sheet.putalpha(ImageOps.invert(drawing()))
    ink = Image.new("RGBA", (200, 260), (0, 0, 0, 0))
    ink.putalpha(ImageOps.invert(drawing()))
    for picture in (sheet, ink):  # white ink, black ink, on nothing
        np.testing.assert_allclose(prepare_digit(picture), prepare_digit(drawing()), atol=0.02)


@pytest.mark.parametrize(("mark", "turn"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_cameras_marks_are_followed(tmp_path, mark, turn):
    exif = Image.Exif()
    exif[0x0112] = mark
    drawing().rotate(turn, expand=True).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    assert near(prepare_digit(tmp_path / "photo.jpg"), prepare_digit(drawing()), 0.02)


@pytest.mark.parametrize("width", [1, 2, 30])
def test_strokes_come_near_to_the_usual(width):
    image = prepare_digit(drawing((300, 420), at=(60, 80), scale=2, width=width))
    usual = THINNEST / 4 - 0.7, THICKEST / 4 + 0.7
    assert usual[0] < stroke_width(image) < usual[1]
    assert box(image)[0] == 20


def test_a_hair_of_a_line_on_a_large_sheet():
    picture = Image.new("L", (990, 990), 255)
    ImageDraw.Draw(picture).line([(100, 50), (850, 60), (400, 940)], fill=0, width=1)
    image = prepare_digit(picture)
    assert box(image)[0] == 20
    assert image.max() > 0.9
    assert stroke_width(image) > 1.2


def test_a_dot_is_a_dot():
    picture = np.full((50, 50), 255, np.uint8)
    picture[24:26, 24:26] = 0
    image = prepare_digit(picture)
    assert box(image)[:2] == (20, 20)


def test_jpeg_and_noise(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.asarray(drawing(ink=60, paper=200), float) + rng.normal(0, 8, (260, 200))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / "photo.jpg", quality=40)
    assert near(prepare_digit(tmp_path / "photo.jpg"), prepare_digit(drawing()), 0.02)


def test_pillow_paths_and_arrays_are_the_same(tmp_path):
    drawing().save(tmp_path / "a.png")
    expected = prepare_digit(drawing())
    np.testing.assert_array_equal(prepare_digit(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(prepare_digit(str(tmp_path / "a.png")), expected)
    np.testing.assert_array_equal(prepare_digit(np.asarray(drawing())), expected)


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not part of the repository")
def test_mnist_stays_what_it_is():
    images = load_mnist(REAL_DATA, verify=False).test.x[:200, 0]
    expected = images.astype(np.float32) / 255
    actual = np.stack([prepare_digit(image) for image in images])
    assert np.abs(actual - expected).mean() < 0.02
    assert np.quantile(np.abs(actual - expected).mean((1, 2)), 0.9) < 0.04  # some are moved by a pixel
    inverted = np.stack([prepare_digit(255 - image) for image in images])
    np.testing.assert_allclose(inverted, actual, atol=1e-3)


# --- as UCI ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [3, 14, 24])
@pytest.mark.parametrize("ink", [0, 255])
def test_a_small_digit_fills_the_rows_with_the_usual_ink(width, ink):
    image = prepare_small_digit(drawing(width=width, ink=ink, paper=255 - ink))
    assert image.shape == (8, 8)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image * 16, np.round(image * 16))
    assert image.any(1).all()
    assert 0.2 < image.mean() < 0.4
    columns = np.flatnonzero(image.any(0))
    assert abs((columns[0] + columns[-1]) / 2 - 3.5) <= 0.5


def test_a_slanted_digit_is_set_upright():
    picture = Image.new("L", (120, 160), 255)
    ImageDraw.Draw(picture).line([(90, 20), (30, 140)], fill=0, width=16)
    image = prepare_small_digit(picture)
    columns = image * np.arange(8)
    centres = columns.sum(1) / image.sum(1)
    assert np.ptp(centres) < 1  # it leaned over half of its height, 4 columns


def test_uci_digits_stay_nearly_what_they_are():
    images = load_digits().test.x[:100, 0] / np.float32(16)
    large = [Image.fromarray(np.pad(image, 1)).resize((40, 40), Resampling.BICUBIC) for image in images]
    actual = np.stack([prepare_small_digit(np.clip(np.asarray(image), 0, 1)) for image in large])
    assert np.abs(actual - images).mean() < 0.11  # two images of one class differ by 0.17; the bitmaps are lost
    assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(actual, images, strict=True)]) > 0.86


# --- as Fashion-MNIST -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cloth", "wall"), [(60, 255), (200, 0)])
def test_a_garment_is_trimmed_and_light_on_black(cloth, wall):
    photo = Image.new("RGB", (300, 200), (wall,) * 3)
    ImageDraw.Draw(photo).rectangle([100, 20, 159, 139], fill=(cloth,) * 3)  # 60 wide, 120 high
    image = prepare_garment(photo)
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    assert image[:, :7].max() == 0
    assert image[:, 21:].max() == 0
    shade = (255 - cloth if wall else cloth) / 255
    np.testing.assert_allclose(image[:, 8:20], shade, atol=0.01)


def test_a_blank_wall_is_nothing():
    assert prepare_garment(Image.new("L", (40, 30), 250)).max() < 0.03


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not part of the repository")
def test_fashion_mnist_stays_nearly_what_it_is():
    images = load_fashion_mnist(REAL_DATA, verify=False).test.x[:100, 0]
    actual = np.stack([prepare_garment(image) for image in images])
    difference = np.abs(actual - images / 255).mean((1, 2))
    assert np.median(difference) < 0.05  # faint edges are trimmed, and the rest is enlarged by a pixel
    assert np.quantile(difference, 0.95) < 0.15


# --- what is no picture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepare", [prepare_digit, prepare_small_digit, prepare_garment])
def test_what_is_no_image_is_named(tmp_path, prepare):
    path = tmp_path / "a.png"
    path.write_text("no image")
    with pytest.raises(FormatError) as caught:
        prepare(path)
    assert str(caught.value) == f"{path}: is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)"
    with pytest.raises(FileNotFoundError):
        prepare(tmp_path / "missing.png")


def test_a_truncated_image(tmp_path):
    buffer = io.BytesIO()
    drawing().save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue()[:-60])
    with pytest.raises(FormatError, match=r"a\.png: not a sound image: "):
        prepare_digit(tmp_path / "a.png")


def test_strokes_are_measured_in_pixels():
    # a bar of 60 x 8: 2 * 480 / (2 * 68) = 7.06
    bar = np.zeros((FINE, FINE))
    bar[10:70, 30:38] = 1
    assert stroke_width(bar) == pytest.approx(2 * 480 / 136, rel=0.02)
