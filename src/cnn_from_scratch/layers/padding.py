"""Padding as layers: rows and columns around the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from ..errors import ShapeError
from ..ops import PadCache, pad_backward, pad_forward
from ..ops.padding import PadMode, four_sides
from ..typing import Array, Sides
from .base import Shape, require_rank
from .context import Context
from .plain import PlainLayer

Pads: TypeAlias = int | tuple[int, int] | tuple[int, int, int, int] | Sides
"""An int, (PH, PW), PyTorch's (left, right, top, bottom), or ((top, bottom), (left, right))."""


class ZeroPad2d(PlainLayer):
    """y[n,c,top+h,left+w] = x[n,c,h,w], and zeros around it

    Parameters
    ----------
    padding : int, (PH, PW), (left, right, top, bottom) or ((top, bottom), (left, right))
        How many rows and columns to add at each side; four numbers are in PyTorch's order.

    Raises
    ------
    ShapeError
        If padding is nothing of the kind.

    Examples
    --------
    >>> ZeroPad2d((1, 2, 0, 0)).output_shape((3, 8, 8))
    (3, 8, 11)
    """

    op = (pad_forward, pad_backward)
    mode: ClassVar[PadMode] = "constant"

    def __init__(self, padding: Pads) -> None:
        super().__init__()
        self.padding = padding
        self._sides()

    def _sides(self) -> Sides:
        padding = self.padding
        if isinstance(padding, Sequence) and len(padding) == 4:
            left, right, top, bottom = padding
            padding = ((top, bottom), (left, right))
        return four_sides(type(self).__name__, "padding", padding)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, PadCache]:
        """See `cnn_from_scratch.ops.pad_forward`."""
        return pad_forward(x, self._sides(), mode=self.mode)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, top + H + bottom, left + W + right)"""
        require_rank(self, input_shape, "C H W")
        C, H, W = input_shape
        (top, bottom), (left, right) = self._sides()
        least_height, least_width = self._least_size()
        if least_height > H or least_width > W:
            raise ShapeError(
                f"{type(self).__name__}: padding={self.padding!r} needs images of at least "
                f"{least_height} x {least_width}, got {input_shape}"
            )
        return C, top + H + bottom, left + W + right

    def _least_size(self) -> tuple[int, int]:
        """How many rows and columns there must be to copy from."""
        return 0, 0


class ReflectionPad2d(ZeroPad2d):
    """y[n,c,top+h,left+w] = x[n,c,h,w], and around it the mirror image; the outermost pixels are the mirror

    Parameters
    ----------
    padding : int, (PH, PW), (left, right, top, bottom) or ((top, bottom), (left, right))
        Smaller than the image.

    Raises
    ------
    ShapeError
        If padding is nothing of the kind.

    Examples
    --------
    >>> import numpy as np
    >>> ReflectionPad2d((0, 2, 0, 0)).predict(np.array([[[[1.0, 2.0, 3.0]]]], np.float32)).ravel()
    array([1., 2., 3., 2., 1.], dtype=float32)
    """

    mode = "reflect"

    def _least_size(self) -> tuple[int, int]:
        rows, columns = self._sides()
        return max(rows) + 1, max(columns) + 1


class ReplicationPad2d(ZeroPad2d):
    """y[n,c,top+h,left+w] = x[n,c,h,w], and around it the outermost pixels again and again

    Parameters
    ----------
    padding : int, (PH, PW), (left, right, top, bottom) or ((top, bottom), (left, right))

    Raises
    ------
    ShapeError
        If padding is nothing of the kind.

    Examples
    --------
    >>> import numpy as np
    >>> ReplicationPad2d((0, 2, 0, 0)).predict(np.array([[[[1.0, 2.0, 3.0]]]], np.float32)).ravel()
    array([1., 2., 3., 3., 3.], dtype=float32)
    """

    mode = "replicate"

    def _least_size(self) -> tuple[int, int]:
        return 1, 1
