"""Any convolution of a plan: patches become rows, as in ops/conv_rows.py, and a 1x1 convolution needs no patches.

    rows[oh, ow, n, kh, kw, c] = x[oh*SH + kh*DH, ow*SW + kw*DW, n, c]      one copy of an overlapping strided view
    y = rows @ weight                                                       (r*OW*n, KH*KW*C) @ (KH*KW*C, F)

With groups, the rows of each group lie together and the product is a batch of G.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...typing import Array, Sides
from .conv_columns import pieces
from .convolution import Convolution
from .finish import finish_rows
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
        g, k = self.conv.geometry, 2 if self.conv.pool else 1
        OW, F, (G, K, FG) = g.output[1], len(self.conv.weight), self.weight.shape
        x = xs[0].padded(g.padding)
        for first, last in pieces(len(y.inside), k * OW * program.n * G * (K + FG) * program.dtype.itemsize, PIECE):
            r = k * (last - first)
            rows = self._rows(program, x[k * first * g.stride[0] :], r)
            out = program.scratch("out", r, OW, program.n, F)
            if G == 1:
                matmul_by_rows(program, rows.reshape(-1, K), self.weight[0], out.reshape(-1, F))
            else:
                by_group = out.reshape(-1, G, FG).transpose(1, 0, 2)
                program.call(np.matmul, rows.reshape(G, -1, K), self.weight, out=by_group)
            finish_rows(
                program, out, y.inside[first:last], bias=self.conv.bias, relu=self.conv.relu, pool=self.conv.pool
            )

    def _rows(self, program: Writer, x: Array, r: int) -> Array:
        """The patches of `r` rows of the result: (G, r, OW, n, KH, KW, C/G)"""
        g, G = self.conv.geometry, self.conv.groups
        (KH, KW), (SH, SW), (DH, DW), OW = g.kernel, g.stride, g.dilation, g.output[1]
        if (KH, KW, SH, SW, G) == (1, 1, 1, 1, 1) and x.shape[1] == OW and x.flags.c_contiguous:
            return x[:r]
        row, column, image, one = x.strides
        CG = x.shape[3] // G
        windows = as_strided(
            x,
            (G, r, OW, x.shape[2], KH, KW, CG),
            (CG * one, SH * row, SW * column, image, DH * row, DW * column, one),
        )
        return program.call(np.copyto, windows, out=program.scratch("rows", *windows.shape))
