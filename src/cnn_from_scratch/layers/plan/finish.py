"""What follows a convolution: pool, bias, ReLU, on a few rows at a time while they are in the cache.

Adding a constant and max(., 0) keep the order of numbers, so the largest of a window can be taken before them ::

    max(relu(a + bias), relu(b + bias)) = relu(max(a, b) + bias)

and bias and ReLU then touch a quarter of the numbers.
"""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .stage import Writer


def finish_rows(program: Writer, rows: Array, out: Array, *, bias: Array | None, relu: bool, pool: bool) -> None:
    """Append out = relu(pool(rows) + bias): rows (r, W, n, F), bias (F,), out (r/2, W/2, n, F) with a 2x2 pool."""
    if pool:
        rows = pool_rows(program, rows, len(out), out.shape[1])
    if bias is not None:
        program.call(np.add, rows, program.repeated(bias, rows.shape), out=out)
        rows = out
    program.rectify(rows, out, relu)


def pool_rows(program: Writer, rows: Array, PH: int, PW: int) -> Array:
    """The largest of each 2x2 window: first of two rows, in long runs, then of two columns. (PH, PW, n, F)"""
    _, W, n, F = rows.shape
    taller = program.call(
        np.maximum, rows[0 : 2 * PH : 2], rows[1 : 2 * PH : 2], out=program.scratch("pool", PH, W, n, F)
    )
    return program.call(
        np.maximum, taller[:, 0 : 2 * PW : 2], taller[:, 1 : 2 * PW : 2], out=program.scratch("pooled", PH, PW, n, F)
    )
