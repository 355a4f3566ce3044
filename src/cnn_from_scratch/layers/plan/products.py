"""Matrix products as calls, cut so that OpenBLAS multiplies them fastest; see ops/blocked_matmul.py."""

from __future__ import annotations

import numpy as np

from ...ops.blocked_matmul import DIRECT
from ...typing import Array
from .calls import sum_of_parts
from .stage import Writer

FEW_ROWS = 32
"""With more rows than this, packing is worth its price."""


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


def matmul_of_few_rows(program: Writer, a: Array, b: Array, out: Array) -> None:
    """Append out = a @ b, (M, K) @ (K, N), for a large K and at most `FEW_ROWS` rows.

    Packing `b` would cost as much as multiplying it with so few rows. So the sum over K is cut into parts that are
    multiplied directly, and these are added up: 0.7 of the time for (32, 3136) @ (3136, 128).
    """
    (M, K), N = a.shape, b.shape[1]
    parts = next(p for p in range(1, K + 1) if K % p == 0 and (M * K * N <= DIRECT * p or p == K))
    if not 1 < parts <= K // 32 or M > FEW_ROWS:
        matmul_by_rows(program, a, b, out)
        return
    sums = program.scratch("sums", parts, M, N)
    program.call(np.matmul, a.reshape(M, parts, -1).transpose(1, 0, 2), b.reshape(parts, -1, N), out=sums)
    program.call(sum_of_parts, sums, out=out)


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
