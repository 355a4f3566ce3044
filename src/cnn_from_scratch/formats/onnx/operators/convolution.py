"""Conv and ConvTranspose, of sequences, images and volumes; Col2Im. Versions differ only in types of elements.

Reference: https://onnx.ai/onnx/operators
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import ShapeError
from ....layers.context import Context
from ....layers.operation import Values
from ....typing import Array
from ..attributes import NodeOperation, given, integer, integers, optional
from ..convolution_nd import (
    ConvNdCache,
    conv_nd_backward,
    conv_nd_forward,
    conv_transpose_nd_forward,
    sum_over_pixels,
    transposed_lengths,
)
from ..registry import Node, operator
from ..windows import Window, WindowRule, split
from .layout import require_room


@operator("Conv")
class Conv(NodeOperation):
    """y = conv(x, weight) + bias: `conv_forward` for images, and what convolution_nd.py makes of it."""

    arity = (2, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule, self.groups = WindowRule.of(node), integer(node, "group", 1)

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array], ConvNdCache]:
        """With the padding that auto_pad asks for at this size."""
        x, weight = given(self, inputs, 2)
        window = self.rule.at(x.shape[2:], weight.shape[2:])
        y, cache = conv_nd_forward(x, weight, optional(inputs, 2), window=window, groups=self.groups)
        return (y,), cache

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """See `cnn_from_scratch.ops.conv_backward`."""
        (dy,) = given(self, doutputs, 1)
        return conv_nd_backward(dy, cache, need_dx=wanted[0])[: len(wanted)]


class TransposeCache(NamedTuple):
    """What the gradient of ConvTranspose needs."""

    inner: ConvNdCache
    reached: tuple[int, ...]  # how much of each axis of y kernels reach; beyond is the bias alone
    output: tuple[int, ...]


@operator("ConvTranspose")
class ConvTranspose(NodeOperation):
    """The adjoint of a convolution. Where it is ambiguous which size to go back to, three attributes may say so.

    ::

        length = (input - 1)*stride + output_padding + dilation*(kernel - 1) + 1 - pads

    `output_shape` gives the length, and pads follow; auto_pad SAME_* stands for the length input*stride. A length
    beyond what kernels reach is made up at the end, with the bias alone.
    """

    arity = (2, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule, self.groups = WindowRule.of(node), integer(node, "group", 1)
        self.output_padding, self.output_shape = integers(node, "output_padding"), integers(node, "output_shape")

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array], TransposeCache]:
        """Without bias first, then what is missing at the ends, then the bias."""
        x, weight = given(self, inputs, 2)
        bias = optional(inputs, 2)
        window, extra = self._window(x.shape[2:], weight.shape[2:])
        part, inner = conv_transpose_nd_forward(x, weight, None, window=window, groups=self.groups)
        reached = part.shape[2:]
        y = part
        if any(extra):
            require_room("ConvTranspose", [*part.shape[:2], *map(sum, zip(reached, extra, strict=True))], part.dtype)
            y = np.zeros((*part.shape[:2], *(n + more for n, more in zip(reached, extra, strict=True))), part.dtype)
            y[_corner(reached)] = part
        if bias is not None:
            if bias.shape != y.shape[1:2] or bias.dtype != y.dtype:
                raise ShapeError(
                    f"{self.rule.where}: bias must be {y.dtype} {y.shape[1:2]}, got {bias.dtype} {bias.shape}"
                )
            y = y + bias.reshape(-1, *[1] * len(reached))
        return (y,), TransposeCache(inner, reached, y.shape)

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """A convolution of what arrives where kernels reach."""
        (dy,) = given(self, doutputs, 1)
        if dy.shape != cache.output:
            raise ShapeError(f"{self.rule.where}: dy must have shape {cache.output}, got {dy.shape}")
        dx, dweight, _ = conv_nd_backward(
            np.ascontiguousarray(dy[_corner(cache.reached)]), cache.inner, need_dx=wanted[0]
        )
        dbias = sum_over_pixels(dy) if len(wanted) > 2 and wanted[2] else None
        return (dx, dweight, dbias)[: len(wanted)]

    def _window(self, lengths: Sequence[int], kernel: Sequence[int]) -> tuple[Window, list[int]]:
        """What is cut off, and how much is missing at the end of each axis."""
        rank, rule = len(lengths), self.rule
        # the sizes are known, so that SAME_* is decided below and not by the rule
        free = rule._replace(auto_pad="VALID").at(lengths, kernel)
        full = transposed_lengths(tuple(lengths), free)
        added = self._for_each("output_padding", self.output_padding, rank) or (0,) * rank
        wanted = self._for_each("output_shape", self.output_shape, rank)
        if wanted is None and rule.auto_pad.startswith("SAME"):
            wanted = tuple(n * s for n, s in zip(lengths, free.strides, strict=True))
        if wanted is None:
            pads = (0,) * (2 * rank) if rule.auto_pad == "VALID" else rule.explicit_pads(rank)
            ends = list(zip(pads[:rank], pads[rank:], strict=True))
        else:
            ends = [split(max(n + a - w, 0), rule.auto_pad) for n, a, w in zip(full, added, wanted, strict=True)]
            added = tuple(w - (n - sum(e)) for n, e, w in zip(full, ends, wanted, strict=True))
        cut = tuple((before, max(after - more, 0)) for (before, after), more in zip(ends, added, strict=True))
        missing = [max(more - after, 0) for (_, after), more in zip(ends, added, strict=True)]
        return free._replace(pads=cut), missing

    def _for_each(self, name: str, values: tuple[int, ...] | None, rank: int) -> tuple[int, ...] | None:
        """The last entries of an attribute, one for each axis: output_shape may begin with N and C."""
        if values is None:
            return None
        if name == "output_shape" and len(values) == rank + 2:
            values = values[2:]
        if len(values) != rank or min(values, default=0) < 0:
            raise ShapeError(
                f"{self.rule.where}: {name} must have a number >= 0 for each of the {rank} axes, got {values}"
            )
        return values


def _corner(lengths: Sequence[int]) -> tuple[slice, ...]:
    """Index of the first so many along each axis of the images."""
    return (slice(None), slice(None), *(slice(n) for n in lengths))
