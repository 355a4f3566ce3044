"""Pooling as layers: a window of an image becomes one number. Windows of a given size; see also adaptive.py."""

from __future__ import annotations

from ..errors import ShapeError
from ..ops import (
    AvgPoolCache,
    MaxPoolCache,
    avg_pool_backward,
    avg_pool_forward,
    conv_geometry,
    max_pool_backward,
    max_pool_forward,
)
from ..ops.utils import pair, resolve_padding
from ..typing import Array, Padding, Pair
from .base import Shape, require_rank, require_switches
from .context import Context
from .plain import PlainLayer


class _WindowPool(PlainLayer):
    """What the pooling layers share: where their windows lie."""

    kernel_size: Pair
    stride: Pair | None
    padding: Padding
    dilation: Pair = 1
    ceil_mode: bool

    def halves(self) -> bool:
        """Whether the windows are 2x2, side by side, without padding: the usual pool."""
        name, stride = type(self).__name__, self.kernel_size if self.stride is None else self.stride
        numbers = [pair(name, "size", value, minimum=1) for value in (self.kernel_size, stride, self.dilation)]
        return numbers == [(2, 2), (2, 2), (1, 1)] and self.padding in (0, "valid") and not self.ceil_mode

    def _check(self) -> None:
        """Raise unless kernel, stride, dilation and padding are in range."""
        name = type(self).__name__
        require_switches(self, "ceil_mode")
        kernel = pair(name, "kernel_size", self.kernel_size, minimum=1)
        stride = kernel if self.stride is None else pair(name, "stride", self.stride, minimum=1)
        dilation = pair(name, "dilation", self.dilation, minimum=1)
        sides = resolve_padding(name, kernel, kernel, stride, self.padding, dilation)
        if self.padding != "same" and any(max(side) > size // 2 for side, size in zip(sides, kernel, strict=True)):
            raise ShapeError(
                f"{name}: padding must be at most half of the kernel, "
                f"got padding={self.padding!r} for kernel_size={self.kernel_size!r}"
            )

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, OH, OW)"""
        require_rank(self, input_shape, "C H W")
        C, H, W = input_shape
        geometry = conv_geometry(
            type(self).__name__,
            (H, W),
            self.kernel_size,
            self.kernel_size if self.stride is None else self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
        )
        return (C, *geometry.output)


class MaxPool2d(_WindowPool):
    """y[n,c,oh,ow] = the largest x[n,c] in window (oh, ow)

    Parameters
    ----------
    kernel_size : int or (KH, KW)
    stride : int or pair, optional
        The size of the kernel if not given.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns of -inf, at most half as many as the kernel has, as in PyTorch.
    dilation : int or pair
    ceil_mode : bool
        Let a last window hang over the edge.

    Raises
    ------
    ShapeError
        If a number is out of range, or the padding larger than half of the kernel.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((16, 7, 7)), MaxPool2d(2, ceil_mode=True).output_shape((16, 7, 7))
    ((16, 3, 3), (16, 4, 4))
    """

    op = (max_pool_forward, max_pool_backward)

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        dilation: Pair = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, ceil_mode
        self._check()

    def forward(self, x: Array, ctx: Context) -> tuple[Array, MaxPoolCache]:
        """See `cnn_from_scratch.ops.max_pool_forward`."""
        return max_pool_forward(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            train=ctx.train,
        )


class AvgPool2d(_WindowPool):
    """y[n,c,oh,ow] = the mean of x[n,c] over window (oh, ow)

    Parameters
    ----------
    kernel_size : int or (KH, KW)
    stride : int or pair, optional
        The size of the kernel if not given.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns of zeros, at most half as many as the kernel has, as in PyTorch.
    ceil_mode : bool
        Let a last window hang over the edge.
    count_include_pad : bool
        Whether the zeros count.

    Raises
    ------
    ShapeError
        If a number is out of range, or the padding larger than half of the kernel.

    Examples
    --------
    >>> AvgPool2d(3, stride=2, padding=1).output_shape((16, 8, 8))
    (16, 4, 4)
    """

    op = (avg_pool_forward, avg_pool_backward)

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        require_switches(self, "count_include_pad")
        self._check()

    def forward(self, x: Array, ctx: Context) -> tuple[Array, AvgPoolCache]:
        """See `cnn_from_scratch.ops.avg_pool_forward`."""
        return avg_pool_forward(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )
