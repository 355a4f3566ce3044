"""Pooling to a given size, as layers: the whole image is one window, or as many as the output has numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..errors import ShapeError
from ..ops import (
    AdaptiveAvgPoolCache,
    AdaptiveMaxPoolCache,
    adaptive_avg_pool_backward,
    adaptive_avg_pool_forward,
    adaptive_max_pool_backward,
    adaptive_max_pool_forward,
    global_avg_pool_backward,
    global_avg_pool_forward,
    global_max_pool_backward,
    global_max_pool_forward,
)
from ..ops.adaptive_pooling import OutputSize
from ..typing import Array
from .base import Shape, require_rank
from .context import Context
from .plain import ForwardBackward, PlainLayer


class AdaptiveAvgPool2d(PlainLayer):
    """y[n,c,oh,ow] = the mean of x[n,c] over cell (oh, ow) of OH*OW cells of nearly equal size

    Parameters
    ----------
    output_size : int, None or a pair of them
        (OH, OW); None is as many as the input has.

    Raises
    ------
    ShapeError
        If output_size is nothing of the kind.

    Examples
    --------
    >>> AdaptiveAvgPool2d((2, None)).output_shape((16, 7, 5))
    (16, 2, 5)
    """

    op: ClassVar[ForwardBackward] = (adaptive_avg_pool_forward, adaptive_avg_pool_backward)

    def __init__(self, output_size: OutputSize) -> None:
        super().__init__()
        self.output_size = output_size
        sizes = self._sizes()
        if len(sizes) != 2 or any(
            isinstance(n, bool) or not (n is None or (isinstance(n, int) and n >= 1)) for n in sizes
        ):
            raise ShapeError(
                f"{type(self).__name__}: output_size must be an int >= 1, None or a pair of them, got {output_size!r}"
            )

    def _sizes(self) -> Sequence[int | None]:
        size = self.output_size
        return size if isinstance(size, Sequence) else (size, size)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, AdaptiveAvgPoolCache | AdaptiveMaxPoolCache]:
        """The first of `op`."""
        forward, _ = self.op
        return forward(x, self.output_size)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, OH, OW)"""
        C, H, W = _image(self, input_shape)
        OH, OW = self._sizes()
        return C, H if OH is None else OH, W if OW is None else OW


class AdaptiveMaxPool2d(AdaptiveAvgPool2d):
    """y[n,c,oh,ow] = the largest x[n,c] in cell (oh, ow) of OH*OW cells of nearly equal size

    Parameters
    ----------
    output_size : int, None or a pair of them
        (OH, OW); None is as many as the input has.

    Raises
    ------
    ShapeError
        If output_size is nothing of the kind.

    Examples
    --------
    >>> AdaptiveMaxPool2d(1).output_shape((16, 7, 5))
    (16, 1, 1)
    """

    op = (adaptive_max_pool_forward, adaptive_max_pool_backward)


class GlobalAvgPool2d(PlainLayer):
    """y[n,c,0,0] = the mean of x[n,c]

    Examples
    --------
    >>> GlobalAvgPool2d().output_shape((16, 7, 5))
    (16, 1, 1)
    """

    op: ClassVar[ForwardBackward] = (global_avg_pool_forward, global_avg_pool_backward)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, 1, 1)"""
        C, H, W = _image(self, input_shape)
        return C, 1, 1


class GlobalMaxPool2d(GlobalAvgPool2d):
    """y[n,c,0,0] = the largest x[n,c]

    Examples
    --------
    >>> GlobalMaxPool2d().output_shape((16, 7, 5))
    (16, 1, 1)
    """

    op = (global_max_pool_forward, global_max_pool_backward)


def _image(layer: PlainLayer, input_shape: Shape) -> tuple[int, int, int]:
    require_rank(layer, input_shape, "C H W")
    C, H, W = input_shape
    if H < 1 or W < 1:
        raise ShapeError(f"{type(layer).__name__}: an example must have at least one pixel, got {input_shape}")
    return C, H, W
