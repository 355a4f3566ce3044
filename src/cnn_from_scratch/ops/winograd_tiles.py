"""Where the tiles of a Winograd convolution lie, and how a row of them is read without copying.

Arrays lie as (H, W, N, C), so that one pixel of b images is a run of L = b*C numbers. A row of TW tiles over m output
rows reads P = m + 2 rows of the padded image, and neighbours share two columns ::

    padded column   0 1 2 3 4 5 6 7 8 9       m = 4, P = 6
    tile 0          x x x x x x
    tile 1                  x x x x x x

Along the rows, B^T is one matrix product with the P image rows, which lie far apart; rows of padding are not there,
so the columns of B^T that would meet them are dropped. Its result is small enough to hold padding columns of zeros.
Along the columns, B^T is multiplied with every tile: the tiles overlap in memory, for a strided view may count the
same numbers twice. Both are one call of `np.matmul` each, on views that BLAS reads in place.

Where these arrays lie is the same for every row of tiles. So their views are made once for some images, and the work on
a row is little more than its calls of `np.matmul`. All the rest holds the interpreter's lock, for which other threads
stand in line: with views made anew for every row, two threads stood there twice as often, and a single one took 1.02
to 1.08 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..typing import Array
from .blocked_matmul import Product
from .utils import HWNC, ConvGeometry, to_hwnc
from .winograd import Transforms

CHUNK = 4_800_000
"""Bytes of the transformed inputs and outputs of one row of tiles: more than a core's second-level cache, for long
calls gain more than the cache loses."""


class Tiling(NamedTuple):
    """How F(m x m, 3 x 3) covers the output: TH rows of TW tiles, the last of which may hang over."""

    m: int
    P: int  # m + 2
    TH: int
    TW: int
    H: int
    W: int
    OH: int
    OW: int
    top: int  # padding, 0 or 1
    left: int

    def output_rows(self, t: int) -> tuple[int, int]:
        """[first, last) row of the output under row `t` of tiles."""
        return t * self.m, min(t * self.m + self.m, self.OH)

    def input_rows(self, t: int) -> tuple[int, int]:
        """[first, last) row of the image that row `t` of tiles reads; padding rows are left out."""
        first = t * self.m - self.top
        return max(first, 0), min(first + self.P, self.H)


def tiling(geometry: ConvGeometry, m: int) -> Tiling:
    """Cover the output of this geometry by tiles.

    Examples
    --------
    >>> from cnn_from_scratch.ops.utils import conv_geometry
    >>> t = tiling(conv_geometry("example", (14, 14), 3, padding=1), 4)
    >>> t.TH, t.TW, t.input_rows(0), t.input_rows(3), t.output_rows(3)
    (4, 4, (0, 5), (11, 14), (12, 14))
    """
    (H, W), (OH, OW) = geometry.input, geometry.output
    (top, _), (left, _) = geometry.padding
    return Tiling(m, m + 2, -(-OH // m), -(-OW // m), H, W, OH, OW, top, left)


def images_per_chunk(tiles: Tiling, N: int, channels: int, itemsize: int) -> int:
    """How many of N images go through the transforms together: `CHUNK` bytes, evened out over the chunks."""
    one = itemsize * tiles.P**2 * tiles.TW * channels
    chunks = -(-N // max(1, CHUNK // one))
    return -(-N // max(1, chunks))


def chunks_of(N: int, size: int) -> list[tuple[int, int]]:
    """[(first, last)) image of each chunk.

    Examples
    --------
    >>> chunks_of(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(first, min(first + size, N)) for first in range(0, N, max(1, size))]


def as_runs(x: Array) -> Array:
    """A logical (N, C, H, W) array as (H, W, N, C), each pixel of which is one run of N*C; a copy where needed."""
    view = x.transpose(HWNC)
    return view if view[:1, :1].flags.c_contiguous else to_hwnc(x).transpose(HWNC)


def shaped(buffer: Array, *shape: int) -> Array:
    """The beginning of a flat buffer in this shape."""
    return buffer[: math.prod(shape)].reshape(shape)


def overlapping(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view of a contiguous array in which a number may appear more than once, with strides in bytes."""
    return np.ndarray(shape, array.dtype, buffer=array, strides=strides)  # as `as_strided`, which takes 4 times as long


def by_column(images: Array) -> Array:
    """(H, W, b, C) -> (W, H, b*C): some rows of it are a matrix (rows, b*C) for every column. A view."""
    H, W, b, C = images.shape
    return images.reshape(H, W, b * C).transpose(1, 0, 2)


def split_columns(rows: Array, m: int) -> tuple[Array, Array]:
    """(K, W, L) -> columns m by m (K, W // m, m, L), and what is left over at the right (K, W % m, L). Views."""
    K, W, L = rows.shape
    whole = W // m
    return rows[:, : whole * m].reshape(K, whole, m, L), rows[:, whole * m :]


def multiply(products: Iterable[Product]) -> None:
    """One product after the other."""
    for a, b, out in products:
        np.matmul(a, b, out=out)


class Inputs(NamedTuple):
    """Where inputs become places; L channels of images. The same views serve every row of tiles."""

    image: Array  # (W, P, L)   half transformed, the columns of the image
    padding: tuple[Array, Array]  # the columns on its left and right
    tiles: Array  # (P, TW, P, L)   half transformed, every tile with all its columns, the shared ones counted twice
    V: Array  # (P, TW, P, L)


def buffer_for_inputs(tiles: Tiling, L: int) -> int:
    """Numbers that `inputs_to_places` needs for L channels of images on its way."""
    return tiles.P * (tiles.TW * tiles.m + 2) * L


def inputs_in(buffer: Array, V: Array, tiles: Tiling) -> Inputs:
    """The views for V (P, P, TW, L)."""
    (P, _, TW, L), left, right = V.shape, tiles.left, tiles.left + tiles.W
    rows = shaped(buffer, P, TW * tiles.m + 2, L)
    row, column, number = rows.strides
    every_tile = overlapping(rows, (P, TW, P, L), (row, tiles.m * column, column, number))
    padding = rows[:, :left], rows[:, right:]
    return Inputs(rows[:, left:right].transpose(1, 0, 2), padding, every_tile, V.transpose(0, 2, 1, 3))


def inputs_to_places(x: Array, t: int, tiles: Tiling, matrices: Transforms, inputs: Inputs) -> None:
    """V = B^T @ d @ B for every tile d of row `t`: x (W, H, L) -> inputs.V"""
    first, last = tiles.input_rows(t)
    above = first + tiles.top - t * tiles.m  # rows of padding over the image
    np.matmul(matrices.BT[:, above : above + last - first], x[:, first:last], out=inputs.image)
    for columns in inputs.padding:
        columns.fill(0)
    np.matmul(matrices.BT, inputs.tiles, out=inputs.V)
