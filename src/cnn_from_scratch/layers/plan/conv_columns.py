"""The first convolution of a plan: few channels, so that the images are the long runs.

With one to four channels, rows of C numbers are too short to copy. So the input lies as (C, H, W, n), and the patches
become columns with the kernel positions outside and the images inside ::

    cols[c, kh, kw, oh, ow, n] = x[c, oh + kh, ow + kw, n]        runs of OW*n numbers
    y[oh, ow, n, f] = cols^T @ weight                             (r*OW*n, C*KH*KW + 1) @ (C*KH*KW + 1, F)

The last row of `cols` is ones and the last row of the weights the bias, which so costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...typing import Array, Sides
from .convolution import Convolution
from .finish import finish_rows
from .memory import Buffer
from .products import matmul_by_rows
from .stage import Stage, Wiring, Writer

PIECE = 1 << 19
"""Bytes of the columns and results of one piece: half of a core's second-level cache."""


class ColumnsStage(Stage):
    """conv, pool, bias, ReLU for an input of few channels."""

    def __init__(self, wiring: Wiring, conv: Convolution) -> None:
        super().__init__(wiring)
        self.conv = conv
        weight = conv.weight.reshape(len(conv.weight), -1)
        self.weight = np.ascontiguousarray(np.column_stack([weight, conv.bias]).T)  # (C*KH*KW + 1, F)

    def border(self) -> Sides:
        """The padding."""
        return self.conv.geometry.padding

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """A few rows of the result after the other."""
        OW, (K, F) = self.conv.geometry.output[1], self.weight.shape
        x = xs[0].padded(self.conv.geometry.padding)
        k = 2 if self.conv.pool else 1
        for first, last in pieces(y.inside.shape[0], k * OW * program.n * (K + F) * program.dtype.itemsize, PIECE):
            r = k * (last - first)
            windows = self._windows(x[k * first * self.conv.geometry.stride[0] :], r)
            if first == 0:
                cols = program.zeros(K, r, *windows.shape[4:])
                cols[-1] = 1
            program.call(np.copyto, windows, out=cols[:-1, :r].reshape(windows.shape))
            rows = program.scratch("rows", r, OW, program.n, F)
            matmul_by_rows(program, cols[:, :r].reshape(K, -1).T, self.weight, rows.reshape(-1, F))
            finish_rows(program, rows, y.inside[first:last], bias=None, relu=self.conv.relu, pool=self.conv.pool)

    def _windows(self, x: Array, r: int) -> Array:
        """What each kernel position meets in `r` rows of the result: (C, KH, KW, r, OW, n), a view of x."""
        g, (row, column, image, channel) = self.conv.geometry, x.strides
        shape = (x.shape[3], *g.kernel, r, g.output[1], x.shape[2])
        (DH, DW), (SH, SW) = g.dilation, g.stride
        return as_strided(x, shape, (channel, DH * row, DW * column, SH * row, SW * column, image))


def pieces(count: int, size: int, limit: int) -> list[tuple[int, int]]:
    """Cut `count` rows of `size` bytes each into pieces of about `limit` bytes, the first the longest."""
    length = max(1, limit // size)
    length = -(-count // max(1, -(-count // length)))
    return [(first, min(first + length, count)) for first in range(0, count, length)]
