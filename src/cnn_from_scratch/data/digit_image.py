"""A picture of a digit, made as the digits of MNIST or of UCI were made: whatever its size, colours, place and pen.

A network reads well what looks like what it has learned from. So a picture goes the way that those digits went: the ink
is found, cut out, scaled to a box and put where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..typing import Array
from .ink import find_ink, nearly_largest
from .picture import Picture, as_pixels

SIDE, BOX = 28, 20
"""MNIST: an image, and the box within that the digit fills."""

FINE = 80
"""Strokes are measured and corrected in a box of this size, four times MNIST's."""

THINNEST, THICKEST = 8.0, 12.8
"""Strokes in the fine box: MNIST's are 9.4 wide in the middle, and nine of ten are between 6.6 and 14.2.

With training digits: of 500 fattened by a pixel of MNIST on each side 95.8 % were read without a limit and 98.4 % with
this one; of 250 drawn by a pen a sixteenth as wide as MNIST's, 96.0 % and 99.6 %."""


def prepare_digit(picture: Picture) -> Array:
    """The digit in a picture, as MNIST would have it: (28, 28), float32, light ink on black, in [0, 1].

    Scaled to fit a box of 20 x 20, keeping its proportions, smoothed by that scaling, and placed so that its centre of
    mass lies in the middle of the image. What LeCun did not need to do: the colours, the polarity and the shading of
    the paper are told apart (see `find_ink`), and very thin or very thick strokes are brought near to the usual.

    Parameters
    ----------
    picture : path, Pillow image or array
        See `as_pixels`. It shows one digit.

    Raises
    ------
    FormatError
        If the file is no image.
    ValueError
        If nothing in it stands out from its background.

    References
    ----------
    LeCun, Cortes, Burges: The MNIST database of handwritten digits. -- Yadav, Bottou: Cold Case: the Lost MNIST Digits
    (2019), which finds out the details. https://arxiv.org/abs/1905.10498

    Examples
    --------
    >>> drawing = np.full((300, 200), 255, np.uint8)
    >>> drawing[50:250, 20:44] = 10  # a one, dark on white
    >>> image = prepare_digit(drawing)
    >>> rows, columns = np.nonzero(image)
    >>> image.shape, rows.min(), rows.max(), columns.min(), columns.max()
    ((28, 28), np.int64(4), np.int64(23), np.int64(14), np.int64(15))
    """
    ink = cut(find_ink(as_pixels(picture)))
    fine = unfaded(_scaled(ink, FINE))
    return _centred(_scaled(cut(_usual_strokes(fine)), BOX))


def cut(ink: Array) -> Array:
    """The smallest part that holds all ink."""
    rows, columns = np.flatnonzero((ink > 0.3).any(1)), np.flatnonzero((ink > 0.3).any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Array, side: int) -> Array:
    """The same proportions, with the longer side `side`."""
    H, W = ink.shape
    k = side / max(H, W)
    return resized(ink, (max(1, round(H * k)), max(1, round(W * k))))


def resized(ink: Array, size: tuple[int, int]) -> Array:
    """Means where it shrinks, smooth curves where it grows."""
    from PIL import Image
    from PIL.Image import Resampling

    how = Resampling.BICUBIC if max(size) > max(ink.shape) else Resampling.BOX
    image = Image.fromarray(np.ascontiguousarray(ink, np.float32)).resize(size[::-1], how)
    values: Array = np.asarray(image)
    return values.clip(0, 1)


def unfaded(ink: Array) -> Array:
    """What became grey because it was thinner than a pixel, black again."""
    return np.minimum(ink / np.float32(nearly_largest(ink)), 1)


def _centred(box: Array) -> Array:
    """(SIDE, SIDE) with the centre of mass of the box as near to its middle as whole pixels allow."""
    image = np.zeros((SIDE, SIDE), np.float32)
    corner = []
    for axis, length in enumerate(box.shape):
        mass = box.sum(1 - axis)
        centre = float(mass @ np.arange(length)) / float(mass.sum())
        corner.append(min(max(round(SIDE / 2 - centre), 0), SIDE - length))
    top, left = corner
    image[top : top + box.shape[0], left : left + box.shape[1]] = box
    return image


# --- strokes --------------------------------------------------------------------------------------------------------


def stroke_width(ink: Array) -> float:
    """2 * area / outline: the width of a line that is much longer than wide.

    Examples
    --------
    >>> line = np.zeros((50, 20))
    >>> line[:, 8:12] = 1
    >>> round(stroke_width(line), 1)  # 2 * 200 / 108
    3.7
    """
    padded = np.pad(ink, 1)
    down, right = padded[1:, :-1] - padded[:-1, :-1], padded[:-1, 1:] - padded[:-1, :-1]
    return 2 * float(padded.sum()) / max(float(np.sqrt(down**2 + right**2).sum()), 1e-6)


def _usual_strokes(ink: Array) -> Array:
    """Strokes that are too thin grow, those that are too thick shrink, on both sides alike."""
    width = stroke_width(ink)
    if width < THINNEST:
        radius = (THINNEST - width) / 2
        return _extreme(np.maximum, np.pad(ink, int(radius) + 1), radius)
    if width > THICKEST:
        thinner = _extreme(np.minimum, ink, (width - THICKEST) / 2)
        if thinner.max() > 0.5:
            return thinner
    return ink


def _extreme(choose: Callable[..., Array], ink: Array, radius: float) -> Array:
    """The largest (smallest) value within a disc around each pixel; around the image there is no ink."""
    reach = int(radius)
    padded = np.pad(ink, reach)
    H, W = ink.shape
    out = ink.copy()
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= radius * radius:
                choose(out, padded[reach + dy : reach + dy + H, reach + dx : reach + dx + W], out=out)
    return out
