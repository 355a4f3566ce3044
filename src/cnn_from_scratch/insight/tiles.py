"""Many small images side by side as one array."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..typing import Array


def tile(images: Array, columns: int, *, gap: int = 1, fill: float = np.nan) -> Array:
    """Images (n, H, W) or (n, H, W, 3), row by row, `columns` in a row, `gap` pixels of `fill` between them.

    Returns
    -------
    grid : (rows*(H + gap) - gap, columns*(W + gap) - gap), and 3 if the images have colours

    Examples
    --------
    >>> tile(np.array([[[1.0]], [[2.0]], [[3.0]]]), 2, fill=0)
    array([[1., 0., 2.],
           [0., 0., 0.],
           [3., 0., 0.]])
    """
    if images.ndim not in (3, 4) or not len(images):
        raise ShapeError(f"tile: images must be (n, H, W) or (n, H, W, 3) with n >= 1, got shape {images.shape}")
    n, H, W = images.shape[:3]
    rows = -(-n // columns)
    grid = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, *images.shape[3:]), fill, images.dtype)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        grid[row * (H + gap) :, column * (W + gap) :][:H, :W] = image
    return grid


def near_square(n: int, *, widest: int = 16) -> int:
    """How many columns make `n` tiles a pleasant rectangle, about twice as wide as high.

    Examples
    --------
    >>> [near_square(n) for n in (1, 2, 6, 8, 16, 32, 64, 200)]
    [1, 2, 3, 4, 8, 8, 16, 16]
    """
    columns = min(n, widest, max(1, round(math.sqrt(2 * n))))
    exact = [c for c in range(columns, min(n, widest, 2 * columns) + 1) if n % c == 0]
    return exact[0] if exact else columns
