"""A picture of a piece of clothing, made as the pictures of Fashion-MNIST were made."""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .picture import Picture, on_white

SIDE = 28
CLOSE = 0.05
"""Share of the largest possible distance between colours within which a pixel has the colour of the corners."""


def prepare_garment(picture: Picture) -> Array:
    """The garment in a picture, as Fashion-MNIST has it: (28, 28), float32, on black, in [0, 1].

    Edges of the colour of the corners are trimmed, the longer side becomes 28 pixels, the garment is put into the
    middle, and, unless the corners are dark already, black and white change places.

    Parameters
    ----------
    picture : path, Pillow image or array
        See `as_pixels`. It shows one garment on a plain background.

    Raises
    ------
    FormatError
        If the file is no image.

    References
    ----------
    Xiao, Rasul, Vollgraf: Fashion-MNIST (2017), section 2. https://arxiv.org/abs/1708.07747

    Examples
    --------
    >>> photo = np.full((80, 60, 3), 255, np.uint8)
    >>> photo[20:60, 20:40] = 55
    >>> image = prepare_garment(photo)
    >>> image.shape, image[14, 14].round(2), image[14, 0]
    ((28, 28), np.float32(0.78), np.float32(0.0))
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    image = on_white(picture)
    pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)  # (H, W, 3)
    background = np.median(pixels[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0)  # of the four corners
    other = np.sqrt(((pixels - background) ** 2).sum(2)) > CLOSE * 3**0.5
    if other.any():
        rows, columns = np.flatnonzero(other.any(1)), np.flatnonzero(other.any(0))
        image = image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    grey = image.convert("L")
    light = background.mean() > 0.5
    small = ImageOps.contain(ImageOps.invert(grey) if light else grey, (SIDE, SIDE), Resampling.BILINEAR)
    values = np.asarray(ImageOps.pad(small, (SIDE, SIDE), color=0), np.float32)
    found: Array = values / np.float32(255)
    return found
