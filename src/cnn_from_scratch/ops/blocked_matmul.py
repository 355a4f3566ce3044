"""Matrix products in pieces that OpenBLAS multiplies fastest.

For large matrices BLAS first copies ("packs") panels of both factors into buffers of its own. Where rows * inner *
columns stays below a million, OpenBLAS multiplies directly instead. On one thread the 36 products of a Winograd
convolution ran 1.1 to 1.25 times as fast in blocks of rows as in one piece, with 64 and 128 channels; with 32 they
are small enough as they are. `np.matmul` takes the blocks as a batch, so that they remain one call from Python.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..typing import Array

Product: TypeAlias = tuple[Array, Array, Array]
"""a, b, and where a @ b goes."""

DIRECT = 1_000_000
"""The largest rows * inner * columns that OpenBLAS multiplies without packing."""


def matmul_by_rows(a: Array, b: Array, out: Array) -> Array:
    """out = a @ b, (..., M, K) @ (..., K, N) -> (..., M, N), in blocks of as many rows as are multiplied directly.

    Examples
    --------
    >>> a, b = np.arange(6.0).reshape(1, 3, 2), np.ones((1, 2, 1))
    >>> matmul_by_rows(a, b, np.empty((1, 3, 1))).ravel()
    array([1., 5., 9.])
    """
    np.matmul(*blocks_of_rows(a, b, out))
    return out


def blocks_of_rows(a: Array, b: Array, out: Array) -> Product:
    """The product of `matmul_by_rows` cut into blocks: three views for `np.matmul`, to be made once and used often.

    Examples
    --------
    A thousand rows of 64 numbers by 100 columns would be packed; 8 * 125 rows go in blocks of 8.

    >>> a, b, out = (np.zeros(shape) for shape in ((1000, 64), (64, 100), (1000, 100)))
    >>> [view.shape for view in blocks_of_rows(a, b, out)]
    [(125, 8, 64), (1, 64, 100), (125, 8, 100)]
    """
    *batch, M, K = a.shape
    N = b.shape[-1]
    block = 128
    while block >= 8 and (M % block or block * K * N > DIRECT):
        block //= 2
    if block < 8 or block >= M:
        return a, b, out
    a_blocks = a.reshape(*batch, M // block, block, K)
    out_blocks = out.reshape(*batch, M // block, block, N)
    return a_blocks, b[..., None, :, :], out_blocks


def matmul_by_columns(a: Array, b: Array, out: Array) -> Array:
    """out = a @ b, (M, K) @ (K, N) -> (M, N) for a small `a` and a very long `b`, in blocks of columns.

    Examples
    --------
    >>> matmul_by_columns(np.ones((1, 2)), np.arange(6.0).reshape(2, 3), np.empty((1, 3)))
    array([[3., 5., 7.]])
    """
    (M, K), N = a.shape, b.shape[1]
    block = 1 << max(4, (DIRECT // (M * K)).bit_length() - 1)  # a power of two
    whole = N - N % block
    if whole:
        b_blocks = b[:, :whole].reshape(K, -1, block).transpose(1, 0, 2)
        out_blocks = out[:, :whole].reshape(M, -1, block).transpose(1, 0, 2)
        np.matmul(a, b_blocks, out=out_blocks)
    if N > whole:
        np.matmul(a, b[:, whole:], out=out[:, whole:])
    return out
