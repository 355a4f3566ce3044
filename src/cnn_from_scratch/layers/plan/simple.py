"""The stages that are one or two calls: linear, affine, ReLU, sum, concatenation, pools, flatten, and any own layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import reduce

import numpy as np

from ...ops.utils import HWNC, ConvGeometry
from ...typing import Array
from ..base import Layer, Shape
from .calls import forward_of, sum_of_pixels
from .memory import Buffer
from .products import matmul_of_few_rows
from .stage import Stage, Wiring, Writer


class LinearStage(Stage):
    """y = relu(x @ weight^T + bias): weight (F, K), bias (F,)"""

    def __init__(self, wiring: Wiring, weight: Array, bias: Array, relu: bool = False) -> None:
        super().__init__(wiring)
        self.weight, self.bias, self.relu = weight, bias, relu

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """For one example a matrix times a vector, row by row; else weights that lie as (K, F)."""
        x, out = xs[0].inside, y.inside
        if program.n == 1:
            program.call(np.matmul, np.ascontiguousarray(self.weight), x[0], out=out[0])
        else:
            matmul_of_few_rows(program, x, np.ascontiguousarray(self.weight.T), out)
        if self.bias.any():
            program.call(np.add, out, program.repeated(self.bias, out.shape), out=out)
        if self.relu:
            program.rectify(out, out)


class AffineStage(Stage):
    """y = relu(x * scale + offset), one number for each channel: a batch norm with nothing to fold it into"""

    def __init__(self, wiring: Wiring, scale: Array, offset: Array, relu: bool = False) -> None:
        super().__init__(wiring)
        self.scale, self.offset, self.relu = scale, offset, relu

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """Multiply, add, rectify."""
        x, out = xs[0].inside, y.inside
        program.call(np.multiply, x, program.repeated(self.scale, x.shape), out=out)
        program.call(np.add, out, program.repeated(self.offset, x.shape), out=out)
        if self.relu:
            program.rectify(out, out)


class UfuncStage(Stage):
    """y = function(x), such as np.tanh"""

    def __init__(self, wiring: Wiring, function: np.ufunc) -> None:
        super().__init__(wiring)
        self.function = function

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """One call."""
        program.call(self.function, xs[0].inside, out=y.inside)


class ReluStage(Stage):
    """y = max(x, 0)"""

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """One call."""
        program.rectify(xs[0].inside, y.inside)


class AddStage(Stage):
    """y = relu(x0 + x1): what ends a residual block"""

    def __init__(self, wiring: Wiring, relu: bool = False) -> None:
        super().__init__(wiring)
        self.relu = relu

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """Add, rectify."""
        program.call(np.add, xs[0].inside, xs[1].inside, out=y.inside)
        if self.relu:
            program.rectify(y.inside, y.inside)


class ConcatStage(Stage):
    """y = the inputs side by side along the channels"""

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """Each into its own channels."""
        first = 0
        for x in xs:
            channels = x.logical.shape[1]
            program.call(np.copyto, x.logical, out=y.logical[:, first : first + channels])
            first += channels


class PoolStage(Stage):
    """y = the largest number, or the mean, of each window that lies inside of the image"""

    def __init__(self, wiring: Wiring, geometry: ConvGeometry, mean: bool) -> None:
        super().__init__(wiring)
        self.geometry, self.mean = geometry, mean

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """First over the rows of the windows, in the longest runs, then over their columns."""
        g, x, out = self.geometry, xs[0].inside, y.inside
        function = np.add if self.mean else np.maximum
        _, W, n, C = x.shape
        tall = [x[g.rows(kh)] for kh in range(g.kernel[0])]
        lines = program.scratch("pool", g.output[0], W, n, C) if len(tall) > 1 else x
        self._combine(program, function, tall, lines)
        wide = [lines[:, g.columns(kw)] for kw in range(g.kernel[1])]
        self._combine(program, function, wide, out)
        if len(wide) == 1:
            program.call(np.copyto, wide[0], out=out)
        if self.mean:
            share = np.full(C, 1 / len(tall) / len(wide))
            program.call(np.multiply, out, program.repeated(share, out.shape), out=out)

    def _combine(self, program: Writer, function: np.ufunc, parts: list[Array], out: Array) -> None:
        """out = function of all parts, one after the other; nothing to do for a single one."""
        if len(parts) > 1:
            reduce(lambda a, b: program.call(function, a, b, out=out), parts)


class MeanOfPixelsStage(Stage):
    """y[n, c, 0, 0] = the mean of x[n, c]"""

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """Add up, divide."""
        x, out = xs[0].inside, y.inside[0, 0]
        H, W, _, C = x.shape
        program.call(sum_of_pixels, x, out=out)
        program.call(np.multiply, out, program.repeated(np.full(C, 1 / (H * W)), out.shape), out=out)


class FlattenStage(Stage):
    """y[n] = the numbers of x[n] in a row: in the order C, H, W, or H, W, C where only linear layers read it.

    A linear layer can have its weights in another order, and numbers that lie as (H, W, n, C) are brought into rows of
    H, W, C in runs of C. Better still, the stage before writes them there itself: see `row_view`.
    """

    def __init__(self, wiring: Wiring, image: Shape, channels_last: bool) -> None:
        super().__init__(wiring)
        self.image, self.channels_last = image, channels_last

    def row_view(self, matrix: Array) -> Array:
        """The matrix (n, C*H*W) as images (H, W, n, C)."""
        C, H, W = self.image
        if self.channels_last:
            return matrix.reshape(-1, H, W, C).transpose(1, 2, 0, 3)
        return matrix.reshape(-1, C, H, W).transpose(HWNC)

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """One copy."""
        program.call(np.copyto, xs[0].inside, out=self.row_view(y.inside))


class LayerStage(Stage):
    """y = layer.forward(x): whatever has no calls of its own, with its own copy of the layer."""

    def __init__(self, wiring: Wiring, layer: Layer) -> None:
        super().__init__(wiring)
        self.layer = copy.deepcopy(layer)

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """One call."""
        program.call(forward_of, self.layer, xs[0].logical, out=y.logical)
