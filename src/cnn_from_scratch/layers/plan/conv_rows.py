"""Any convolution of a plan: patches become rows, as in ops/conv_rows.py, and a 1x1 convolution needs no patches.

    patches[oh, ow, n, kh, kw, c] = x[oh*SH + kh*DH, ow*SW + kw*DW, n, c]      one copy of an overlapping strided view
    y = patches @ weight                                                       (r*OW*n, KH*KW*C) @ (KH*KW*C, F)

With groups, the rows of each group lie together and the product is a batch of G.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...typing import Array, Sides
from .conv_columns import pieces
from .convolution import Convolution
from .finish import finish
from .memory import Buffer
from .products import matmul_by_rows
from .stage import Stage, Wiring, Writer

PIECE = 1 << 20
"""Bytes of the rows of one piece."""


class RowsStage(Stage):
    """conv, pool, bias, ReLU for any kernel, stride, dilation and groups."""

    def __init__(self, wiring: Wiring, conv: Convolution) -> None:
        super().__init__(wiring)
        self.conv = conv
        F, CG, KH, KW = conv.weight.shape
        by_group = conv.weight.reshape(conv.groups, F // conv.groups, CG, KH, KW).transpose(0, 3, 4, 2, 1)
        self.weight = np.ascontiguousarray(by_group).reshape(conv.groups, KH * KW * CG, F // conv.groups)

    def border(self) -> Sides:
        """The padding."""
        return self.conv.geometry.padding

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """A few rows of the result after the other."""
        (rows, OW, n, F), (G, K, FG) = y.inside.shape, self.weight.shape
        k = 4 if self.conv.pool else 1
        for first, last in pieces(rows, k * OW * n * G * (K + FG) * program.dtype.itemsize, PIECE):
            patches = self._patches(program, xs[0], first, last)
            products = program.scratch("products", k * (last - first) * OW * n, F)
            if G == 1:
                matmul_by_rows(program, patches.reshape(-1, K), self.weight[0], products)
            else:
                by_group = products.reshape(-1, G, FG).transpose(1, 0, 2)
                program.call(np.matmul, patches.reshape(G, -1, K), self.weight, out=by_group)
            out = y.inside[first:last]
            finish(program, products, out, bias=self.conv.bias, relu=self.conv.relu, pool=self.conv.pool)

    def _patches(self, program: Writer, x: Buffer, first: int, last: int) -> Array:
        """The patches of rows `first` to `last` of the result: (G, ..., n, KH, KW, C/G); a view if they are pixels."""
        g, G = self.conv.geometry, self.conv.groups
        padded = x.padded(g.padding)[first * g.stride[0] * (2 if self.conv.pool else 1) :]
        row, column, image, one = padded.strides
        n, CG = padded.shape[2], padded.shape[3] // G
        shape, strides = self.conv.positions(last - first, row, column)
        group = (CG * one, *strides, image)
        kernel = (g.dilation[0] * row, g.dilation[1] * column, one)
        windows = as_strided(padded, (G, *shape, n, *g.kernel, CG), (*group, *kernel))
        if windows.flags.c_contiguous:
            return windows
        return program.call(np.copyto, windows, out=program.scratch("patches", *windows.shape))
