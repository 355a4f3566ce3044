"""Where a window stands, one axis at a time: which pixels an output sees, and which outputs see a pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...ops import ConvGeometry
from ...typing import Array


class Axis(NamedTuple):
    """Output o meets pixel o*stride + k*dilation - before at kernel place k.

    Examples
    --------
    >>> axis = Axis(size=5, kernel=2, stride=2, dilation=1, before=0, output=2)
    >>> axis.seen(1), axis.unseen()
    (array([2, 3]), array([4]))
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int  # rows or columns of padding in front
    output: int

    def seen(self, o: int) -> Array:
        """The pixel at each kernel place, (K,); below 0 and from `size` on it lies in the padding."""
        pixels: Array = o * self.stride + np.arange(self.kernel) * self.dilation - self.before
        return pixels

    def seen_by(self, i: int) -> tuple[Array, Array]:
        """All pairs (k, o) in which output o meets pixel i at kernel place k, the first output first."""
        places = np.arange(self.kernel)
        steps, rest = np.divmod(i + self.before - places * self.dilation, self.stride)
        met = (rest == 0) & (steps >= 0) & (steps < self.output)
        return places[met][::-1], steps[met][::-1]

    def met_at(self, k: int) -> tuple[Array, Array]:
        """The outputs that meet a pixel of the image at kernel place k, and these pixels."""
        outputs = np.arange(self.output)
        pixels = outputs * self.stride + k * self.dilation - self.before
        inside = (pixels >= 0) & (pixels < self.size)
        return outputs[inside], pixels[inside]

    def unseen(self) -> Array:
        """The pixels that no output meets: what the stride leaves over, and gaps."""
        met = np.zeros(self.size, bool)
        for k in range(self.kernel):
            met[self.met_at(k)[1]] = True
        return np.flatnonzero(~met)


class Window(NamedTuple):
    """One window on the layer's input, and what it is multiplied with."""

    rows: Array  # (KH,)  of the input; outside of 0 .. H - 1 lies the padding
    columns: Array  # (KW,)
    size: tuple[int, int]  # (H, W)
    channels: Array  # (C,)  of the input: those that the window shows
    patch: Array  # (C, KH, KW)  what the window shows; in the padding 0, for a maximum -inf
    filter: Array | None  # (C, KH, KW)
    unseen_rows: Array  # of the input: no window of this layer ever meets them
    unseen_columns: Array

    @property
    def inside(self) -> Array:
        """Which places of the window show a pixel and not the padding, (KH, KW)."""
        return np.logical_and.outer(_within(self.rows, self.size[0]), _within(self.columns, self.size[1]))

    @property
    def column(self) -> Array:
        """The patch as `im2col` lays it: (C*KH*KW,)."""
        return self.patch.ravel()

    @property
    def row(self) -> Array | None:
        """The filter as the row that meets this column: (C*KH*KW,)."""
        return None if self.filter is None else self.filter.ravel()


def axes_of(geometry: ConvGeometry) -> tuple[Axis, Axis]:
    """Rows and columns of a sliding window."""
    sizes = zip(geometry.input, geometry.kernel, geometry.stride, geometry.dilation, strict=True)
    rows, columns = (
        Axis(*numbers, before, output)
        for numbers, (before, _), output in zip(sizes, geometry.padding, geometry.output, strict=True)
    )
    return rows, columns


def cut(x: Array, rows: Array, columns: Array, fill: float = 0.0) -> Array:
    """The pixels (..., H, W) at these rows and columns, `fill` where they lie outside: (..., KH, KW)."""
    H, W = x.shape[-2:]
    patch = np.full((*x.shape[:-2], len(rows), len(columns)), fill, x.dtype)
    kh, kw = np.flatnonzero(_within(rows, H)), np.flatnonzero(_within(columns, W))
    patch[..., kh[:, None], kw] = x[..., rows[kh][:, None], columns[kw]]
    return patch


def spread(axes: tuple[Axis, Axis], seen: Array) -> Array:
    """Which pixels (..., H, W) the marked outputs (..., OH, OW) meet."""
    rows, columns = axes
    pixels = np.zeros((*seen.shape[:-2], rows.size, columns.size), bool)
    for kh in range(rows.kernel):
        oh, h = rows.met_at(kh)
        for kw in range(columns.kernel):
            ow, w = columns.met_at(kw)
            pixels[..., h[:, None], w] |= seen[..., oh[:, None], ow]
    return pixels


def gather(axes: tuple[Axis, Axis], seen: Array) -> Array:
    """The way back: which outputs (..., OH, OW) meet one of the marked pixels (..., H, W)."""
    rows, columns = axes
    outputs = np.zeros((*seen.shape[:-2], rows.output, columns.output), bool)
    for kh in range(rows.kernel):
        oh, h = rows.met_at(kh)
        for kw in range(columns.kernel):
            ow, w = columns.met_at(kw)
            outputs[..., oh[:, None], ow] |= seen[..., h[:, None], w]
    return outputs


def _within(positions: Array, size: int) -> Array:
    inside: Array = (positions >= 0) & (positions < size)
    return inside
