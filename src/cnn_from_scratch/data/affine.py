"""Turn, stretch, shear and move a batch of images, each by its own amount, in one gather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..ops.checks import check_generator, check_number
from ..ops.dtypes import float_op
from ..ops.utils import check_rank, check_shape
from ..typing import Array

PIECE = 25_000
"""So many values at a time keep each temporary at 100 kB, which stays in the processor's cache and is recycled by the
allocator instead of being asked from the system anew: 1.2 ms instead of 4.3 ms for (128, 1, 28, 28) in float32."""


@float_op("x")
def warp_affine(x: Array, matrix: Array, offset: Array, *, fill: float = 0.0) -> Array:
    """y[n, c, h, w] = x[n, c, r, s],  (r, s) = matrix[n] @ ((h, w) - centre) + centre + offset[n],  bilinear

    The matrix says for each pixel of the result where in x it comes from, so it is the inverse of what happens to
    the object. Between four pixels the value is interpolated; outside x it is `fill`, faded over one pixel.

    Parameters
    ----------
    x : (N, C, H, W)
        Images; the centre is ((H - 1) / 2, (W - 1) / 2).
    matrix : (N, 2, 2)
        Rows and columns, in this order.
    offset : (N, 2)
        In pixels.
    fill : float
        What lies around the images.

    Returns
    -------
    y : (N, C, H, W)
        In the dtype and memory order of x.

    Raises
    ------
    ShapeError, TypeError
        If the shapes do not fit, or x does not hold floats.

    Examples
    --------
    A quarter turn: the pixel at the top left comes from the top right, (-0.5, 0.5) from the centre. And half a step.

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    >>> warp_affine(x, np.array([[[0, 1], [-1, 0]]]), np.zeros((1, 2)))[0, 0]
    array([[2., 4.],
           [1., 3.]])
    >>> warp_affine(x, np.eye(2)[None], np.array([[0, 0.5]]))[0, 0]
    array([[1.5, 1. ],
           [3.5, 2. ]])
    """
    check_rank("warp_affine", "x", x, "N C H W")
    N, C, H, W = x.shape
    check_shape("warp_affine", "matrix", matrix, (N, 2, 2))
    check_shape("warp_affine", "offset", offset, (N, 2))
    y = np.empty_like(x)
    count = max(1, PIECE // max(2 * H * W, C * H * W, 1))
    for first in range(0, N, count):
        part = slice(first, first + count)
        rows, columns = _source_positions(matrix[part], offset[part], (H, W), x.dtype)  # (n, H, W) each
        planes = _bordered(x[part], fill)  # (C, n, H+3, W+3)
        y[part] = _interpolate(planes, rows, columns).transpose(1, 0, 2, 3)
    return y


def _source_positions(matrix: Array, offset: Array, size: tuple[int, int], dtype: npt.DTypeLike) -> tuple[Array, Array]:
    """Where each pixel comes from, in rows and columns of the bordered image: (N, H, W) each.

    Positions beyond the border are moved onto it, where everything is `fill`.
    """
    h, w = (np.arange(length) - (length - 1) / 2 for length in size)
    positions = []
    for axis, length in enumerate(size):
        along_h = matrix[:, axis, 0, None] * h + (offset[:, axis, None] + (length - 1) / 2 + 1)  # (N, H)
        along_w = matrix[:, axis, 1, None] * w  # (N, W)
        position = along_h.astype(dtype)[:, :, None] + along_w.astype(dtype)[:, None, :]
        positions.append(np.clip(position, 0, length + 1, out=position))
    return positions[0], positions[1]


def _bordered(x: Array, fill: float) -> Array:
    """One plane after the other, with one pixel of `fill` before each axis and two after: (C, N, H+3, W+3)."""
    N, C, H, W = x.shape
    planes = np.full((C, N, H + 3, W + 3), fill, x.dtype)
    planes[:, :, 1 : H + 1, 1 : W + 1] = x.transpose(1, 0, 2, 3)
    return planes


def _interpolate(planes: Array, rows: Array, columns: Array) -> Array:
    """The four neighbours of each position, weighed by how near they are: (C, N, H, W)."""
    C, N, PH, PW = planes.shape
    top, left = rows.astype(np.intp), columns.astype(np.intp)  # positions are not negative: this is the floor
    down, right = rows - top.astype(rows.dtype), columns - left.astype(rows.dtype)
    corner = top * PW
    corner += left
    corner += (np.arange(N) * (PH * PW))[:, None, None]
    flat = planes.reshape(C, N * PH * PW)
    upper = _between(flat.take(corner, axis=1), flat.take(corner + 1, axis=1), right)
    corner += PW
    lower = _between(flat.take(corner, axis=1), flat.take(corner + 1, axis=1), right)
    return _between(upper, lower, down)


def _between(a: Array, b: Array, share: Array) -> Array:
    """a + (b - a) * share, made in b, which is ours."""
    b -= a
    b *= share
    b += a
    return b


@dataclass(frozen=True)
class RandomAffine:
    """Turn, stretch, shear and move each image about its centre, bilinear: A = rotation @ scale @ shear.

    Parameters
    ----------
    degrees : float
        Turn by up to so much in both directions.
    scale : (low, high)
        Stretch by a factor between them, above 0.
    shift : float
        Move by up to so many pixels (also parts of one) along both axes.
    shear : float
        Slant by up to so many degrees, below 90.
    fill : float
        What comes in from outside.

    Examples
    --------
    >>> augment = RandomAffine(degrees=10, scale=(0.9, 1.1), shift=2)
    >>> x = np.ones((4, 1, 28, 28), np.float32)
    >>> y = augment(x, np.random.default_rng(0))
    >>> y.shape, y.dtype, y[0, 0, 14, 14] == 1
    ((4, 1, 28, 28), dtype('float32'), np.True_)
    """

    degrees: float = 10.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    shear: float = 0.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("degrees", self.degrees), ("shift", self.shift), ("shear", self.shear)):
            check_number("RandomAffine", name, value, finite=False)
            if not 0 <= value < float("inf"):
                raise ValueError(f"RandomAffine: {name} must be a number >= 0, got {value!r}")
        if self.shear >= 90:
            raise ValueError(f"RandomAffine: shear must be below 90 degrees, got {self.shear!r}")
        if not isinstance(self.scale, Sequence) or len(self.scale) != 2:
            raise ValueError(f"RandomAffine: scale must be a pair (low, high), got {self.scale!r}")
        for name, value in (("scale[0]", self.scale[0]), ("scale[1]", self.scale[1]), ("fill", self.fill)):
            check_number("RandomAffine", name, value, finite=False)
        low, high = self.scale
        if not 0 < low <= high < float("inf"):
            raise ValueError(f"RandomAffine: scale must be (low, high) with 0 < low <= high, got {self.scale!r}")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Transform each image by its own matrix."""
        check_rank("RandomAffine", "x", x, "N C H W")
        check_generator("RandomAffine", rng)
        matrix, offset = self.draw(len(x), rng)
        return warp_affine(x, matrix, offset, fill=self.fill)

    def draw(self, N: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """N inverse matrices (N, 2, 2) and offsets (N, 2), as `warp_affine` takes them."""
        angle = np.deg2rad(rng.uniform(-self.degrees, self.degrees, N))
        factor = rng.uniform(*self.scale, N)
        slant = np.tan(np.deg2rad(rng.uniform(-self.shear, self.shear, N)))
        moved = rng.uniform(-self.shift, self.shift, (N, 2))
        cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
        # the inverse of rotation @ scale @ [[1, 0], [slant, 1]], rows before columns
        matrix = np.stack([cos, sin, -sin - slant * cos, cos - slant * sin], axis=1).reshape(N, 2, 2)
        return matrix, -(matrix @ moved[:, :, None])[:, :, 0]
