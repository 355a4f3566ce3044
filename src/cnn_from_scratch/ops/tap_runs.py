"""Which kernel elements meet the image, for every output along one axis: so that no image needs to be padded.

Along an axis, output `o` and kernel element `k` meet at index ``o*stride + k*dilation - before`` of the input. Near a
border some of these indices lie outside, where a padded image would hold zeros; those elements are left out of the
sum instead. Neighbouring outputs that meet the same elements form a run. A 3x3 kernel with padding 1 has three runs
along an axis of length 5 (dots are elements that are left out)::

    output      0     1     2     3     4
    elements   .12   012   012   012   01.
    runs       <->   <------------->   <->

The input gradient is a sum of the same kind. With padding `before` of the forward pass, dx at index `i` collects
``dy[(i + before - k*dilation) / stride]`` wherever the division leaves no rest. All `i` that leave the same rest, a
phase, meet the same evenly spaced elements, backwards: a correlation with stride 1.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import NamedTuple

from .utils import ConvGeometry

NOTHING = (0, 0)
"""The elements of an output that lies beyond the image altogether: it is zero."""


class Axis(NamedTuple):
    """A correlation along one axis: output `o` and element `k` meet at input index o*stride + k*dilation - before."""

    size: int  # of the input
    kernel: int
    output: int
    stride: int
    dilation: int
    before: int  # zeros in front, as it were; may be negative


class Run(NamedTuple):
    """Outputs first to last (exclusive), which meet elements taps[0] to taps[1] (exclusive) from index `start` on."""

    first: int
    last: int
    taps: tuple[int, int]
    start: int


class Phase(NamedTuple):
    """The part of an input gradient that lies at `places`, as a correlation of dy with the kernel's `elements`."""

    places: slice
    elements: slice
    axis: Axis


def forward_axes(geometry: ConvGeometry) -> tuple[Axis, Axis]:
    """Rows and columns of a convolution."""
    rows, columns = (
        Axis(
            geometry.input[i],
            geometry.kernel[i],
            geometry.output[i],
            geometry.stride[i],
            geometry.dilation[i],
            geometry.padding[i][0],
        )
        for i in range(2)
    )
    return rows, columns


def runs(axis: Axis) -> list[Run]:
    """The outputs of an axis, in order, as runs that meet the same elements inside of the input.

    Examples
    --------
    >>> for run in runs(Axis(size=5, kernel=3, output=5, stride=1, dilation=1, before=1)):
    ...     print(run)
    Run(first=0, last=1, taps=(1, 3), start=0)
    Run(first=1, last=4, taps=(0, 3), start=0)
    Run(first=4, last=5, taps=(0, 2), start=3)
    """
    found = []
    for taps, outputs in groupby(range(axis.output), lambda o: _inside(axis, o)):
        first, *others = outputs
        start = first * axis.stride + taps[0] * axis.dilation - axis.before
        found.append(Run(first, first + 1 + len(others), taps, start))
    return found


def _inside(axis: Axis, o: int) -> tuple[int, int]:
    """The elements (first, last) that output `o` meets inside of the input; (0, 0) if there is none."""
    corner = o * axis.stride - axis.before  # where element 0 lies
    first = max(0, -(corner // axis.dilation))  # the smallest k with corner + k*dilation >= 0
    last = min(axis.kernel, (axis.size - 1 - corner) // axis.dilation + 1)
    return (first, last) if first < last else NOTHING


def phases(axis: Axis) -> list[Phase]:
    """The input gradient along an axis of a convolution: one correlation with stride 1 for each rest of the stride.

    Examples
    --------
    Stride 2, a kernel of three, no padding: even places meet elements 2 and 0, odd ones element 1 only.

    >>> for places, elements, axis in phases(Axis(size=5, kernel=3, output=2, stride=2, dilation=1, before=0)):
    ...     print(list(range(5))[places], list(range(3))[elements], axis)
    [0, 2, 4] [2, 0] Axis(size=2, kernel=2, output=3, stride=1, dilation=1, before=1)
    [1, 3] [1] Axis(size=2, kernel=1, output=2, stride=1, dilation=1, before=0)
    """
    return [_phase(axis, i) for i in range(min(axis.stride, axis.size))]


def _phase(axis: Axis, i: int) -> Phase:
    """The phase of places i, i + stride, ...: k meets them where i + before - k*dilation is a multiple of stride."""
    S, D = axis.stride, axis.dilation
    meeting = [k for k in range(axis.kernel) if (i + axis.before - k * D) % S == 0]
    places, output = slice(i, None, S), len(range(i, axis.size, S))
    if not meeting:
        return Phase(places, slice(0, 0), Axis(axis.output, 0, output, 1, 1, 0))
    step = S // math.gcd(S, D)  # from one such k to the next
    elements = slice(meeting[-1], meeting[0] - 1 if meeting[0] else None, -step)
    corner = (i + axis.before - meeting[-1] * D) // S  # where the last element, now the first, meets dy
    return Phase(places, elements, Axis(axis.output, len(meeting), output, 1, D // math.gcd(S, D), -corner))
