"""Col2Im: columns back to images, over any number of axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ....errors import ShapeError
from ....ops import ConvGeometry
from ....typing import Array
from ..attributes import label
from ..registry import Node, operator
from ..windows import Window, WindowRule, axis_geometry, meetings
from .layout import require_room
from .pure import PureOperation

Index: TypeAlias = tuple[int | slice, ...]


class ColumnsCache(NamedTuple):
    """Where columns belong."""

    shape: tuple[int, ...]  # (N, C*prod(kernel), prod(output)) of the columns
    geometries: list[ConvGeometry]  # one for each axis


@operator("Col2Im")
class Col2Im(PureOperation):
    """Every column goes back to the patch it came from, and where patches overlap, they add up; see `col2im`."""

    arity = (3, 3)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule, self.where = WindowRule.of(node), label(node)

    def compute(self, cols: Array, image_shape: Array, block_shape: Array) -> tuple[Array, ColumnsCache]:
        """Place by place in the kernel."""
        lengths, kernel = _sizes(image_shape), _sizes(block_shape)
        window: Window = self.rule.at(lengths, kernel)
        geometries = [axis_geometry("Col2Im", n, window.axis(i)) for i, n in enumerate(lengths)]
        outputs = tuple(geometry.output[0] for geometry in geometries)
        if cols.ndim != 3 or cols.shape[1] % math.prod(kernel) or cols.shape[2] != math.prod(outputs):
            raise ShapeError(
                f"{self.where}: columns must be (N, C*{math.prod(kernel)}, {math.prod(outputs)}) "
                f"for images of {lengths} and blocks of {kernel}, got {cols.shape}"
            )
        N, C = len(cols), cols.shape[1] // math.prod(kernel)
        parts = cols.reshape(N, C, *kernel, *outputs)
        require_room("Col2Im", (N, C, *lengths), cols.dtype)
        y = np.zeros((N, C, *lengths), cols.dtype)
        for columns, pixels in _places(geometries):
            y[pixels] += parts[columns]
        return y, ColumnsCache(cols.shape, geometries)

    def gradients(self, dy: Array, cache: ColumnsCache, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """The adjoint: im2col."""
        kernel = tuple(geometry.kernel[0] for geometry in cache.geometries)
        outputs = tuple(geometry.output[0] for geometry in cache.geometries)
        dparts = np.zeros((*dy.shape[:2], *kernel, *outputs), dy.dtype)
        for columns, pixels in _places(cache.geometries):
            dparts[columns] = dy[pixels]
        return dparts.reshape(cache.shape), None, None


def _places(geometries: Sequence[ConvGeometry]) -> Iterator[tuple[Index, Index]]:
    """For every place in a kernel of several axes: the index of its columns, and of the pixels that they meet."""
    everything = slice(None), slice(None)
    for axes in itertools.product(*(list(meetings(geometry)) for geometry in geometries)):
        places, outputs, pixels = zip(*axes, strict=True)
        yield (*everything, *places, *outputs), (*everything, *pixels)


def _sizes(values: Array) -> tuple[int, ...]:
    if values.ndim != 1 or values.dtype.kind not in "iu" or not len(values):
        raise ShapeError(f"Col2Im: sizes must be a vector of ints, got {values.dtype} of shape {values.shape}")
    return tuple(int(n) for n in values)
