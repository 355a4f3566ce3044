"""The gradients of the Winograd convolution: every step of the forward pass turned round, in the opposite order.

The forward pass is linear in x and in the weights, so its gradients are its adjoint: each matrix transposed ::

    forward     V = B^T @ d @ B      M = V @ U            y  = A^T @ M @ A
    backward    D = A @ dy @ A^T     dU = V^T @ D         dweight = G^T @ dU @ G
                                     dV = D @ U^T         dx = B @ dV @ B^T, overlapping tiles added

D is made once and serves both gradients. Only the last step differs in kind: neighbouring tiles read the same two
columns and rows of the image, so what they send back is added, as in `col2im`. That addition is part of the matrix
products: a pixel of two tiles is a sum over 2P numbers instead of P.

The usual alternative, a convolution of dy with the flipped filters for dx and another transform of dy for dweight,
transforms dy twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from .blocked_matmul import Product, blocks_of_rows
from .conv_output import in_order_of
from .memory import empty
from .utils import ConvGeometry
from .winograd import Transforms, filters_gradient, transform_filters_transposed, transforms
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
    multiply,
    overlapping,
    shaped,
    split_columns,
    tiling,
)


class _Buffers(NamedTuple):
    V: Array  # V, then dV
    D: Array
    half: Array  # what is half transformed on the way to V or to D
    rows: Array  # what is half transformed on the way to dx, and two rows from the tiles above; empty without dx
    product: Array  # one summand of dU


def backward_winograd(
    dy: Array, x: Array, weight: Array, geometry: ConvGeometry, groups: int, need_dx: bool, *, tile: int
) -> tuple[Array | None, Array]:
    """dweight = G^T @ (sum over tiles of V^T @ D) @ G and dx = B @ (D @ U^T) @ B^T, with D = A @ dy @ A^T.

    Parameters
    ----------
    dy : (N, F, OH, OW)
    x : (N, C, H, W)
    weight : (F, C, 3, 3)
    geometry : ConvGeometry
        One that `suits`.
    groups : int
        1.
    need_dx : bool
        Whether to make dx.
    tile : 2 or 4
        m of F(m x m, 3 x 3).

    Returns
    -------
    dx : (N, C, H, W) or None
        In the memory order of x.
    dweight : (F, C, 3, 3)
    """
    tiles, matrices = tiling(geometry, tile), transforms(tile, x.dtype)
    (N, C), F, PP = x.shape[:2], len(weight), tiles.P**2
    images, gradient = as_runs(x), as_runs(dy)  # (H, W, N, C), (OH, OW, N, F)
    Ut = transform_filters_transposed(weight, tile) if need_dx else None  # (P*P, F, C)
    dx = empty(images.shape, x.dtype) if need_dx else None
    dU = empty((PP, C, F), x.dtype)
    if not N:
        dU.fill(0)
    size = images_per_chunk(tiles, N, C + F, x.itemsize)
    buffers = _buffers(tiles, size, C, F, x.dtype, need_dx)
    for first, last in chunks_of(N, size):
        x_part, dy_part = images[:, :, first:last], gradient[:, :, first:last]
        chunk = _chunk(x_part, dy_part, dU.shape, tiles, matrices, buffers)
        way = None if dx is None or Ut is None else _way_to_dx(dx[:, :, first:last], Ut, tiles, matrices, buffers)
        for t in range(tiles.TH):
            _gradient_to_places(chunk, t, tiles, matrices.A)
            inputs_to_places(chunk.x, t, tiles, matrices, chunk.inputs)
            _add_product(chunk, dU, fresh=first == t == 0)
            if way is not None:
                _row_of_dx(way, t, tiles, matrices)
    return None if dx is None else in_order_of(x, dx), filters_gradient(dU, tile)


def _buffers(tiles: Tiling, N: int, C: int, F: int, dtype: np.dtype[Any], need_dx: bool) -> _Buffers:
    places = tiles.P**2 * tiles.TW * N
    half = max(buffer_for_inputs(tiles, N * C), tiles.P * tiles.OW * N * F)
    rows = (tiles.P + 2) * tiles.W * N * C if need_dx else 0
    sizes = (places * C, places * F, half, rows, tiles.P**2 * C * F)
    return _Buffers(*(empty((size,), dtype) for size in sizes))


# --- the gradient of the weights ------------------------------------------------------------------------------------


class _Chunk(NamedTuple):
    """The arrays of b images, as every row of tiles uses them."""

    x: Array  # (W, H, b*C)
    inputs: Inputs
    dy: Array  # (OW, OH, b*F)
    half: Array  # (OW, P, b*F)   A @ dy
    columns: list[Product]  # A @ half, tile by tile: D
    product: Product  # V^T @ D
    summand: Array  # the same (P*P, C, F)


def _chunk(
    x: Array, dy: Array, shape: tuple[int, ...], tiles: Tiling, matrices: Transforms, buffers: _Buffers
) -> _Chunk:
    """The views for x (H, W, b, C), dy (OH, OW, b, F) and the shape of dU."""
    b, (PP, C, F), P, TW = x.shape[2], shape, tiles.P, tiles.TW
    V, D = shaped(buffers.V, PP, TW * b, C), shaped(buffers.D, PP, TW * b, F)
    half = shaped(buffers.half, P, tiles.OW, b * F)
    summand = shaped(buffers.product, PP, C, F)
    return _Chunk(
        by_column(x),
        inputs_in(buffers.half, V.reshape(P, P, TW, b * C), tiles),
        by_column(dy),
        half.transpose(1, 0, 2),
        _columns_to_places(half, D.reshape(P, P, TW, b * F), tiles.m, matrices.A),
        blocks_of_rows(V.transpose(0, 2, 1), D, summand),
        summand,
    )


def _columns_to_places(half: Array, D: Array, m: int, A: Array) -> list[Product]:
    """A along the columns: half (P, OW, L) -> D (P, P, TW, L), the tiles that are whole and the one that hangs over."""
    whole, rest = split_columns(half, m)
    products = [(A, whole, D[:, :, : whole.shape[1]].transpose(0, 2, 1, 3))]
    if rest.shape[1]:
        products.append((A[:, : rest.shape[1]], rest, D[:, :, -1]))
    return products


def _gradient_to_places(chunk: _Chunk, t: int, tiles: Tiling, A: Array) -> None:
    """D = A @ dy @ A^T for every tile of row `t`."""
    above, below = tiles.output_rows(t)
    np.matmul(A[:, : below - above], chunk.dy[:, above:below], out=chunk.half)
    multiply(chunk.columns)


def _add_product(chunk: _Chunk, dU: Array, *, fresh: bool) -> None:
    """dU += V^T @ D, with V made from x again: cheaper than to keep it. The first product is written, not added."""
    V, D, summand = chunk.product
    if fresh:
        np.matmul(V, D, out=dU.reshape(summand.shape))
        return
    np.matmul(V, D, out=summand)
    dU += chunk.summand


# --- the gradient of the images -------------------------------------------------------------------------------------


class _WayToDx(NamedTuple):
    """The arrays of b images between D and dx, as every row of tiles uses them."""

    product: Product  # dV = D @ U^T
    columns: list[Product]  # dV -> the last P rows
    rows: Array  # (W, 2 + P, b*C)   half transformed: two from the tiles above, P from these
    dx: Array  # (W, H, b*C)


def _way_to_dx(dx: Array, Ut: Array, tiles: Tiling, matrices: Transforms, buffers: _Buffers) -> _WayToDx:
    """The views for dx (H, W, b, C) and U^T (P*P, F, C)."""
    b, (_, F, C), P, TW = dx.shape[2], Ut.shape, tiles.P, tiles.TW
    D = shaped(buffers.D, P, P, TW, b, F)
    dV = shaped(buffers.V, P, TW, P, b, C)
    rows = shaped(buffers.rows, 2 + P, tiles.W, b * C)
    return _WayToDx(
        blocks_of_rows(D, Ut.reshape(P, P, 1, F, C), dV.transpose(0, 2, 1, 3, 4)),
        _add_columns(dV.reshape(P, TW, P, b * C), rows[2:], tiles, matrices.column_sums),
        rows.transpose(1, 0, 2),
        by_column(dx),
    )


def _row_of_dx(way: _WayToDx, t: int, tiles: Tiling, matrices: Transforms) -> None:
    """dV = D @ U^T and dx = B @ dV @ B^T: from D to the rows of dx that are complete after row `t` of tiles."""
    np.matmul(*way.product)
    multiply(way.columns)
    m, top, is_last = tiles.m, tiles.top, t == tiles.TH - 1
    first, last = max(t * m - top, 0), tiles.H if is_last else t * m + m - top
    place, known = top + first - t * m, 0 if t else 2
    sums = matrices.row_sums[place : place + last - first, known:]
    np.matmul(sums, way.rows[:, known:], out=way.dx[:, first:last])
    if not is_last:
        np.matmul(matrices.B[m:], way.rows[:, 2:], out=way.rows[:, :2])


def _add_columns(dV: Array, out: Array, tiles: Tiling, sums: Array) -> list[Product]:
    """dV (P, TW, P, L) -> (P, W, L): B along the columns; where two tiles overlap, the sum of both."""
    P, m, TW, left, W = tiles.P, tiles.m, tiles.TW, tiles.left, tiles.W
    if TW == 1:
        return [(sums[left : left + W, P:], dV[:, 0], out)]
    pairs = _neighbours(dV)  # (P, TW - 1, 2P, L)
    start, end = m - left, m * (TW - 1) - left
    products = [(sums[left:m, P:], dV[:, 0], out[:, :start])]
    if TW > 2:
        products.append((sums[:m], pairs[:, :-1], split_columns(out[:, start:end], m)[0]))
    products.append((sums[: W - end], pairs[:, -1], out[:, end:]))
    return products


def _neighbours(dV: Array) -> Array:
    """(P, TW, P, L) -> (P, TW - 1, 2P, L): every tile behind the one on its left. A view."""
    P, TW, _, L = dV.shape
    return overlapping(dV, (P, TW - 1, 2 * P, L), dV.strides)
