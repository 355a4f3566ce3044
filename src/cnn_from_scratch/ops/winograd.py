"""The Winograd transforms: a 3x3 convolution with fewer multiplications.

A tile of m x m outputs reads (m+2) x (m+2) inputs. The definition spends 9 multiplications on each output; Winograd's
F(m x m, 3 x 3) spends (m+2)^2 on a whole tile: 16 instead of 36 for m = 2, 36 instead of 144 for m = 4. With d a tile
of inputs, g a filter, @ the matrix product and * the product of single numbers ::

    y = A^T @ ((G @ g @ G^T) * (B^T @ d @ B)) @ A

In one dimension, F(2, 3): two outputs of three weights from four inputs, with 4 multiplications instead of 6 ::

    y0 = d0*g0 + d1*g1 + d2*g2 = m0 + m1 + m2        m0 = (d0 - d2) * g0
    y1 = d1*g0 + d2*g1 + d3*g2 =      m1 - m2 - m3   m1 = (d1 + d2) * (g0 + g1 + g2) / 2
                                                     m2 = (d2 - d1) * (g0 - g1 + g2) / 2
                                                     m3 = (d1 - d3) * g2

The additions before the products are the rows of B^T, those of the weights the rows of G, those after the products
the rows of A^T. In two dimensions the same is done to the columns and then to the rows. B^T @ d @ B and the way back
look expensive, but they serve all filters and all channels, and what remains between them is summed over the channels:
(m+2)^2 matrix products, one for each place of a tile.

The price is rounding: the larger the tile, the larger the numbers in the matrices. Measured in float32 on 64 channels,
the root mean square error of y is 3e-7 of its spread for m = 2, as for the plain sum, and 2e-6 for m = 4. And range:
B^T @ d @ B can be 4 times as large as d for m = 2, 100 times for m = 4, so that inputs beyond 8e37 and 3e36 overflow
float32, where the plain sum need not; the gradient of the weights overflows earlier, from 1e35 for m = 4. Then come
infinity or NaN, never wrong finite numbers.

References
----------
Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2016). https://arxiv.org/abs/1509.09308
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from .blocked_matmul import matmul_by_columns
from .memory import empty

# fmt: off
BT = {
    2: [[1,  0, -1,  0],
        [0,  1,  1,  0],
        [0, -1,  1,  0],
        [0,  1,  0, -1]],
    4: [[4,  0, -5,  0, 1, 0],
        [0, -4, -4,  1, 1, 0],
        [0,  4, -4, -1, 1, 0],
        [0, -2, -1,  2, 1, 0],
        [0,  2, -1, -2, 1, 0],
        [0,  4,  0, -5, 0, 1]],
}
"""B^T, (m+2, m+2), by m: what is added up of the inputs."""

AT = {
    2: [[1, 1,  1,  0],
        [0, 1, -1, -1]],
    4: [[1, 1,  1, 1,  1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1,  1, 4,  4, 0],
        [0, 1, -1, 8, -8, 1]],
}
"""A^T, (m, m+2), by m: what is added up of the products."""

G = {
    2: [[1,    0,   0],
        [1/2,  1/2, 1/2],
        [1/2, -1/2, 1/2],
        [0,    0,   1]],
    4: [[ 1/4,     0,    0],
        [-1/6,  -1/6, -1/6],
        [-1/6,   1/6, -1/6],
        [1/24,  1/12,  1/6],
        [1/24, -1/12,  1/6],
        [   0,     0,    1]],
}
"""G, (m+2, 3), by m: what is added up of the weights."""
# fmt: on


class Transforms(NamedTuple):
    """The matrices of F(m x m, 3 x 3) in one dtype; P = m + 2."""

    tile: int  # m
    BT: Array  # (P, P)   inputs to places
    AT: Array  # (m, P)   places to outputs
    B: Array  # (P, P)   the adjoint of BT: places to gradients of inputs
    A: Array  # (P, m)   the adjoint of AT: gradients of outputs to places
    GG: Array  # (P*P, 9)   weights to places, rows and columns at once
    column_sums: Array  # (P, 2P)    B behind what the tile on the left adds to the first two
    row_sums: Array  # (P, 2 + P)  B behind the sums that the tiles above left for the first two


@functools.cache
def transforms(tile: int, dtype: np.dtype[Any]) -> Transforms:
    """The matrices of F(tile x tile, 3 x 3), tile 2 or 4.

    Examples
    --------
    F(2, 3) on the inputs 1, 2, 3, 4 and the weights 1, 10, 100: the outputs are 321 and 432.

    >>> t = transforms(2, np.dtype(np.float64))
    >>> t.AT @ ((np.array(G[2]) @ [1, 10, 100]) * (t.BT @ [1, 2, 3, 4]))
    array([321., 432.])
    """
    inputs, outputs, weights = (np.array(matrix, np.float64) for matrix in (BT[tile], AT[tile], G[tile]))
    B, P = inputs.T, tile + 2
    left, above = np.zeros((P, P)), np.eye(P, 2)
    left[:2] = B[tile:]  # the last two columns of the tile on the left are the first two of this one
    wanted = (inputs, outputs, B, outputs.T, np.kron(weights, weights), np.hstack([left, B]), np.hstack([above, B]))
    made = [np.ascontiguousarray(matrix, dtype) for matrix in wanted]
    for matrix in made:
        matrix.flags.writeable = False
    return Transforms(tile, *made)


def transform_filters(weight: Array, tile: int) -> Array:
    """U = G @ g @ G^T of every filter and channel: weight (F, C, 3, 3) -> U (P*P, C, F)."""
    F, C = weight.shape[:2]
    return _to_places(weight.transpose(2, 3, 1, 0), tile).reshape(-1, C, F)


def transform_filters_transposed(weight: Array, tile: int) -> Array:
    """U with its last axes swapped, (P*P, F, C): made from the weights, which is cheaper than to swap the larger U."""
    F, C = weight.shape[:2]
    return _to_places(weight.transpose(2, 3, 0, 1), tile).reshape(-1, F, C)


def _to_places(weight: Array, tile: int) -> Array:
    """(3, 3, X, Y) -> (P*P, X*Y)"""
    GG = transforms(tile, weight.dtype).GG
    flat = empty(weight.shape, weight.dtype)
    flat[...] = weight
    flat = flat.reshape(9, -1)
    return matmul_by_columns(GG, flat, empty((len(GG), flat.shape[1]), weight.dtype))


def filters_gradient(dU: Array, tile: int) -> Array:
    """The adjoint of `transform_filters`: dU (P*P, C, F) -> dweight (F, C, 3, 3) = G^T @ dU @ G"""
    PP, C, F = dU.shape
    GG = transforms(tile, dU.dtype).GG
    dweight = empty((F, C, 3, 3), dU.dtype)
    by_channel = dweight.reshape(F, C, 9).transpose(1, 0, 2)  # (C, F, 9)
    np.matmul(dU.transpose(1, 2, 0), GG, out=by_channel)  # (C, F, P*P) @ (P*P, 9)
    return dweight
