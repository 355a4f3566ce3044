"""Where pooling windows lie: for every place in the kernel, which outputs meet a pixel there, and which pixel."""

from __future__ import annotations

from collections.abc import Iterator
from types import EllipsisType
from typing import TypeAlias

from ..errors import ShapeError
from ..typing import Array, Padding, Pair
from .utils import ConvGeometry, check_rank, conv_geometry

Plane: TypeAlias = tuple[EllipsisType, slice, slice]
"""Index of some rows and columns of every image and channel."""


def pool_geometry(
    function: str,
    x: Array,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
) -> ConvGeometry:
    """The checked geometry of a pooling over `x`; a stride of None is the kernel's own size.

    Raises
    ------
    ShapeError
        If a number is out of range, the kernel does not fit into the padded image, or a window could lie wholly in
        the padding.
    """
    check_rank(function, "x", x, "N C H W")
    N, C, H, W = x.shape
    steps = kernel_size if stride is None else stride
    geometry = conv_geometry(function, (H, W), kernel_size, steps, padding, dilation, ceil_mode=ceil_mode)
    for axis, (sides, reach) in enumerate(zip(geometry.padding, _reaches(geometry), strict=True)):
        if max(sides) >= reach:
            raise ShapeError(
                f"{function}: padding must be smaller than the kernel's reach, "
                f"got {max(sides)} for kernel {geometry.kernel[axis]} with dilation {geometry.dilation[axis]}, "
                f"which reaches over {reach}"
            )
    return geometry


def windows(geometry: ConvGeometry) -> Iterator[tuple[Plane, Plane]]:
    """For each kernel position in scan order: the outputs whose pixel there is inside the image, and those pixels.

    Outputs whose pixel there would be padding are left out, so that nothing needs to be padded.

    Examples
    --------
    A kernel of 2 with padding 1 on the left: output 0 meets no pixel at kernel column 0, and pixel 0 at column 1.

    >>> geometry = conv_geometry("example", (1, 4), (1, 2), 2, ((0, 0), (1, 0)))
    >>> for outputs, pixels in windows(geometry):
    ...     print(outputs[2], pixels[2])
    slice(1, 2, None) slice(1, 2, 2)
    slice(0, 2, None) slice(0, 3, 2)
    """
    KH, KW = geometry.kernel
    for kh in range(KH):
        oh, h = _inside(geometry, 0, kh)
        for kw in range(KW):
            ow, w = _inside(geometry, 1, kw)
            yield (..., oh, ow), (..., h, w)


def _inside(geometry: ConvGeometry, axis: int, k: int) -> tuple[slice, slice]:
    """Along one axis: the outputs that meet the image at kernel position `k`, and what they meet."""
    step, size = geometry.stride[axis], geometry.input[axis]
    start = (
        k * geometry.dilation[axis] - geometry.padding[axis][0]
    )  # what output 0 meets; output o meets start + o*step
    first = max(0, -(start // step))  # the least o with start + o*step >= 0
    last = min(geometry.output[axis] - 1, (size - 1 - start) // step)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first, last + 1), slice(start + first * step, start + last * step + 1, step)


def overhanging(geometry: ConvGeometry) -> bool:
    """Whether a window reaches beyond the image: into the padding, or beyond the bottom or right with ceil_mode."""
    for axis, ((before, _), reach) in enumerate(zip(geometry.padding, _reaches(geometry), strict=True)):
        end = (geometry.output[axis] - 1) * geometry.stride[axis] + reach - before
        if before or end > geometry.input[axis]:
            return True
    return False


def overlapping(geometry: ConvGeometry) -> bool:
    """Whether a pixel may lie in two windows."""
    return any(reach > step for reach, step in zip(_reaches(geometry), geometry.stride, strict=True))


def tiling(geometry: ConvGeometry) -> bool:
    """Whether the windows lie side by side without gaps and cover the whole image."""
    covered = tuple(count * step for count, step in zip(geometry.output, geometry.stride, strict=True))
    gapless = geometry.kernel == geometry.stride == _reaches(geometry)
    return gapless and covered == geometry.input and not overhanging(geometry)


def _reaches(geometry: ConvGeometry) -> tuple[int, int]:
    """Over how many rows and columns a window reaches, its gaps included."""
    (KH, KW), (DH, DW) = geometry.kernel, geometry.dilation
    return DH * (KH - 1) + 1, DW * (KW - 1) + 1
