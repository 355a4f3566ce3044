"""Windows over any number of axes: what ONNX says of kernels, strides, pads and auto_pad, axis by axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...errors import ShapeError
from ...ops import ConvGeometry, conv_geometry
from ...ops.pool_windows import windows
from .attributes import choice, integers, label
from .registry import Node

Ends = tuple[int, int]
"""What is added before the first and after the last along one axis."""


class Window(NamedTuple):
    """Where a kernel goes, one entry for each axis of an image: all resolved into numbers."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[Ends, ...]
    dilations: tuple[int, ...]
    ceil_mode: bool = False

    def axis(self, i: int) -> Window:
        """The window along one axis alone."""
        return self.axes(i, i + 1)

    def axes(self, start: int, stop: int | None = None) -> Window:
        """The window along some neighbouring axes."""
        kernel, strides, pads, dilations, ceil_mode = self
        part = slice(start, stop)
        return Window(kernel[part], strides[part], pads[part], dilations[part], ceil_mode)

    def lifted(self) -> Window:
        """Along one axis, as along the second of two, of which the first is 1 long."""
        kernel, strides, pads, dilations, ceil_mode = self
        return Window((1, *kernel), (1, *strides), ((0, 0), *pads), (1, *dilations), ceil_mode)


class WindowRule(NamedTuple):
    """The attributes that convolutions and pools share; `at` makes numbers of them once sizes are known."""

    where: str
    kernel: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    pads: tuple[int, ...] | None
    dilations: tuple[int, ...] | None
    auto_pad: str
    ceil_mode: bool

    @staticmethod
    def of(node: Node) -> WindowRule:
        """Read them from a node."""
        return WindowRule(
            label(node),
            integers(node, "kernel_shape"),
            integers(node, "strides"),
            integers(node, "pads"),
            integers(node, "dilations"),
            choice(node, "auto_pad", "NOTSET", ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")),
            bool(node.attributes.get("ceil_mode", 0)),
        )

    def at(self, lengths: Sequence[int], kernel: Sequence[int] | None = None) -> Window:
        """The window on images of these sizes; `kernel` is that of the weights, where there are any.

        Raises
        ------
        ShapeError
            If an attribute has not one entry for each axis, or contradicts the weights.
        """
        own = self._each("kernel_shape", self.kernel, len(lengths), None if kernel is None else tuple(kernel))
        if kernel is not None and own != tuple(kernel):
            raise ShapeError(f"{self.where}: kernel_shape is {own}, but the weights have {tuple(kernel)}")
        strides = self._each("strides", self.strides, len(lengths), (1,) * len(lengths))
        dilations = self._each("dilations", self.dilations, len(lengths), (1,) * len(lengths))
        pads = tuple(self._ends(i, lengths, own, strides, dilations) for i in range(len(lengths)))
        return Window(own, strides, pads, dilations, self.ceil_mode)

    def _each(
        self, name: str, values: tuple[int, ...] | None, rank: int, default: tuple[int, ...] | None, least: int = 1
    ) -> tuple[int, ...]:
        found = default if values is None else values
        if found is None or len(found) != rank or min(found, default=least) < least:
            raise ShapeError(
                f"{self.where}: {name} must have one number >= {least} for each of the {rank} axes, got {found}"
            )
        return found

    def _ends(
        self, i: int, lengths: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> Ends:
        """Padding of one axis. SAME_UPPER has the odd one at the end, SAME_LOWER at the beginning."""
        if self.auto_pad.startswith("SAME"):
            count = -(-lengths[i] // strides[i])
            total = max((count - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - lengths[i], 0)
            return split(total, self.auto_pad)
        if self.auto_pad == "VALID":
            return 0, 0
        pads = self.explicit_pads(len(lengths))
        return pads[i], pads[len(lengths) + i]

    def explicit_pads(self, rank: int) -> tuple[int, ...]:
        """The attribute `pads`: all beginnings, then all ends; zeros where it is not given."""
        pads = (0,) * (2 * rank) if self.pads is None else self.pads
        if len(pads) != 2 * rank or min(pads, default=0) < 0:
            raise ShapeError(f"{self.where}: pads must have two numbers >= 0 for each of the {rank} axes, got {pads}")
        return pads


def split(total: int, auto_pad: str) -> Ends:
    """Divide a padding between both ends.

    Examples
    --------
    >>> split(3, "SAME_UPPER"), split(3, "SAME_LOWER")
    ((1, 2), (2, 1))
    """
    less = total // 2
    return (less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less)


def axis_geometry(function: str, length: int, window: Window, width: int = 1) -> ConvGeometry:
    """The geometry of a window of one axis, over images of that height, `width` wide."""
    (kernel,), (stride,), (ends,), (dilation,), ceil_mode = window
    return conv_geometry(
        function, (length, width), (kernel, 1), (stride, 1), (ends, (0, 0)), (dilation, 1), ceil_mode=ceil_mode
    )


def meetings(geometry: ConvGeometry) -> Iterator[tuple[int, slice, slice]]:
    """For each place k in the kernel of an `axis_geometry`: the outputs that meet the image there, and where.

    Examples
    --------
    A kernel of 2 with padding 1 before: output 0 meets nothing at place 0.

    >>> window = Window((2,), (2,), ((1, 0),), (1,))
    >>> for k, outputs, inputs in meetings(axis_geometry("example", 4, window)):
    ...     print(k, outputs, inputs)
    0 slice(1, 2, None) slice(1, 2, 2)
    1 slice(0, 2, None) slice(0, 3, 2)
    """
    for k, ((_, outputs, _), (_, inputs, _)) in enumerate(windows(geometry)):
        if outputs.stop > outputs.start:
            yield k, outputs, inputs


def output_lengths(function: str, lengths: Sequence[int], window: Window) -> tuple[int, ...]:
    """How many windows there are along each axis.

    Examples
    --------
    >>> output_lengths("example", (8, 5), Window((3, 3), (2, 1), ((0, 0), (1, 1)), (1, 1)))
    (3, 5)
    """
    return tuple(axis_geometry(function, n, window.axis(i)).output[0] for i, n in enumerate(lengths))


def volume(lengths: Sequence[int]) -> int:
    """The product, 1 for none."""
    return math.prod(lengths)
