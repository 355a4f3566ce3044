"""Matrix products as calls, cut so that OpenBLAS multiplies them fastest; see ops/blocked_matmul.py."""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .stage import Writer

DIRECT = 1_000_000
"""The largest rows * inner * columns that OpenBLAS multiplies without packing."""


def matmul_by_rows(program: Writer, a: Array, b: Array, out: Array) -> None:
    """Append out = a @ b, (..., M, K) @ (..., K, N), in blocks of as many rows as are multiplied directly."""
    *batch, M, K = a.shape
    N = b.shape[-1]
    block = 128
    while M * K * N > DIRECT and block >= 8 and (M % block or block * K * N > DIRECT):
        block //= 2
    if M * K * N > DIRECT and 8 <= block < M:
        a, out = (v.reshape(*batch, M // block, block, v.shape[-1]) for v in (a, out))
        b = b[..., None, :, :]
    program.call(np.matmul, a, b, out=out)


def matmul_long(program: Writer, a: Array, b: Array, out: Array) -> None:
    """Append out = a @ b for a small `a` and very long rows of `b`, in blocks of columns; one call or two."""
    M, K = a.shape
    N = b.shape[-1]
    block = max(16, DIRECT // (M * K) // 16 * 16)
    whole = N - N % block if N > block else 0
    if whole:
        parts = [v[..., :whole].reshape(*v.shape[:-1], whole // block, block) for v in (b, out)]
        b_blocks, out_blocks = (np.moveaxis(v, -2, -3) for v in parts)
        program.call(np.matmul, a, b_blocks, out=out_blocks)
    if N > whole:
        program.call(np.matmul, a, b[..., whole:], out=out[..., whole:])
