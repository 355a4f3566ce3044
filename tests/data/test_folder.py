"""Folders of images: found in order, read as they look, and refused by name where they are not sound."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cnn_from_scratch.data import load_image_folder
from cnn_from_scratch.errors import FormatError, LimitError, ShapeError


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path):
    """Five cats and five dogs of 4 x 6 pixels; image i of class c has the value 100*c + i everywhere."""
    for c, name in enumerate(("cat", "dog")):
        for i in range(5):
            save(tmp_path / name / f"{i}.png", np.full((4, 6, 3), 100 * c + i))
    (tmp_path / "cat" / "notes.txt").write_text("not an image, and not looked at")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "dog" / "._0.png").write_bytes(b"what some systems leave behind")
    return tmp_path


def test_classes_are_folders_in_the_order_of_their_names(pets):
    data = load_image_folder(pets, test_fraction=0.4, seed=0)
    assert data.name == pets.name
    assert data.classes == ("cat", "dog")
    assert data.train.x.shape == (6, 3, 4, 6)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.y.tolist() == [0, 0, 1, 1]
    both = np.concatenate([data.train.x, data.test.x])
    assert sorted(both[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    np.testing.assert_array_equal(data.train.x[:, 0, 0, 0] // 100, data.train.y)
    again = load_image_folder(pets, test_fraction=0.4, seed=0)
    np.testing.assert_array_equal(again.test.x, data.test.x)


@pytest.mark.parametrize("test_name", ["test", "val", "validation"])
def test_folders_for_training_and_test_are_respected(tmp_path, test_name):
    for part, count in (("train", 3), (test_name, 2)):
        for name in ("a", "b"):
            for i in range(count):
                save(tmp_path / part / name / f"{i}.png", np.zeros((2, 2)))
    data = load_image_folder(tmp_path, grayscale=True)
    assert data.classes == ("a", "b")
    assert data.train.x.shape == (6, 1, 2, 2)
    assert data.test.y.tolist() == [0, 0, 1, 1]


def test_a_folder_for_training_alone_is_split(tmp_path):
    for name in ("a/0", "a/1", "b/0", "b/1"):
        save(tmp_path / "train" / f"{name}.png", np.zeros((2, 2)))
    data = load_image_folder(tmp_path, test_fraction=0.5)
    assert data.classes == ("a", "b")
    assert data.test.y.tolist() == [0, 1]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("ship/0", "ship/1", "train/0", "train/1"):
        save(tmp_path / f"{name}.png", np.zeros((2, 2)))
    assert load_image_folder(tmp_path, test_fraction=0.5).classes == ("ship", "train")


def test_a_class_that_is_only_tested_is_refused(tmp_path):
    save(tmp_path / "train" / "a" / "0.png", np.zeros((2, 2)))
    save(tmp_path / "test" / "b" / "0.png", np.zeros((2, 2)))
    with pytest.raises(FormatError) as caught:
        load_image_folder(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'test'}: has classes that {tmp_path / 'train'} lacks: b"


def test_a_class_that_is_not_tested_keeps_the_others_labels(tmp_path):
    for place in ("train/a", "train/b", "test/b"):
        save(tmp_path / place / "0.png", np.zeros((2, 2)))
    assert load_image_folder(tmp_path).test.y.tolist() == [1]


# --- pixels ---------------------------------------------------------------------------------------------------------


def one(tmp_path, **options):
    """The first training image of a folder that holds copies of one image."""
    [source] = (tmp_path / "a").iterdir()
    (source.parent / f"copy{source.suffix}").write_bytes(source.read_bytes())
    return load_image_folder(tmp_path, test_fraction=0.5, **options).train.x[0]


def test_pixels_by_hand(tmp_path):
    # red, green / blue, white
    save(tmp_path / "a" / "0.png", [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]])
    x = one(tmp_path)
    np.testing.assert_array_equal(x, [[[255, 0], [0, 255]], [[0, 255], [0, 255]], [[0, 0], [255, 255]]])
    # brightness = 0.299 R + 0.587 G + 0.114 B
    (tmp_path / "a" / "copy.png").unlink()
    np.testing.assert_array_equal(one(tmp_path, grayscale=True), [[[76, 150], [29, 255]]])


def test_the_middle_is_kept_when_resizing(tmp_path):
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 2:6] = 200
    save(tmp_path / "a" / "0.png", pixels)
    np.testing.assert_array_equal(one(tmp_path, size=4, grayscale=True), np.full((1, 4, 4), 200))
    (tmp_path / "a" / "copy.png").unlink()
    assert one(tmp_path, size=(2, 4)).shape == (3, 2, 4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_usual_mode_is_read(tmp_path, mode):
    (tmp_path / "a").mkdir()
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode).save(tmp_path / "a" / f"0.{suffix}")
    np.testing.assert_array_equal(one(tmp_path), np.full((3, 2, 3), 255))


def test_the_cameras_orientation_is_followed(tmp_path):
    image = Image.fromarray(np.array([[0, 0, 0], [255, 255, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "0.png", exif=exif)
    np.testing.assert_array_equal(one(tmp_path, grayscale=True)[0], [[255, 0]] * 3)


def test_transparent_palettes_are_read_without_a_warning(tmp_path):
    (tmp_path / "a").mkdir()
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 9, 8, 7])
    image.save(tmp_path / "a" / "0.png", transparency=b"\x00\x80")
    np.testing.assert_array_equal(one(tmp_path)[:, 0, 0], [9, 8, 7])


# --- refusals -------------------------------------------------------------------------------------------------------


def png(width, height, body=b""):
    """A PNG of one-bit pixels that declares a size, whatever it holds."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.fault("hostile-image")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0.png", b"", "is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)"),
        ("0.jpg", b"<html>404</html>", "is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)"),
        (
            "0.png",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "is no image (PNG, JPEG, BMP, GIF, WEBP, PPM, TIFF)",
        ),
        ("0.png", png(8000, 8000), "declares 8000 x 8000 pixels; at most 50000000 are accepted"),
        ("0.png", png(12000, 12000), "declares too many pixels: "),
        ("0.png", png(60000, 60000), "declares too many pixels: "),
        ("0.png", png(64, 64, zlib.compress(b"\0" * 100)), "not a sound image: OSError: "),
    ],
)
def test_an_unsound_image_is_named(tmp_path, name, content, message):
    path = tmp_path / "a" / name
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        load_image_folder(tmp_path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "BufferedReader" not in str(caught.value)


@pytest.mark.fault("hostile-image")
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif", "ppm"])
def test_every_truncation_gives_an_image_or_our_error(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    path = save(tmp_path / "a" / f"0.{suffix}", pixels)
    whole = path.read_bytes()
    (tmp_path / "a" / f"1.{suffix}").write_bytes(whole)
    assert load_image_folder(tmp_path, test_fraction=0.5).train.x.shape == (1, 3, 8, 8)
    refused = 0
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        try:
            load_image_folder(tmp_path, test_fraction=0.5)
        except FormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - some formats do not mind a missing end
            refused += 1
    assert refused > 10


@pytest.mark.fault("hostile-image")
def test_more_than_8_bits_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "a" / "0.png")
    with pytest.raises(FormatError, match=r"0\.png: has mode I;16, not 8 bits for each value; convert it first"):
        load_image_folder(tmp_path)


def test_different_sizes_need_a_size(tmp_path):
    save(tmp_path / "a" / "0.png", np.zeros((2, 3)))
    save(tmp_path / "a" / "1.png", np.zeros((4, 5)))
    with pytest.raises(ShapeError) as caught:
        load_image_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'a' / '1.png'}: is 4 x 5 but 0.png is 2 x 3 (height x width); give size=(H, W) to make them alike"
    )
    assert load_image_folder(tmp_path, size=2, test_fraction=0.5).train.x.shape == (1, 3, 2, 2)


def test_training_and_test_images_must_be_alike(tmp_path):
    save(tmp_path / "train" / "a" / "0.png", np.zeros((2, 3)))
    save(tmp_path / "test" / "a" / "0.png", np.zeros((4, 5)))
    with pytest.raises(ShapeError, match="test: images are \\(4, 5\\) but those for training \\(2, 3\\)"):
        load_image_folder(tmp_path)


def test_the_memory_is_estimated_first(pets):
    with pytest.raises(LimitError) as caught:
        load_image_folder(pets, max_bytes=700)
    assert str(caught.value) == (
        f"{pets}: 10 images of shape (3, 4, 6) take 720 bytes; at most 700 are accepted (a smaller size=... takes less)"
    )


def test_folders_that_lack_something(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(FormatError) as caught:
        load_image_folder(tmp_path)
    assert str(caught.value) == f"{tmp_path}: has no folders; expected one for each class, with the images inside"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="empty: holds no image"):
        load_image_folder(tmp_path)
    with pytest.raises(ShapeError, match="load_image_folder: size must be an int >= 1 or a pair of them, got 0"):
        load_image_folder(tmp_path, size=0)
