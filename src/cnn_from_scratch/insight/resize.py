"""Bilinear resizing: a coarse map as large as the image it belongs to."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..ops.utils import pair
from ..typing import Array


def resize_bilinear(maps: Array, size: tuple[int, int]) -> Array:
    """y[..., i, j] = maps at row (i + 1/2) * h/H - 1/2 and column (j + 1/2) * w/W - 1/2, between its four neighbours

    Pixels are squares, their values stand in the middle of them; beyond the outermost middles nothing is extrapolated.
    The same as PyTorch's ``interpolate(mode="bilinear", align_corners=False)``.

    Parameters
    ----------
    maps : (..., h, w)
        Floating.
    size : (H, W)
        Of the result; larger or smaller. Where it is much smaller, pixels between the sampled ones are not seen.

    Returns
    -------
    y : (..., H, W)

    Raises
    ------
    ShapeError
        If maps has less than two axes or no pixel, or size is no pair of ints of at least 1.

    Examples
    --------
    >>> resize_bilinear(np.array([[0.0, 4.0]]), (1, 4))
    array([[0., 1., 3., 4.]])
    """
    if maps.ndim < 2 or 0 in maps.shape[-2:]:
        raise ShapeError(f"resize_bilinear: maps must be (..., h, w) with at least one pixel, got shape {maps.shape}")
    H, W = pair("resize_bilinear", "size", size, minimum=1)
    rows = _along(maps, H, maps.ndim - 2)
    return np.ascontiguousarray(_along(rows, W, maps.ndim - 1))


def _along(maps: Array, length: int, axis: int) -> Array:
    """The same along one axis."""
    old = maps.shape[axis]
    places = ((np.arange(length) + 0.5) * old / length - 0.5).clip(0, old - 1)
    before = np.floor(places).astype(np.intp)
    after = np.minimum(before + 1, old - 1)
    share = (places - before).astype(maps.dtype).reshape(-1, *[1] * (maps.ndim - 1 - axis))
    y: Array = maps.take(before, axis) * (1 - share) + maps.take(after, axis) * share
    return y
