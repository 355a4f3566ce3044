"""A picture of a digit, made as the digits of UCI were made: eight by eight numbers, each the ink of a block."""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .digit_image import cut, resized, unfaded
from .ink import find_ink
from .picture import Picture, as_pixels

BITMAP, BLOCK, WIDEST = 32, 4, 24
"""The bitmap that is counted in blocks, and how wide a digit may be in it: 24 in nearly all of the 1,797."""

SHARE = 0.3
"""So much of the bitmap is ink, whatever the digit: 0.241 to 0.389 in 98 of 100."""


def prepare_small_digit(picture: Picture) -> Array:
    """The digit in a picture, as the UCI digits have it: (8, 8), float32, ink in [0, 1] in steps of 1/16.

    NIST's programs made them: the digit fills 32 rows of a bitmap, strokes are thinned or fattened until there is the
    usual amount of ink, slanted digits are set upright, and the ink is counted in blocks of 4 x 4. What that looked
    like was measured on the digits: the mean ink of every class lies between 0.296 and 0.322, and the leftmost pixels
    of the first and the last row stand above each other (the difference is 0.0 +- 0.2 columns in every class).

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
    Garris, Blue, Candela, Dimmick, Geist, Grother, Janet, Wilson: NIST Form-Based Handprint Recognition System, NISTIR
    5469 (1994). -- Alpaydin, Kaynak: Optical Recognition of Handwritten Digits (1998).

    Examples
    --------
    >>> drawing = np.full((300, 200), 255, np.uint8)
    >>> drawing[50:250, 20:70] = 10  # a one, dark on white
    >>> (16 * prepare_small_digit(drawing)[:2]).astype(int)
    array([[ 0,  0,  4, 16, 16,  4,  0,  0],
           [ 0,  0,  4, 16, 16,  4,  0,  0]])
    """
    ink = cut(find_ink(as_pixels(picture)))
    H, W = ink.shape
    size = (BITMAP, min(max(round(W * BITMAP / H), 1), WIDEST))
    bitmap = _upright(_usual_amount(_in_the_middle(unfaded(resized(ink, size)) > 0.5)))
    blocks = bitmap.reshape(BITMAP // BLOCK, BLOCK, BITMAP // BLOCK, BLOCK)
    counted: Array = blocks.mean((1, 3), dtype=np.float32)  # (8, 8)
    return counted


def _in_the_middle(bitmap: Array) -> Array:
    """(BITMAP, BITMAP) with as much room on the left as on the right."""
    H, W = bitmap.shape
    left = (BITMAP - W) // 2
    return np.pad(bitmap, ((0, BITMAP - H), (left, BITMAP - W - left)))


def _usual_amount(bitmap: Array) -> Array:
    """Grow or shrink by a pixel on all sides as long as that brings the share of ink nearer to SHARE."""
    while True:
        padded = np.pad(bitmap, 1)
        around = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        change = np.logical_or if bitmap.mean() < SHARE else np.logical_and
        changed: Array = change.reduce(around)
        if abs(changed.mean() - SHARE) >= abs(bitmap.mean() - SHARE):
            return bitmap
        bitmap = changed


def _upright(bitmap: Array) -> Array:
    """Shear the digit so that the leftmost pixels of its first and last row are above each other."""
    rows = np.flatnonzero(bitmap.any(1))
    first, last = rows[0], rows[-1]
    slant = (int(bitmap[last].argmax()) - int(bitmap[first].argmax())) / max(last - first, 1)
    room = np.pad(bitmap, ((0, 0), (BITMAP, BITMAP)))
    middle = (first + last) / 2
    shifts = [-round(slant * (row - middle)) for row in range(len(bitmap))]
    sheared = np.stack([np.roll(row, shift) for row, shift in zip(room, shifts, strict=True)])
    columns = np.flatnonzero(sheared.any(0))
    upright = sheared[:, columns[0] : columns[-1] + 1]
    if upright.shape[1] > BITMAP:
        upright = resized(upright, (BITMAP, BITMAP)) > 0.5
    return _in_the_middle(upright)
