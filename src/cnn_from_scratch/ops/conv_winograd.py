"""3x3 convolution by Winograd's transforms, a row of tiles at a time, on arrays that lie as (H, W, N, C).

::

    x tiles (P x P)  --B^T . B-->  V (P*P, tiles, C)  --one product for each place-->  M = V @ U (P*P, tiles, F)
    M  --A^T . A-->  y tiles (m x m)

The matrices are in winograd.py, the way from images to tiles in winograd_tiles.py. For every row of tiles there are
five calls of `np.matmul`: two for x -> V (rows, then columns), one for M, two for M -> y, and no other pass over the
numbers. The product has a quarter of the multiplications of the definition (m = 4). Measured in float32 on one thread,
it takes 75 % of the time with 128 channels and filters, 62 % with 64 and a third with 16; the transforms take the rest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from .blocked_matmul import Product, blocks_of_rows
from .conv_output import Finish, in_order_of
from .conv_winograd_backward import backward_winograd
from .memory import empty
from .utils import ConvGeometry
from .winograd import transform_filters, transforms
from .winograd_tiles import (
    Inputs,
    Tiling,
    as_runs,
    buffer_for_inputs,
    by_column,
    chunks_of,
    images_per_chunk,
    inputs_in,
    inputs_to_places,
    shaped,
    split_columns,
    tiling,
)

__all__ = ["backward_winograd", "cheapest_tile", "forward_winograd", "suits"]


def suits(geometry: ConvGeometry, groups: int) -> bool:
    """Whether Winograd's transforms apply: 3x3, stride 1, dilation 1, at most one row of padding a side, no groups.

    Examples
    --------
    >>> from cnn_from_scratch.ops.utils import conv_geometry
    >>> suits(conv_geometry("example", (8, 8), 3, padding=1), 1), suits(conv_geometry("example", (8, 8), 3, 2), 1)
    (True, False)
    """
    one = (1, 1)
    narrow = all(side <= 1 for sides in geometry.padding for side in sides)
    return groups == 1 and narrow and (geometry.kernel, geometry.stride, geometry.dilation) == ((3, 3), one, one)


def cheapest_tile(geometry: ConvGeometry) -> int:
    """4 or 2, whichever multiplies less: a tile of 4 x 4 costs 36 products however little of it lies on the image.

    Examples
    --------
    An output of 7x7: four tiles of 36 products or sixteen of 16. One of 6x6: four of 36 or nine of 16, a tie for 2.

    >>> from cnn_from_scratch.ops.utils import conv_geometry
    >>> [cheapest_tile(conv_geometry("example", (size, size), 3, padding=1)) for size in (7, 6, 2)]
    [4, 2, 2]
    """
    products = {m: (m + 2) ** 2 * tiling(geometry, m).TH * tiling(geometry, m).TW for m in (2, 4)}
    return 4 if products[4] < products[2] else 2


def forward_winograd(
    x: Array,
    weight: Array,
    geometry: ConvGeometry,
    groups: int,
    finish: Finish | None = None,
    *,
    tile: int,
) -> Array:
    """y = A^T @ (sum over channels of (G @ g @ G^T) * (B^T @ d @ B)) @ A for every tile d of x and every filter g.

    Parameters
    ----------
    x : (N, C, H, W)
        Fastest where it lies as (H, W, N, C).
    weight : (F, C, 3, 3)
    geometry : ConvGeometry
        One that `suits`.
    groups : int
        1.
    finish : callable, optional
        Called once for every piece of the output while it is in the cache, with a writable (rows, OW, images, F) view.
    tile : 2 or 4
        m of F(m x m, 3 x 3): 4 multiplies least, 2 rounds least.

    Returns
    -------
    y : (N, F, OH, OW)
        In the memory order of x.

    References
    ----------
    Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2016). https://arxiv.org/abs/1509.09308

    Examples
    --------
    >>> from cnn_from_scratch.ops.utils import conv_geometry
    >>> x, weight = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    >>> forward_winograd(x, weight, conv_geometry("example", (4, 4), 3, padding=1), 1, tile=2)[0, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]])
    """
    tiles, matrices = tiling(geometry, tile), transforms(tile, x.dtype)
    N, C, F = len(x), x.shape[1], len(weight)
    images = as_runs(x)  # (H, W, N, C)
    U = transform_filters(weight, tile)  # (P*P, C, F)
    y = empty((tiles.OH, tiles.OW, N, F), x.dtype)
    size = images_per_chunk(tiles, N, C + F, x.itemsize)
    buffers = _buffers(tiles, size, C, F, x.dtype)
    for first, last in chunks_of(N, size):
        part = y[:, :, first:last]
        chunk = _chunk(images[:, :, first:last], U, part, tiles, buffers)
        for t in range(tiles.TH):
            inputs_to_places(chunk.x, t, tiles, matrices, chunk.inputs)
            np.matmul(*chunk.product)
            above, below = tiles.output_rows(t)
            _places_to_outputs(chunk, above, below, matrices.AT)
            if finish is not None:
                finish(part[above:below])
    return in_order_of(x, y)


class _Chunk(NamedTuple):
    """The arrays of b images, as every row of tiles uses them."""

    x: Array  # (W, H, b*C)
    inputs: Inputs
    product: Product  # M = V @ U
    M: Array  # (P*TW, P, b*F)
    half: Array  # (P*TW, m, b*F)   A^T @ M
    tiles: tuple[Array, Array]  # `half` as tiles: the whole ones (m, whole, P, b*F) and the last one (m, P, b*F)
    y: tuple[Array, Array]  # columns of the output: of whole tiles (OH, whole, m, b*F), the rest (OH, rest, b*F)


def _buffers(tiles: Tiling, N: int, C: int, F: int, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """Room for V, for M, and for what is half transformed on the way in or out, for N images."""
    P, places = tiles.P, tiles.P**2 * tiles.TW * N
    half = max(buffer_for_inputs(tiles, N * C), tiles.m * P * tiles.TW * N * F)
    return empty((places * C,), dtype), empty((places * F,), dtype), empty((half,), dtype)


def _chunk(x: Array, U: Array, y: Array, tiles: Tiling, buffers: tuple[Array, Array, Array]) -> _Chunk:
    """The views for x (H, W, b, C) and y (OH, OW, b, F)."""
    b, (PP, C, F), P, m, TW = x.shape[2], U.shape, tiles.P, tiles.m, tiles.TW
    V, M = shaped(buffers[0], PP, TW * b, C), shaped(buffers[1], PP, TW * b, F)
    half = shaped(buffers[2], m, P * TW, b * F)
    columns = half.reshape(m, P, TW, b * F).transpose(0, 2, 1, 3)  # (m, TW, P, b*F)
    whole = tiles.OW // m
    return _Chunk(
        by_column(x),
        inputs_in(buffers[2], V.reshape(P, P, TW, b * C), tiles),
        blocks_of_rows(V, U, M),
        M.reshape(P, P * TW, b * F).transpose(1, 0, 2),
        half.transpose(1, 0, 2),
        (columns[:, :whole], columns[:, -1]),
        split_columns(y.reshape(tiles.OH, tiles.OW, b * F), m),
    )


def _places_to_outputs(chunk: _Chunk, above: int, below: int, AT: Array) -> None:
    """y = A^T @ M @ A: chunk.M -> rows [above, below) of chunk.y; what hangs over is not computed."""
    rows = below - above
    np.matmul(AT[:rows], chunk.M, out=chunk.half[:, :rows])
    (whole, last), (y_whole, y_rest) = chunk.tiles, chunk.y
    np.matmul(AT, whole[:rows], out=y_whole[above:below])
    rest = y_rest.shape[1]
    if rest:
        np.matmul(AT[:rest], last[:rows], out=y_rest[above:below])
