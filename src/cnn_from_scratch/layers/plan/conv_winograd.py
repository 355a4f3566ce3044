"""A 3x3 convolution of a plan by Winograd's transforms.

A tile of m x m outputs, m = 4 or 2, reads (m+2) x (m+2) inputs; see ops/winograd.py for the matrices. For a few rows of
tiles at a time ::

    rows      T = B^T @ x           (P, r, W', n*C)      P = m + 2 rows of the padded image, overlapping views
    columns   V = B^T @ T           (P, P, r, TW, n*C)   P columns, overlapping views
    products  M = V @ U             (P*P, r*TW*n, F)     U: the filters, transformed when the plan is made
    bias      M[1, 1] += bias                            see below
    rows      S = A^T @ M           (m, P, r*TW*n*F)
    columns   Y = A^T @ S           (m, m, r*TW*n*F)
    pool      largest of 2 x 2, which lie in one tile    (m/2, m/2, r*TW*n*F)
    ReLU      max(Y, 0), and a copy from tile order into the rows of the result

Two things come cheap here. The first column of A is (1, 0, ..., 0) and the second (1, 1, ..., 1), so a constant
added to M[1, 1] arrives once at every output: for m = 4 the bias costs a sixteenth of what it costs there. And a
2x2 pool never crosses a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ops.winograd import transform_filters, transforms
from ...typing import Array, Sides
from .convolution import Convolution
from .memory import Buffer
from .products import matmul_by_rows, matmul_long
from .stage import Stage, Wiring, Writer

CHUNK = 2_400_000
"""Bytes of V and M together: twice a core's second-level cache; the length of the calls counts, too."""


class WinogradStage(Stage):
    """conv, pool, bias, ReLU in tiles."""

    def __init__(self, wiring: Wiring, conv: Convolution) -> None:
        super().__init__(wiring)
        self.conv = conv
        self.tile = best_tile(*conv.geometry.output)
        OH, OW = conv.geometry.output
        self.TH, self.TW = -(-OH // self.tile), -(-OW // self.tile)  # tiles
        self.U = transform_filters(np.ascontiguousarray(conv.weight), self.tile).copy()

    def border(self) -> Sides:
        """The padding, and at the bottom and right what the last tiles reach over."""
        (H, W), ((top, _), (left, _)) = self.conv.geometry.input, self.conv.geometry.padding
        m = self.tile
        return (top, self.TH * m + 2 - H - top), (left, self.TW * m + 2 - W - left)

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """A few rows of tiles after the other."""
        F, C = self.conv.weight.shape[:2]
        P = self.tile + 2
        one = P * P * self.TW * program.n * (C + F) * program.dtype.itemsize
        pieces = -(-self.TH // max(1, CHUNK // one))
        cuts = [self.TH * i // pieces for i in range(pieces + 1)]
        for first, last in pairwise(cuts):
            V = self._inputs(program, xs[0].padded(self.conv.geometry.padding)[first * self.tile :], last - first)
            Y = self._outputs(program, self._products(program, V), last - first)
            k = Y.shape[0]
            self._place(program, Y, y.inside[first * k : last * k])

    def _inputs(self, program: Writer, x: Array, r: int) -> Array:
        """V (P*P, r*TW*n, C) of `r` rows of tiles, the first at the top of x (.., .., n, C)."""
        t, n, C = transforms(self.tile, program.dtype), program.n, x.shape[3]
        m, P, TW = self.tile, self.tile + 2, self.TW
        row, one = x.strides[0], program.dtype.itemsize
        V = program.scratch("V", P * P, r * TW * n, C)
        width = (TW * m + 2) * n * C
        T = program.scratch("T", P, r, width)
        lines = as_strided(x, (r, P, width), (m * row, row, one))
        matmul_long(program, t.BT, lines, T.transpose(1, 0, 2))
        tile_columns = as_strided(
            T, (P, r, TW, P, n * C), (r * width * one, width * one, m * n * C * one, n * C * one, one)
        )
        program.call(np.matmul, t.BT, tile_columns, out=V.reshape(P, P, r, TW, n * C).transpose(0, 2, 3, 1, 4))
        return V

    def _products(self, program: Writer, V: Array) -> Array:
        """M = V @ U + bias at place (1, 1): (P*P, r*TW*n, F)"""
        places, count, _ = V.shape
        F = self.U.shape[2]
        M = program.scratch("M", places, count, F)
        matmul_by_rows(program, V, self.U, M)
        middle = M[self.tile + 3].reshape(-1, program.n, F)
        if self.conv.bias.any():
            program.call(np.add, middle, program.repeated(self.conv.bias, middle.shape), out=middle)
        return M

    def _outputs(self, program: Writer, M: Array, r: int) -> Array:
        """Y (k, k, r, TW, n, F): k = m outputs of each tile, or m/2 after a pool."""
        t, m, P = transforms(self.tile, program.dtype), self.tile, self.tile + 2
        _, count, F = M.shape
        S = program.scratch("T", m, P, count * F)
        matmul_long(program, t.AT, M.reshape(P, P, count * F).transpose(1, 0, 2), S.transpose(1, 0, 2))
        Y = program.scratch("V", m, m, count * F)
        matmul_long(program, t.AT, S, Y)
        if self.conv.pool:
            k = m // 2
            taller = program.call(np.maximum, Y[0::2], Y[1::2], out=program.scratch("pool", k, m, count * F))
            Y = program.call(
                np.maximum, taller[:, 0::2], taller[:, 1::2], out=program.scratch("pooled", k, k, count * F)
            )
        return Y.reshape(len(Y), len(Y), r, self.TW, program.n, F)

    def _place(self, program: Writer, Y: Array, out: Array) -> None:
        """ReLU, and from tile order into `out` (rows, columns, n, F), the tiles at its edges cut."""
        if self.conv.relu:
            program.rectify(Y, Y)
        for part, place in tiles_and_places(Y, out):
            program.call(np.copyto, part, out=place)


def best_tile(OH: int, OW: int) -> int:
    """4 or 2: the tile that multiplies less; the smaller one, which rounds less, where both are equal.

    Examples
    --------
    >>> best_tile(14, 14), best_tile(6, 6), best_tile(2, 2)
    (4, 2, 2)
    """
    work = {m: -(-OH // m) * -(-OW // m) * (m + 2) ** 2 for m in (2, 4)}
    return 4 if work[4] < work[2] else 2


def tiles_and_places(Y: Array, out: Array) -> Iterator[tuple[Array, Array]]:
    """Pairs of views of Y (k, k, TH, TW, n, F) and of out (H, W, n, F) that belong together: the whole tiles, and what
    is left of the tiles that reach over the right and the lower edge.
    """
    k, n, F = Y.shape[0], *Y.shape[4:]
    H, W = out.shape[:2]
    by_tile = Y.transpose(2, 0, 3, 1, 4, 5)  # (TH, k, TW, k, n, F)
    for rows, i in ((H // k, k), (1, H % k)):
        top = 0 if i == k else H - i
        first_row = 0 if i == k else H // k
        for columns, j in ((W // k, k), (1, W % k)):
            left = 0 if j == k else W - j
            first_column = 0 if j == k else W // k
            if rows * i and columns * j:
                place = out[top : top + rows * i, left : left + columns * j]
                tiles = by_tile[first_row : first_row + rows, :i, first_column : first_column + columns, :j]
                yield tiles, place.reshape(rows, i, columns, j, n, F)
