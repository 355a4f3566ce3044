"""Pictures in files, of any kind: read with care, and brought into the form that a network takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import FormatError
from ..typing import Array
from .folder import FORMATS, _check_declared, _unsound

if TYPE_CHECKING:
    from PIL.Image import Image

Picture: TypeAlias = "str | os.PathLike[str] | Image | Array"
"""The path of an image file, a Pillow image, or an array (H, W), (H, W, 3) or (H, W, 4): uint8, or floats in [0, 1]."""

MAX_PIXELS = 50_000_000


def as_pixels(picture: Picture, *, max_pixels: int = MAX_PIXELS) -> Array:
    """The picture as an array, the right way up: (H, W) grey, (H, W, 3) colour, or (H, W, 4) with opacity.

    Parameters
    ----------
    picture : path, Pillow image or array
        PNG, JPEG, BMP, GIF (the first frame), WEBP, PPM or TIFF. Cameras' orientation marks are followed.
    max_pixels : int
        The largest image to decode, judged by the size that its header declares.

    Raises
    ------
    FormatError
        If the file is no image, is damaged, declares too many pixels or has more than 8 bits for each value.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> from PIL import Image
    >>> as_pixels(Image.new("RGBA", (3, 2))).shape
    (2, 3, 4)
    """
    if isinstance(picture, np.ndarray):
        return picture
    if not isinstance(picture, str | os.PathLike):
        return _pixels(picture)
    from PIL import Image

    file = Path(picture)
    with file.open("rb") as opened:  # what the system says about the file passes unchanged
        try:
            with Image.open(opened, formats=FORMATS) as image:
                _check_declared(file, image, max_pixels)
                return _pixels(image)
        except FormatError:
            raise
        except Exception as error:  # decoders of damaged files raise almost anything
            raise _unsound(file, error) from error


def _pixels(image: Image) -> Array:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    grey = upright.mode in ("1", "L")
    mode = "RGBA" if upright.has_transparency_data else "L" if grey else "RGB"
    return np.asarray(upright.convert(mode))


def on_white(picture: Picture) -> Image:
    """As a Pillow image, grey or in colour; what is transparent is laid onto white."""
    from PIL import Image

    pixels = as_pixels(picture)
    if pixels.dtype.kind == "f":
        pixels = (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels)
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image) if image.mode == "RGBA" else image


def fit_picture(picture: Picture, size: tuple[int, int], *, channels: int) -> Array:
    """Scaled until it covers the size, the middle cut out, as `load_image_folder` does: (C, H, W) in [0, 1].

    Parameters
    ----------
    picture : path, Pillow image or array
        What is transparent is laid onto white.
    size : (H, W)
    channels : int
        1 for brightness, 3 for red, green and blue.

    Raises
    ------
    FormatError
        As for `as_pixels`.

    Examples
    --------
    >>> red = np.full((4, 8, 3), [255, 0, 0], np.uint8)
    >>> fit_picture(red, (2, 2), channels=3).reshape(3, 4)
    array([[1., 1., 1., 1.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    H, W = size
    fitted = ImageOps.fit(on_white(picture).convert("L" if channels == 1 else "RGB"), (W, H), Resampling.BILINEAR)
    values = np.asarray(fitted, np.float32) / np.float32(255)  # (H, W) or (H, W, 3)
    return values[None] if channels == 1 else np.ascontiguousarray(values.transpose(2, 0, 1))
