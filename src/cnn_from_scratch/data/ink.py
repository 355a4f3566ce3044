"""Where is the ink? A picture of something written becomes a map of ink: 0 on the paper and 1 in the strokes.

Any two colours will do, light on dark as well as dark on light, and paper that is darker on one side than on the other:
paper is what the border of the picture shows, ink is what differs from it.
"""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .spots import grown, large_spots

LARGEST = 1000
"""Pictures with more pixels along a side are shrunk first."""

SAMPLE = 50
"""So many rows and columns are enough to know the paper by."""

FAINT = 0.05
"""What differs less than this from the paper, on a scale from black to white, is no ink."""

LOW, HIGH = 0.2, 0.8
"""What is less than LOW of the way from paper to ink is paper; what is more than HIGH is ink."""

SPECK = 0.03
"""A spot with less than this share of the largest spot's ink is dirt."""


def find_ink(picture: Array) -> Array:
    """How much ink covers each pixel.

    Parameters
    ----------
    picture : (H, W), (H, W, 3) or (H, W, 4)
        Grey, red-green-blue, or the latter with opacity; uint8 in 0..255 or floats in [0, 1].

    Returns
    -------
    ink : (H, W)
        float32 in [0, 1]; smaller than the picture if that has more than 1,000 pixels along a side.

    Raises
    ------
    ShapeError, TypeError
        If it is no picture.
    ValueError
        If nothing stands out from the background.

    Examples
    --------
    >>> picture = np.full((5, 5), 200, np.uint8)
    >>> picture[1:4, 2] = 40
    >>> find_ink(picture)
    array([[0., 0., 0., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 0., 0., 0.]], dtype=float32)
    """
    colours = _shrunk(_opaque(_in_unit_range(picture)))  # (H, W, 3)
    ink = _strength(colours - _paper(colours))
    found: Array = ink * grown(large_spots(ink > 0.5, ink, SPECK))
    return found


# --- colours --------------------------------------------------------------------------------------------------------


def _in_unit_range(picture: Array) -> Array:
    """(H, W, 3) or (H, W, 4), float32 in [0, 1]."""
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (3, 4)) or not picture.size:
        raise ShapeError(f"find_ink: picture must have shape (H, W), (H, W, 3) or (H, W, 4), got {picture.shape}")
    if picture.dtype != np.uint8 and picture.dtype.kind != "f":
        raise TypeError(f"find_ink: picture must be uint8 in 0..255 or floats in [0, 1], got {picture.dtype}")
    x = picture.astype(np.float32)
    if picture.dtype == np.uint8:
        x /= 255
    return np.repeat(x[:, :, None], 3, axis=2) if x.ndim == 2 else x


def _opaque(x: Array) -> Array:
    """What is transparent, laid onto white; onto black if what can be seen of it is light."""
    if x.shape[2] == 3:
        return x
    colours, opacity = x[:, :, :3], x[:, :, 3:]
    light = (colours * opacity).sum() > 0.5 * 3 * opacity.sum()
    return colours * opacity + (1 - opacity) * np.float32(0 if light else 1)


def _shrunk(x: Array) -> Array:
    """Means of blocks of k x k pixels, so that no side is longer than LARGEST; an incomplete last block is left out."""
    H, W, C = x.shape
    k = min(-(-max(H, W) // LARGEST), H, W)
    if k == 1:
        return x
    h, w = H // k, W // k
    means: Array = x[: h * k, : w * k].reshape(h, k, w, k, C).mean((1, 3))
    return means


# --- paper ----------------------------------------------------------------------------------------------------------


def _paper(colours: Array) -> Array:
    """The colour that the paper would have everywhere, (H, W, 3): a smooth surface through all that is not ink.

    First through the border, then through what turns out to be paper; bent only when that is known well.
    """
    H, W, _ = colours.shape
    y, x = np.linspace(-1, 1, H, dtype=np.float32), np.linspace(-1, 1, W, dtype=np.float32)
    sample = (slice(None, None, max(1, H // SAMPLE)), slice(None, None, max(1, W // SAMPLE)))
    some, rows, columns = colours[sample], y[sample[0]], x[sample[1]]
    edge = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    places = [(y[0], x), (y[-1], x), (y, x[0]), (y, x[-1])]
    surface = _fit(np.concatenate([_terms(*place, bent=False) for place in places]), edge)
    for bent in (False, False, True):
        terms = _terms(rows[:, None], columns, bent=len(surface) > 3)
        distance = _length(some - (terms @ surface).reshape(some.shape))
        paper = (distance < nearly_largest(distance) / 2).ravel()
        if paper.mean() > 0.2:
            surface = _fit(_terms(rows[:, None], columns, bent=bent)[paper], some.reshape(-1, 3)[paper])
    everywhere: Array = _terms(y[:, None], x, bent=len(surface) > 3) @ surface
    return everywhere.reshape(colours.shape)


def _terms(y: Array, x: Array, *, bent: bool) -> Array:
    """1, y, x, and if bent y^2, yx, x^2, for each place: (n, 3) or (n, 6)."""
    y, x = np.broadcast_arrays(y, x)
    terms = [np.ones_like(y), y, x, *([y * y, y * x, x * x] if bent else [])]
    return np.stack([term.ravel() for term in terms], axis=1)


def _fit(terms: Array, colours: Array) -> Array:
    """Coefficients (K, 3) with the least sum of absolute differences: strangers among the paper hardly move them."""
    root: Array = np.ones((len(terms), 1), np.float32)
    a: Array = np.zeros((terms.shape[1], 3), np.float32)
    for _ in range(5):  # least squares, each time weighed by 1 / difference
        a = np.linalg.lstsq(terms * root, colours * root, rcond=None)[0]
        root = np.maximum(_length(terms @ a - colours), 1e-3)[:, None] ** -0.5
    return a


# --- ink ------------------------------------------------------------------------------------------------------------


def _strength(difference: Array) -> Array:
    """How far each pixel is on the way from the paper's colour (0) to the ink's (1), from (H, W, 3) to (H, W)."""
    distance = _length(difference)
    largest = nearly_largest(distance)
    strong = distance >= largest / 2
    direction = difference[strong].mean(0)  # noise has no direction: this keeps a good part of it out
    direction /= max(float(np.sqrt(direction @ direction)), 1e-6)
    along = difference @ direction
    level = max(float(np.median(along[strong])), largest / 2, 1e-6)
    ink: Array = np.clip((along / np.float32(level) - LOW) / (HIGH - LOW), 0, 1)
    if largest < FAINT * 3**0.5 or ink.max() <= 0.5:  # too faint, or of colours that are opposite to each other
        raise ValueError("find_ink: nothing in the picture stands out from its background")
    return ink


def _length(vectors: Array) -> Array:
    """Of the last axis."""
    found: Array = np.sqrt(np.einsum("...c,...c", vectors, vectors))
    return found


def nearly_largest(values: Array) -> float:
    """The largest but a few: not one pixel's value."""
    few = min(values.size // 20_000 + 3, values.size)
    return float(np.partition(values, values.size - few, axis=None)[values.size - few])
