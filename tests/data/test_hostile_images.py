"""Images that mean harm: a few bytes that declare gigapixels, are cut off, lie about what they are, or never end."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from fuzzing.guard import at_most, guard
from PIL import Image

from cnn_from_scratch.data import as_pixels, fit_picture, load_image_folder
from cnn_from_scratch.errors import FormatError

pytestmark = [
    pytest.mark.fault("hostile-image"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),  # here it is an error in any case
]

COLOURS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8))
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM", "TIFF")


def saved(form, **options):
    target = io.BytesIO()
    COLOURS.save(target, form, **options)
    return target.getvalue()


def changed(data, at, value):
    return data[:at] + value + data[at + len(value) :]


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, rows, *more):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff_tag(data, tag, value):
    """A TIFF file with another number in this entry of its list."""
    first = struct.unpack("<I", data[4:8])[0]
    for at in range(first + 2, first + 2 + 12 * struct.unpack("<H", data[first : first + 2])[0], 12):
        if struct.unpack("<H", data[at : at + 2])[0] == tag:
            data = changed(data, at + 2, struct.pack("<HII", 4, 1, value))
    return data


def jpeg_size(data, height, width):
    return changed(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


SIDE = 65535
GIF, TIFF, WEBP = saved("GIF"), saved("TIFF"), saved("WEBP", lossless=True)

BOMBS = {
    "png": png(SIDE, SIDE, zlib.compress(bytes(1 << 20))),
    "png of 2^31": png((1 << 31) - 1, (1 << 31) - 1, b""),
    "jpeg": jpeg_size(saved("JPEG"), SIDE, SIDE),
    "gif": changed(GIF, 6, struct.pack("<HH", SIDE, SIDE)),
    "bmp": changed(saved("BMP"), 18, struct.pack("<ii", SIDE, SIDE)),
    "bmp upside down": changed(saved("BMP"), 18, struct.pack("<ii", SIDE, -SIDE)),
    "webp": changed(WEBP, 21, struct.pack("<I", (1 << 28) - 1)),
    "ppm": b"P6 65535 65535 255\n" + bytes(64),
    "ppm in words": b"P3 65535 65535 255\n1 2 3",
    "tiff": tiff_tag(tiff_tag(TIFF, 256, SIDE), 257, SIDE),
    "tiff of 2^32": tiff_tag(tiff_tag(TIFF, 256, (1 << 32) - 1), 257, (1 << 32) - 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_what_it_declares(tmp_path, name):
    path = tmp_path / "classes" / "a" / f"0.{name.split()[0]}"
    path.parent.mkdir(parents=True)
    path.write_bytes(BOMBS[name])
    assert path.stat().st_size < 10_000
    for read in (lambda: as_pixels(path), lambda: load_image_folder(path.parents[1])):
        with at_most(4 << 20), pytest.raises(FormatError) as caught:
            read()
        assert str(caught.value).startswith(f"{path}: ")


LIMITED = """
import resource, sys, warnings
from pathlib import Path
from PIL import Image
from cnn_from_scratch.data import as_pixels
from cnn_from_scratch.errors import FormatError
warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
as_pixels(folder / "sound.png")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
for path in sorted(folder.glob("bomb*")):
    try:
        as_pixels(path)
    except FormatError as error:
        print("MemoryError" if "MemoryError" in str(error) else "refused")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to say how much memory is used")
def test_bombs_with_64_megabytes_to_spare(tmp_path):
    """Whatever Pillow takes in C counts, too."""
    COLOURS.save(tmp_path / "sound.png")
    for n, (name, data) in enumerate(BOMBS.items()):
        (tmp_path / f"bomb{n}.{name.split()[0]}").write_bytes(data)
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["refused"] * len(BOMBS)


def test_a_frame_that_is_larger_than_its_picture(tmp_path):
    """A GIF of 7 x 9 pixels whose only frame has 65,535 x 65,535."""
    path = tmp_path / "a.gif"
    at = next(i for i in range(len(GIF)) if GIF[i : i + 9] == b"\x2c" + struct.pack("<HHHH", 0, 0, 7, 9))
    path.write_bytes(changed(GIF, at + 5, struct.pack("<HH", SIDE, SIDE)))
    with at_most(4 << 20), pytest.raises(FormatError, match=r"a\.gif: "):
        as_pixels(path)


def test_of_an_animation_only_the_first_frame_is_decoded(tmp_path):
    frames = [COLOURS.rotate(n) for n in range(1, 200)]
    for form in ("GIF", "WEBP", "PNG"):
        path = tmp_path / f"a.{form.lower()}"
        path.write_bytes(saved(form, save_all=True, append_images=frames))
        with at_most(4 << 20):
            assert as_pixels(path).shape == (9, 7, 3)


@pytest.mark.parametrize("chunk_name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_in_a_png_that_unpacks_to_128_megabytes(tmp_path, chunk_name):
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(8)) + packer.flush()
    body = b"a\0\0" + packed if chunk_name != b"iTXt" else b"a\0\1\0\0\0" + packed
    path = tmp_path / "a.png"
    path.write_bytes(png(7, 9, zlib.compress(bytes(9 * 22)), chunk(chunk_name, body)))
    with at_most(16 << 20):
        try:
            assert as_pixels(path).shape == (9, 7, 3)
        except FormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - which of the two depends on Pillow


def exif(body):
    return saved("JPEG", exif=b"Exif\0\0" + body)


EXIF = {
    "empty": exif(b""),
    "cut off": exif(b"II*\0\x08\0\0\0"),
    "of itself": exif(b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0"),  # its sub-list is the list
    "orientation 99": exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0"),
    "orientation in text": exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff\x63\0\0\0\0\0\0\0"),
    "a million entries": exif(b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\3\0\0\0\1\0\1\0\0" * 5000),
}


@pytest.mark.parametrize("case", EXIF)
def test_marks_of_cameras_that_are_none(tmp_path, case):
    path = tmp_path / "a.jpg"
    path.write_bytes(EXIF[case])
    with warnings.catch_warnings(), at_most(4 << 20), guard().watching(path) as seen:
        warnings.simplefilter("ignore")
        try:
            assert sorted(as_pixels(path).shape) == [3, 7, 9]
        except FormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017
    assert not seen


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_the_name_of_a_file_decides_nothing(tmp_path, form, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(saved(form))
    assert fit_picture(path, (4, 4), channels=1).shape == (1, 4, 4)


OTHERS = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\nshowpage\n",
    "PDF": b"%PDF-1.4\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "ICO": saved("ICO"),
    "nothing": b"",
    "pickle": b"\x80\x04cos\nsystem\n",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_not_even_tried(tmp_path, kind):
    """PostScript would start another program."""
    path = tmp_path / "a.png"
    path.write_bytes(b"none")
    with pytest.raises(FormatError):
        as_pixels(path)  # and now all is imported
    path.write_bytes(OTHERS[kind])
    with guard().watching(path) as seen, pytest.raises(FormatError, match=r"a\.png: is no image \(PNG, JPEG, BMP, GIF"):
        as_pixels(path)
    assert not seen
