"""A folder of images, one folder inside it for each class, as a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import FormatError, LimitError, ShapeError
from ..ops.utils import pair
from ..typing import Array, Pair
from .dataset import Dataset, Examples
from .splits import stratified_split

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")  # and none that would start another program
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # 8 bits or less for each value
TEST_FOLDERS = ("test", "val", "valid", "validation")


class _Reading(NamedTuple):
    """How every image of a folder is read."""

    size: tuple[int, int] | None  # (H, W)
    channels: int
    max_pixels: int


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    size: Pair | None = None,
    grayscale: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
    max_pixels: int = 50_000_000,
    max_bytes: int = 4 << 30,
) -> Dataset:
    """Images in path/CLASS/*.png (or jpg, bmp, gif, webp, ppm, tif), uint8; the folders' names are the classes.

    If the folder holds ``train`` and ``test`` (or ``val``, ``valid``, ``validation``), each with the classes inside,
    these are the two parts. Otherwise a fraction of every class, in ``train`` or in the folder itself, is held out.
    Classes and files are taken in the order of their names, other files are passed over, the first frame of an
    animation is taken, cameras' orientation marks are followed, and transparency is dropped.

    Parameters
    ----------
    path : path
        The folder.
    size : int or (H, W), optional
        Scale each image, keeping its proportions, until it covers the size, and cut out the middle. Without it all
        images must have the same size.
    grayscale : bool
        One channel of brightness instead of red, green and blue.
    test_fraction, seed : float, int
        As for `stratified_split`, where there is no test folder.
    max_pixels : int
        The largest image to decode, judged by the size that its header declares.
    max_bytes : int
        The most memory for all images.

    Raises
    ------
    FormatError
        If a file is not an image, is damaged, declares too many pixels or has more than 8 bits for each value; or if
        classes or images are missing.
    ShapeError
        If the images differ in size and no size was given.
    LimitError
        If all images together would take more than max_bytes; said before the second is read.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         Image.new("RGB", (90, 70)).save(Path(folder) / name)
    ...     data = load_image_folder(folder, size=8, test_fraction=0.5)
    >>> data.classes, data.train.x.shape, data.test.y
    (('cat', 'dog'), (2, 3, 8, 8), array([0, 1]))
    """
    root = Path(path)
    reading = _Reading(
        None if size is None else pair("load_image_folder", "size", size, minimum=1), 1 if grayscale else 3, max_pixels
    )
    train_root, test_root = _parts(root)
    classes = _classes(train_root)
    train = _read_all(*_list_files(train_root, classes), reading, max_bytes)
    if test_root is not None:
        unknown = sorted(set(_classes(test_root)) - set(classes))
        if unknown:
            raise FormatError(f"{test_root}: has classes that {train_root} lacks: {', '.join(unknown)}")
        test = _read_all(*_list_files(test_root, _classes(test_root), classes), reading, max_bytes)
        if test.x.shape[1:] != train.x.shape[1:]:
            raise ShapeError(f"{test_root}: images are {test.x.shape[2:]} but those for training {train.x.shape[2:]}")
    else:
        kept, held_out = stratified_split(train.y, test_fraction, seed=seed)
        train, test = Examples(train.x[kept], train.y[kept]), Examples(train.x[held_out], train.y[held_out])
    return Dataset(root.name, train, test, classes)


# --- which files ----------------------------------------------------------------------------------------------------


def _parts(root: Path) -> tuple[Path, Path | None]:
    """The folder with the training classes, and the one with the test classes if there is one."""
    train = root / "train"
    if not (train.is_dir() and any(entry.is_dir() for entry in train.iterdir())):
        return root, None  # a folder of trains is a class like any other
    return train, next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)


def _classes(folder: Path) -> tuple[str, ...]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise FormatError(f"{folder}: has no folders; expected one for each class, with the images inside")
    return tuple(names)


def _list_files(
    folder: Path, present: tuple[str, ...], classes: tuple[str, ...] | None = None
) -> tuple[list[Path], list[int]]:
    """Files, and for each the index of its class among `classes` (those that are present, unless told otherwise)."""
    files: list[Path] = []
    labels: list[int] = []
    for name in present:
        found = sorted(
            entry
            for entry in (folder / name).iterdir()
            if entry.suffix.lower() in SUFFIXES and entry.is_file() and not entry.name.startswith(".")
        )
        if not found:
            raise FormatError(f"{folder / name}: holds no image ({', '.join(SUFFIXES)})")
        files += found
        labels += [(classes or present).index(name)] * len(found)
    return files, labels


# --- reading them ---------------------------------------------------------------------------------------------------


def _read_all(files: list[Path], labels: list[int], reading: _Reading, max_bytes: int) -> Examples:
    first = _read_image(files[0], reading)  # (C, H, W)
    total = first.nbytes * len(files)
    if total > max_bytes:
        raise LimitError(
            f"{files[0].parent.parent}: {len(files)} images of shape {first.shape} take {total} bytes; "
            f"at most {max_bytes} are accepted (a smaller size=... takes less)"
        )
    x = np.empty((len(files), *first.shape), np.uint8)
    x[0] = first
    for n, file in enumerate(files[1:], 1):
        image = _read_image(file, reading)
        if image.shape != first.shape:
            raise ShapeError(
                f"{file}: is {image.shape[1]} x {image.shape[2]} but {files[0].name} is {first.shape[1]} x "
                f"{first.shape[2]} (height x width); give size=(H, W) to make them alike"
            )
        x[n] = image
    return Examples(x, np.array(labels, np.int64))


def _read_image(file: Path, reading: _Reading) -> Array:
    """One image as (C, H, W) uint8. The declared size is checked before a pixel is decoded."""
    from PIL import Image

    with file.open("rb") as opened:  # what the system says about the file passes unchanged
        try:
            with Image.open(opened, formats=FORMATS) as image:
                _check_declared(file, image, reading.max_pixels)
                return _to_array(image, reading)
        except FormatError:
            raise
        except Exception as error:  # decoders of damaged files raise almost anything
            raise _unsound(file, error) from error


def _unsound(file: Path, error: Exception) -> FormatError:
    """What is said about a file that cannot be decoded."""
    name = type(error).__name__
    if name == "UnidentifiedImageError":  # which would show the open file in place of its path
        return FormatError(f"{file}: is no image ({', '.join(FORMATS)})")
    kind = "declares too many pixels" if "DecompressionBomb" in name else "not a sound image"
    return FormatError(f"{file}: {kind}: {name}: {error}")


def _check_declared(file: Path, image: Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise FormatError(f"{file}: declares {width} x {height} pixels; at most {max_pixels} are accepted")
    if image.mode not in MODES:
        raise FormatError(f"{file}: has mode {image.mode}, not 8 bits for each value; convert it first")


def _to_array(image: Image, reading: _Reading) -> Array:
    from PIL import ImageOps
    from PIL.Image import Resampling

    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")  # a palette may hold transparent colours
    plain = upright.convert("L" if reading.channels == 1 else "RGB")
    if reading.size is not None:
        H, W = reading.size
        plain = ImageOps.fit(plain, (W, H), Resampling.BILINEAR)
    values = np.asarray(plain)  # (H, W) or (H, W, 3)
    return values[None] if reading.channels == 1 else values.transpose(2, 0, 1)
