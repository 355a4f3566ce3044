"""A convolution with all that was folded into it, and which way it is computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...ops.utils import ConvGeometry
from ...typing import Array


class Convolution(NamedTuple):
    """relu(pool(conv(x, weight) + bias)): a convolution, the batch norm behind it folded in, and what comes after."""

    weight: Array  # (F, C/G, KH, KW)
    bias: Array  # (F,)
    geometry: ConvGeometry
    groups: int
    relu: bool = False
    pool: bool = False  # 2 x 2, stride 2

    def scaled(self, scale: Array, offset: Array) -> Convolution:
        """The same followed by y * scale + offset, one number for each filter, computed in float64."""
        weight = (self.weight * scale.astype(np.float64)[:, None, None, None]).astype(self.weight.dtype)
        bias = (self.bias * scale.astype(np.float64) + offset).astype(self.bias.dtype)
        return self._replace(weight=weight, bias=bias)

    def positions(self, r: int, row: int, column: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shape and strides of where the kernel stands for `r` rows of the result, given the strides of the image.

        (r, OW) as a rule; (2, 2, r, OW/2) before a pool, so that the four numbers of a window lie far apart and the
        largest of them is found in long runs.
        """
        (SH, SW), OW = self.geometry.stride, self.geometry.output[1]
        row, column = SH * row, SW * column
        if self.pool:
            return (2, 2, r, OW // 2), (row, column, 2 * row, 2 * column)
        return (r, OW), (row, column)


def is_winograd(conv: Convolution, dtype: np.dtype[Any]) -> bool:
    """3x3, stride 1, and enough channels that multiplications saved outweigh the transforms; float32 only."""
    F, C = conv.weight.shape[:2]
    one = conv.geometry.stride == (1, 1) and conv.geometry.dilation == (1, 1) and conv.groups == 1
    return one and conv.geometry.kernel == (3, 3) and dtype == np.float32 and min(F, C) >= 16
