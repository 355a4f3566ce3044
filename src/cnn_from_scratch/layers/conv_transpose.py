"""Transposed convolution as a layer: the way back from the output size of a convolution to its input size."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..ops import ConvTransposeCache, conv_transpose_backward, conv_transpose_forward
from ..ops.padding import four_sides
from ..ops.utils import pair
from ..randomness import as_generator
from ..typing import Array, Pair, Sides
from .base import Grads, Layer, Shape, require_counts, require_memory, require_rank, require_switches, weight_and_bias
from .context import Context
from .initializers import Initializer, initialize


class ConvTranspose2d(Layer):
    """y[n,f,oh,ow] = bias[f] + sum of x[n,c,h,w] * weight[c,f,kh,kw] over h*SH + kh*DH - PH = oh, likewise ow

    Parameters
    ----------
    in_channels, out_channels : int
        C and F.
    kernel_size : int or (KH, KW)
    stride, dilation : int or pair
    padding : int, (PH, PW) or ((top, bottom), (left, right))
        Rows and columns cut off from the result.
    output_padding : int or pair
        Rows and columns added at the bottom and right; smaller than the stride or the dilation.
    groups : int
        Must divide in_channels and out_channels.
    bias : bool
    weight_init : str
        See `Conv2d`.
    rng : int, Generator or None
        Where the first values come from; None for fresh entropy.

    Raises
    ------
    ShapeError
        If a number is out of range, or groups do not divide the channels.
    ValueError
        If weight_init is not among those named.

    Examples
    --------
    >>> ConvTranspose2d(16, 8, 2, stride=2).output_shape((16, 7, 7))
    (8, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: int | tuple[int, int] | Sides = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        weight_init: Initializer = "pytorch",
        rng: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.bias, self.dilation, self.weight_init = groups, bias, dilation, weight_init
        KH, KW = self._check()
        require_memory(self, (in_channels, out_channels // groups, KH, KW))
        self.params = {"weight": np.empty((in_channels, out_channels // groups, KH, KW), np.float32)}
        if bias:
            self.params["bias"] = np.empty(out_channels, np.float32)
        self.reset_parameters(as_generator(rng, "ConvTranspose2d"))

    def _check(self) -> tuple[int, int]:
        require_counts(self, "in_channels", "out_channels", "groups")
        require_switches(self, "bias")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"ConvTranspose2d: groups={self.groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )
        kernel, stride, dilation, extra, _ = self._geometry()
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ShapeError(
                f"ConvTranspose2d: output_padding must be smaller than stride or dilation, got "
                f"output_padding={self.output_padding!r} for stride={self.stride!r}, dilation={self.dilation!r}"
            )
        return kernel

    def _geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int], Sides]:
        name = "ConvTranspose2d"
        return (
            pair(name, "kernel_size", self.kernel_size, minimum=1),
            pair(name, "stride", self.stride, minimum=1),
            pair(name, "dilation", self.dilation, minimum=1),
            pair(name, "output_padding", self.output_padding, minimum=0),
            four_sides(name, "padding", self.padding),
        )

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew, in place, as `weight_init` says."""
        initialize(
            "ConvTranspose2d", self.weight_init, self.params["weight"], self.params.get("bias"), rng, self.groups
        )

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ConvTransposeCache]:
        """See `cnn_from_scratch.ops.conv_transpose_forward`."""
        return conv_transpose_forward(
            x,
            self.params["weight"],
            self.params.get("bias"),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def backward(self, dy: Array, cache: ConvTransposeCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.conv_transpose_backward`."""
        dx, dweight, dbias = conv_transpose_backward(dy, cache, need_dx=need_dx)
        return dx, weight_and_bias(dweight, dbias)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (F, OH, OW) with OH = (H - 1)*SH + DH*(KH - 1) + 1 + output_padding - top - bottom"""
        require_rank(self, input_shape, "C H W")
        if input_shape[0] != self.in_channels:
            raise ShapeError(f"ConvTranspose2d: expects {self.in_channels} channels, got {input_shape[0]}")
        output = [self.out_channels]
        for size, kernel, stride, dilation, extra, (before, after) in zip(
            input_shape[1:], *self._geometry(), strict=True
        ):
            full = (size - 1) * stride + dilation * (kernel - 1) + 1
            if size < 1 or full - before - max(after - extra, 0) < 1:
                raise ShapeError(f"ConvTranspose2d: padding={self.padding!r} leaves nothing of {input_shape}")
            output.append(full - before - after + extra)
        return tuple(output)

    def multiply_adds(self, input_shape: Shape) -> int:
        """C * H * W * F/G * KH * KW"""
        self.output_shape(input_shape)
        return math.prod(input_shape) * math.prod(self.params["weight"].shape[1:])
