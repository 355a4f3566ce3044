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
from numpy.lib.stride_tricks import as_strided

from ..typing import Array
from .blocked_matmul import matmul_by_rows
from .memory import empty
from .utils import ConvGeometry
from .winograd import Transforms, filters_gradient, transform_filters_transposed, transforms
from .winograd_tiles import (
    Tiling,
    as_runs,
    buffer_for_inputs,
    chunks_of,
    images_per_chunk,
    in_order_of,
    inputs_to_places,
    separate_tiles,
    shaped,
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
        part = (slice(None), slice(None), slice(first, last))
        for t in range(tiles.TH):
            D = _gradient_to_places(gradient[part], t, tiles, matrices.A, buffers)
            _add_product(images[part], D, dU, t, tiles, matrices, buffers, fresh=first == t == 0)
            if dx is not None and Ut is not None:
                _row_of_dx(D, Ut, dx[part], t, tiles, matrices, buffers)
    return None if dx is None else in_order_of(x, dx), filters_gradient(dU, tile)


def _buffers(tiles: Tiling, N: int, C: int, F: int, dtype: np.dtype[Any], need_dx: bool) -> _Buffers:
    places = tiles.P**2 * tiles.TW * N
    half = max(buffer_for_inputs(tiles, N * C), tiles.P * tiles.OW * N * F)
    rows = (tiles.P + 2) * tiles.W * N * C if need_dx else 0
    sizes = (places * C, places * F, half, rows, tiles.P**2 * C * F)
    return _Buffers(*(empty((size,), dtype) for size in sizes))


def _gradient_to_places(dy: Array, t: int, tiles: Tiling, A: Array, buffers: _Buffers) -> Array:
    """D = A @ dy @ A^T for every tile of row `t`: dy (OH, OW, b, F) -> D (P, P, TW, b*F)"""
    (_, OW, b, F), P, m = dy.shape, tiles.P, tiles.m
    above, below = tiles.output_rows(t)
    rows = dy[above:below].reshape(below - above, OW, b * F)
    half = shaped(buffers.half, P, OW, b * F)
    np.matmul(A[:, : below - above], rows.transpose(1, 0, 2), out=half.transpose(1, 0, 2))
    D = shaped(buffers.D, P, P, tiles.TW, b * F)
    whole, rest = divmod(OW, m)
    np.matmul(A, separate_tiles(half, m), out=D[:, :, :whole].transpose(0, 2, 1, 3))
    if rest:
        np.matmul(A[:, :rest], half[:, whole * m :], out=D[:, :, whole])
    return D


def _add_product(
    x: Array, D: Array, dU: Array, t: int, tiles: Tiling, matrices: Transforms, buffers: _Buffers, *, fresh: bool
) -> None:
    """dU += V^T @ D, with V made from x again: cheaper than to keep it. The first product is written, not added."""
    (PP, C, F), TW, b = dU.shape, tiles.TW, x.shape[2]
    V = shaped(buffers.V, PP, TW * b, C)
    inputs_to_places(x, t, tiles, matrices, buffers.half, V.reshape(tiles.P, tiles.P, TW, b * C))
    product = dU if fresh else shaped(buffers.product, PP, C, F)
    matmul_by_rows(V.transpose(0, 2, 1), D.reshape(PP, TW * b, F), out=product)
    if not fresh:
        dU += product


def _row_of_dx(D: Array, Ut: Array, dx: Array, t: int, tiles: Tiling, matrices: Transforms, buffers: _Buffers) -> None:
    """dV = D @ U^T and dx = B @ dV @ B^T: D (P, P, TW, b*F) -> the rows of dx (H, W, b, C) that are now complete"""
    P, m, TW, W = tiles.P, tiles.m, tiles.TW, tiles.W
    b, (_, F, C) = dx.shape[2], Ut.shape
    dV = shaped(buffers.V, P, TW, P, b, C)
    matmul_by_rows(D.reshape(P, P, TW, b, F), Ut.reshape(P, P, 1, F, C), out=dV.transpose(0, 2, 1, 3, 4))
    rows = shaped(buffers.rows, P + 2, W, b * C)  # two from the tiles above, P from these
    _add_columns(dV.reshape(P, TW, P, b * C), rows[2:], tiles, matrices.column_sums)
    first = max(t * m - tiles.top, 0)
    last = tiles.H if t == tiles.TH - 1 else t * m + m - tiles.top
    place, known = tiles.top + first - t * m, 0 if t else 2
    out = dx[first:last].reshape(last - first, W, b * C)
    sums = matrices.row_sums[place : place + last - first, known:]
    np.matmul(sums, rows[known:].transpose(1, 0, 2), out=out.transpose(1, 0, 2))
    if t < tiles.TH - 1:
        np.matmul(matrices.B[m:], rows[2:].transpose(1, 0, 2), out=rows[:2].transpose(1, 0, 2))


def _add_columns(dV: Array, out: Array, tiles: Tiling, sums: Array) -> None:
    """dV (P, TW, P, L) -> (P, W, L): B along the columns; where two tiles overlap, the sum of both."""
    P, m, TW, left, W = tiles.P, tiles.m, tiles.TW, tiles.left, tiles.W
    if TW == 1:
        np.matmul(sums[left : left + W, P:], dV[:, 0], out=out)
        return
    pairs = _neighbours(dV)  # (P, TW - 1, 2P, L)
    start, end = m - left, m * (TW - 1) - left
    np.matmul(sums[left:m, P:], dV[:, 0], out=out[:, :start])
    if TW > 2:
        np.matmul(sums[:m], pairs[:, :-1], out=separate_tiles(out[:, start:end], m))
    np.matmul(sums[: W - end], pairs[:, -1], out=out[:, end:])


def _neighbours(dV: Array) -> Array:
    """(P, TW, P, L) -> (P, TW - 1, 2P, L): every tile behind the one on its left. A view."""
    P, TW, _, L = dV.shape
    row, tile, column, number = dV.strides
    return as_strided(dV, (P, TW - 1, 2 * P, L), (row, tile, column, number))
