"""Pooling as layers: a window of an image becomes one number."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..ops import MaxPoolCache, conv_geometry, max_pool_backward, max_pool_forward
from ..ops.utils import pair, resolve_padding
from ..typing import Array, Padding, Pair
from .base import Grads, Layer, Shape, require_rank
from .context import Context


class MaxPool2d(Layer):
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

    Examples
    --------
    >>> MaxPool2d(2).output_shape((16, 7, 7)), MaxPool2d(2, ceil_mode=True).output_shape((16, 7, 7))
    ((16, 3, 3), (16, 4, 4))
    """

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
        _check_window(self, dilation)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, MaxPoolCache]:
        """See `cnn_from_scratch.ops.max_pool_forward`."""
        return max_pool_forward(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )

    def backward(self, dy: Array, cache: MaxPoolCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.max_pool_backward`."""
        return (max_pool_backward(dy, cache) if need_dx else None), {}

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, OH, OW)"""
        return _window_output(self, input_shape, self.dilation)


def _check_window(layer: Any, dilation: Pair = 1) -> None:
    """Raise unless kernel, stride, dilation and padding are in range: PyTorch's rule is padding <= kernel / 2."""
    name = type(layer).__name__
    kernel = pair(name, "kernel_size", layer.kernel_size, minimum=1)
    spread = pair(name, "dilation", dilation, minimum=1)
    stride = kernel if layer.stride is None else pair(name, "stride", layer.stride, minimum=1)
    sides = resolve_padding(name, kernel, kernel, stride, layer.padding, spread)
    if layer.padding != "same" and any(max(side) > size // 2 for side, size in zip(sides, kernel, strict=True)):
        raise ShapeError(
            f"{name}: padding must be at most half of the kernel, "
            f"got padding={layer.padding!r} for kernel_size={layer.kernel_size!r}"
        )


def _window_output(layer: Any, input_shape: Shape, dilation: Pair = 1) -> Shape:
    require_rank(layer, input_shape, "C H W")
    C, H, W = input_shape
    stride = layer.kernel_size if layer.stride is None else layer.stride
    geometry = conv_geometry(
        type(layer).__name__,
        (H, W),
        layer.kernel_size,
        stride,
        layer.padding,
        dilation,
        ceil_mode=layer.ceil_mode,
    )
    return (C, *geometry.output)
