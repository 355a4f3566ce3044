"""Convolution as a layer: filters and bias, and how they slide."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..ops import ConvCache, conv_backward, conv_forward, conv_geometry
from ..ops.conv_forward import ALGORITHMS, Algorithm
from ..ops.utils import pair, resolve_padding
from ..randomness import as_generator
from ..typing import Array, Padding, Pair
from .base import Grads, Layer, Shape, require_counts, require_memory, require_rank, require_switches, weight_and_bias
from .context import Context
from .initializers import Initializer, initialize


class Conv2d(Layer):
    """y[n,f] = bias[f] + sum over the channels c of its group of x[n,c] cross-correlated with weight[f,c]

    Parameters
    ----------
    in_channels, out_channels : int
        C and F.
    kernel_size : int or (KH, KW)
    stride, dilation : int or pair
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
    groups : int
        Must divide in_channels and out_channels; groups = in_channels is the depthwise convolution.
    bias : bool
    weight_init : str
        "pytorch", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform",
        "orthogonal" or "dirac".
    algorithm : str
        How `conv_forward` computes, and how exactly: see the table there. "auto" picks the fastest way for the shapes
        and the dtype. A way that cannot compute what it meets ("winograd4" with a stride) is a ValueError then.
    rng : int, Generator or None
        Where the first values come from; None for fresh entropy.

    Raises
    ------
    ShapeError
        If a number is out of range, or groups do not divide the channels.
    ValueError
        If algorithm or weight_init is not among those named.
    TypeError
        If bias is neither True nor False.
    LimitError
        If there is not so much memory.

    Examples
    --------
    >>> layer = Conv2d(3, 8, 3, padding=1, rng=0)
    >>> layer
    Conv2d(3, 8, 3, padding=1)
    >>> {key: value.shape for key, value in layer.params.items()}
    {'weight': (8, 3, 3, 3), 'bias': (8,)}
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        weight_init: Initializer = "pytorch",
        algorithm: Algorithm = "auto",
        rng: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.bias, self.weight_init, self.algorithm = bias, weight_init, algorithm
        KH, KW = self._check()
        require_memory(self, (out_channels, in_channels // groups, KH, KW))
        self.params = {"weight": np.empty((out_channels, in_channels // groups, KH, KW), np.float32)}
        if bias:
            self.params["bias"] = np.empty(out_channels, np.float32)
        self.reset_parameters(as_generator(rng, "Conv2d"))

    def _check(self) -> tuple[int, int]:
        require_counts(self, "in_channels", "out_channels", "groups")
        require_switches(self, "bias")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"Conv2d: groups={self.groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )
        if not isinstance(self.algorithm, str) or self.algorithm not in ALGORITHMS:
            raise ValueError(f"Conv2d: algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        kernel = pair("Conv2d", "kernel_size", self.kernel_size, minimum=1)
        stride = pair("Conv2d", "stride", self.stride, minimum=1)
        dilation = pair("Conv2d", "dilation", self.dilation, minimum=1)
        resolve_padding("Conv2d", kernel, kernel, stride, self.padding, dilation)
        return kernel

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew, in place, as `weight_init` says."""
        initialize("Conv2d", self.weight_init, self.params["weight"], self.params.get("bias"), rng, self.groups)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ConvCache]:
        """See `cnn_from_scratch.ops.conv_forward`."""
        return self.convolve(x, self.params.get("bias"))

    def convolve(self, x: Array, bias: Array | None) -> tuple[Array, ConvCache]:
        """The convolution of this layer, with another bias or with none."""
        return conv_forward(
            x,
            self.params["weight"],
            bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            algorithm=self.algorithm,
        )

    def backward(self, dy: Array, cache: ConvCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.conv_backward`."""
        dx, dweight, dbias = conv_backward(dy, cache, need_dx=need_dx)
        return dx, weight_and_bias(dweight, dbias)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (F, OH, OW)"""
        require_rank(self, input_shape, "C H W")
        C, H, W = input_shape
        if self.in_channels != C:
            raise ShapeError(f"Conv2d: expects {self.in_channels} channels, got {C}")
        geometry = conv_geometry("Conv2d", (H, W), self.kernel_size, self.stride, self.padding, self.dilation)
        return (self.out_channels, *geometry.output)

    def multiply_adds(self, input_shape: Shape) -> int:
        """F * OH * OW * C/G * KH * KW"""
        KH, KW = pair("Conv2d", "kernel_size", self.kernel_size, minimum=1)
        return math.prod(self.output_shape(input_shape)) * (self.in_channels // self.groups) * KH * KW
