"""A drawn picture to try filters on: flat sky, sharp edges in every direction, and textures coarse and fine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..typing import Array


def landscape(height: int = 120, width: int = 180, *, seed: int = 0) -> Array:
    """A house and a tree by a lake.

    Parameters
    ----------
    height, width : int
        In pixels.
    seed : int
        Where mountains, leaves and grass come from.

    Returns
    -------
    image : (3, height, width)
        Red, green and blue, float32 in [0, 1].

    Examples
    --------
    >>> landscape().shape
    (3, 120, 180)
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height  # one unit is the height of the picture
    image = np.zeros((3, height, width))
    _paint_background(image, y, x, rng)
    _paint_house(image, y, x)
    _paint(image, (np.abs(x - 1.06) < 0.018) & (y > 0.6) & (y < 0.88), (0.33, 0.22, 0.14))  # trunk
    edge = 1 + 0.15 * np.sin(9 * np.arctan2(y - 0.52, x - 1.06))
    crown = ((x - 1.06) / 0.17) ** 2 + ((y - 0.52) / 0.2) ** 2 < edge
    _paint(image, crown, (0.16, 0.36, 0.15), 0.7 + 0.9 * rng.random(x.shape))  # leaves
    return image.clip(0, 1).astype(np.float32)


def _paint(image: Array, where: Array, colour: Sequence[float], light: Array | float = 1.0) -> None:
    """Fill a region with a colour, lighter or darker from pixel to pixel."""
    for channel, value in zip(image, colour, strict=True):
        np.copyto(channel, value * light, where=where)


def _paint_background(image: Array, y: Array, x: Array, rng: np.random.Generator) -> None:
    """Sky, sun, mountains, hills, lake, grass: each lies before the one painted earlier."""
    far, near = _ridge(x, 0.38, 0.07, rng), _ridge(x, 0.52, 0.05, rng)
    ripples = 1 + 0.22 * np.sin(9 / np.maximum(y - 0.5, 0.1) + 3 * np.sin(7 * x))
    _paint(image, y >= 0, (0.62, 0.78, 0.93), 0.75 + 0.35 * y)
    _paint(image, (x - 1.22) ** 2 + (y - 0.2) ** 2 < 0.08**2, (1.0, 0.9, 0.55))
    _paint(image, y > far, (0.45, 0.52, 0.62))
    _paint(image, (y > far) & (y < 0.38 + 0.012 * np.sin(60 * x)), (0.95, 0.96, 0.98))  # snow
    _paint(image, y > near, (0.24, 0.40, 0.28), 1 + 0.12 * np.sin(90 * x + 25 * y))
    _paint(image, y > 0.68, (0.25, 0.47, 0.62), ripples)
    _paint(image, y > 0.74 + 0.06 * x**2, (0.42, 0.60, 0.25), 0.85 + 0.3 * rng.random(x.shape))


def _ridge(x: Array, height: float, roughness: float, rng: np.random.Generator) -> Array:
    """A skyline of waves, the shorter the lower."""
    skyline = np.full_like(x, height)
    for k in range(1, 12):
        skyline += roughness * rng.uniform(-1, 1) / k * np.sin(k * 2.2 * x + rng.uniform(0, 7))
    return skyline


def _paint_house(image: Array, y: Array, x: Array) -> None:
    """Bricks with mortar, a tiled roof, windows with bars, a door."""
    wall = (np.abs(x - 0.42) < 0.2) & (y >= 0.5) & (y < 0.82)
    mortar = ((y / 0.035) % 1 < 0.25) | ((x / 0.07 + 0.5 * (np.floor(y / 0.035) % 2)) % 1 < 0.13)
    _paint(image, wall, (0.68, 0.33, 0.24))
    _paint(image, wall & mortar, (0.86, 0.80, 0.72))
    roof = (y > 0.3) & (y < 0.5) & (np.abs(x - 0.42) < 0.26 * (y - 0.26) / 0.24)
    _paint(image, roof, (0.36, 0.20, 0.20), 1 + 0.35 * ((y / 0.025) % 1 < 0.35))
    for middle in (0.31, 0.53):
        across, down = np.abs(x - middle), np.abs(y - 0.6)
        window = (across < 0.045) & (down < 0.045)
        _paint(image, window, (0.16, 0.22, 0.30))
        _paint(image, window & ((across < 0.007) | (down < 0.007)), (0.97, 0.95, 0.9))
    _paint(image, (np.abs(x - 0.42) < 0.04) & (y > 0.66) & (y < 0.82), (0.30, 0.19, 0.12))
