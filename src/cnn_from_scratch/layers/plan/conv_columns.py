"""The first convolution of a plan: few channels, so that the images are the long runs.

With one to four channels, rows of C numbers are too short to copy. So the input lies as (C, H, W, n), and the patches
become columns with the kernel positions outside and the images inside ::

    cols[c, kh, kw, oh, ow, n] = x[c, oh + kh, ow + kw, n]        runs of OW*n numbers
    y[oh, ow, n, f] = cols^T @ weight                             (r*OW*n, C*KH*KW + 1) @ (C*KH*KW + 1, F)

The last row of `cols` is ones and the last row of the weights the bias, which so costs nothing. Before a pool, the
positions stand in the order of `Convolution.positions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...typing import Array, Sides
from .convolution import Convolution
from .finish import finish
from .memory import Buffer
from .products import matmul_by_rows
from .stage import Stage, Wiring, Writer

PIECE = 1 << 21
"""Bytes of the columns and results of one piece: less would be closer to the core, but in more and shorter calls."""


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
        (rows, OW, n, F), K = y.inside.shape, len(self.weight)
        k = 4 if self.conv.pool else 1
        parts = pieces(rows, k * OW * n * (K + F) * program.dtype.itemsize, PIECE)
        cols = program.zeros(K, k * parts[0][1] * OW * n)
        cols[-1] = 1
        for first, last in parts:
            count = k * (last - first) * OW * n
            windows = self._windows(xs[0], first, last)
            program.call(np.copyto, windows, out=cols[:-1, :count].reshape(windows.shape))
            products = program.scratch("products", count, F)
            matmul_by_rows(program, cols[:, :count].T, self.weight, products)
            out = y.inside[first:last]
            finish(program, products, out, bias=None, relu=self.conv.relu, pool=self.conv.pool)

    def _windows(self, x: Buffer, first: int, last: int) -> Array:
        """What each kernel position meets in rows `first` to `last` of the result: (C, KH, KW, ..., n), a view."""
        g, padded = self.conv.geometry, x.padded(self.conv.geometry.padding)
        padded = padded[first * g.stride[0] * (2 if self.conv.pool else 1) :]
        row, column, image, channel = padded.strides
        shape, strides = self.conv.positions(last - first, row, column)
        kernel = (channel, g.dilation[0] * row, g.dilation[1] * column)
        return as_strided(padded, (padded.shape[3], *g.kernel, *shape, padded.shape[2]), (*kernel, *strides, image))


def pieces(count: int, size: int, limit: int) -> list[tuple[int, int]]:
    """Cut `count` rows of `size` bytes each into pieces of about `limit` bytes, the first the longest."""
    length = max(1, limit // size)
    length = -(-count // max(1, -(-count // length)))
    return [(first, min(first + length, count)) for first in range(0, count, length)]
