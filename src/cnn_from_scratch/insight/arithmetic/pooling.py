"""Pooling: of a window only the largest number counts, or every number counts the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ...layers import AdaptiveAvgPool2d, AvgPool2d, Layer, MaxPool2d
from ...ops import ConvGeometry
from ...ops.utils import conv_geometry
from ...typing import Array
from .rule import Index, Parts, Rule, Shape
from .terms import Place, at, chosen, grid, products
from .window import Axis, Window, axes_of, cut, spread

if TYPE_CHECKING:
    from ..trace import LayerTrace


class PoolAxis(Protocol):
    """Rows or columns of windows: sliding ones, `Axis`, or the cells of adaptive pooling."""

    @property
    def size(self) -> int:
        """Of the input."""

    @property
    def output(self) -> int:
        """How many windows."""

    def seen(self, o: int) -> Array:
        """The pixels of window o; below 0 and from `size` on they are padding."""

    def seen_by(self, i: int) -> tuple[Array, Array]:
        """In which windows the pixel i is, the second of the two."""

    def unseen(self) -> Array:
        """The pixels in no window."""


class Cells(NamedTuple):
    """Cell o of adaptive pooling covers floor(o*size/output) .. ceil((o+1)*size/output).

    Examples
    --------
    >>> Cells(size=3, output=2).seen(1), Cells(size=3, output=2).seen_by(1)[1]
    (array([1, 2]), array([0, 1]))
    """

    size: int
    output: int

    def seen(self, o: int) -> Array:
        """The pixels of cell o."""
        return np.arange(o * self.size // self.output, -(-(o + 1) * self.size // self.output))

    def seen_by(self, i: int) -> tuple[Array, Array]:
        """Where in each cell the pixel i is, and in which cells."""
        cells = [o for o in range(self.output) if i in self.seen(o)]
        return np.array([i - self.seen(o)[0] for o in cells], np.int64), np.array(cells, np.int64)

    def unseen(self) -> Array:
        """None: the cells cover all."""
        return np.arange(0)


def pool_axes(layer: Layer, H: int, W: int) -> tuple[PoolAxis, PoolAxis]:
    """Rows and columns of the windows of any pooling layer."""
    if isinstance(layer, MaxPool2d | AvgPool2d):
        return axes_of(_geometry(layer, H, W))
    if isinstance(layer, AdaptiveAvgPool2d):  # the maximum is a kind of it
        _, OH, OW = layer.output_shape((1, H, W))
        return Cells(H, OH), Cells(W, OW)
    return Cells(H, 1), Cells(W, 1)


def _geometry(layer: MaxPool2d | AvgPool2d, H: int, W: int) -> ConvGeometry:
    stride = layer.kernel_size if layer.stride is None else layer.stride
    sizes = (layer.kernel_size, stride, layer.padding, layer.dilation)
    return conv_geometry("explain", (H, W), *sizes, ceil_mode=layer.ceil_mode)


# --- the largest number ----------------------------------------------------------------------------------------------


def explain_max(entry: LayerTrace, index: Index) -> Parts:
    """y[n, c, oh, ow] = the largest x of the window"""
    pixels, window = _window(entry, index, fill=-np.inf)
    values = at(entry.input, pixels)
    wins = _winner(values)
    terms = chosen((Place("x", pixels),), wins, x=values)
    ties = int(np.count_nonzero(values == values[wins == 1])) if len(values) else 0
    notes = [f"{ties} numbers are the largest: the first of them by rows, then columns, wins"] if ties > 1 else []
    if not len(values):
        notes.append("this window misses every pixel: -inf")
    constant = None if len(values) else -np.inf
    formula = "y[n, c, oh, ow] = max of x[n, c, h, w] over the window"
    return Parts(formula, terms, constant=constant, notes=tuple(notes), window=window)


def blame_max_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[n, c, h, w] = the sum of dy over the windows whose largest number is this pixel"""
    n, c, h, w = index
    outputs = _outputs(entry, index)
    wins = np.zeros(len(outputs))
    for t, output in enumerate(outputs):
        pixels, _ = _window(entry, tuple(output), fill=-np.inf)
        first = pixels[int(_winner(at(entry.input, pixels)).argmax())]
        wins[t] = tuple(first) == (n, c, h, w)
    assert entry.dy is not None
    terms = chosen((Place("y", outputs),), wins, dy=at(entry.dy, outputs))
    lost = int(len(wins) - wins.sum())
    windows = "1 window" if len(wins) == 1 else f"{len(wins)} windows"
    notes = (f"it is in {windows} and not the largest of {lost} of them",) if lost else ()
    formula = "dx[n, c, h, w] = sum of dy[n, c, oh, ow] over the windows whose largest number is x[n, c, h, w]"
    return Parts(formula, terms, notes=notes)


def _winner(values: Array) -> Array:
    """1 for the first of the largest numbers, or the first NaN, and 0 for all others."""
    wins = np.zeros(len(values))
    if len(values):
        wins[int(values.argmax())] = 1
    return wins


# --- the mean --------------------------------------------------------------------------------------------------------


def explain_mean(entry: LayerTrace, index: Index) -> Parts:
    """y[n, c, oh, ow] = the sum of x over the window / how many numbers count"""
    pixels, window = _window(entry, index, fill=0.0)
    count = _count(entry, index)
    terms = products((Place("x", pixels),), x=at(entry.input, pixels), share=np.full(len(pixels), 1 / count))
    notes = (f"the sum is divided by {count}",)
    return Parts("y[n, c, oh, ow] = sum of x[n, c, h, w] over the window / count", terms, notes=notes, window=window)


def blame_mean_input(entry: LayerTrace, index: Index) -> Parts:
    """dx[n, c, h, w] = the sum of dy / count over the windows that hold the pixel"""
    assert entry.dy is not None
    outputs = _outputs(entry, index)
    shares = np.array([1 / _count(entry, tuple(output)) for output in outputs])
    terms = products((Place("y", outputs),), dy=at(entry.dy, outputs), share=shares)
    return Parts("dx[n, c, h, w] = sum of dy[n, c, oh, ow] / count[oh, ow] over the windows that hold it", terms)


def _count(entry: LayerTrace, output: Index) -> int:
    """By what a window's sum is divided: the pixels in it, and its places in the padding if these count."""
    layer, (H, W) = entry.layer, entry.input.shape[2:]
    sides = ((0, 0), (0, 0))
    if isinstance(layer, AvgPool2d) and layer.count_include_pad:
        sides = _geometry(layer, H, W).padding
    count = 1
    for axis, o, (before, after) in zip(pool_axes(layer, H, W), output[2:], sides, strict=True):
        seen = axis.seen(int(o))
        count *= int(np.count_nonzero((seen >= -before) & (seen < axis.size + after)))
    return count


# --- what both share -------------------------------------------------------------------------------------------------


def _window(entry: LayerTrace, index: Index, fill: float) -> tuple[Array, Window]:
    """The pixels of a window, (T, 4), and the window itself."""
    n, c, oh, ow = (int(i) for i in index)
    plane = entry.input[n, c]
    rows, columns = pool_axes(entry.layer, *plane.shape)
    h, w = rows.seen(oh), columns.seen(ow)
    pixels = grid(n, c, h[(h >= 0) & (h < rows.size)], w[(w >= 0) & (w < columns.size)])
    patch = cut(plane, h, w, fill)[None]
    return pixels, Window(h, w, plane.shape, np.array([c]), patch, None, rows.unseen(), columns.unseen())


def _outputs(entry: LayerTrace, index: Index) -> Array:
    """The outputs whose window holds the pixel, (T, 4)."""
    n, c, h, w = index
    rows, columns = pool_axes(entry.layer, *entry.input.shape[2:])
    return grid(n, c, rows.seen_by(h)[1], columns.seen_by(w)[1])


def field(layer: Layer, input_shape: Shape, seen: Array) -> Array:
    """Every pixel of the marked windows, channel by channel."""
    C, H, W = input_shape
    rows, columns = pool_axes(layer, H, W)
    if isinstance(rows, Axis) and isinstance(columns, Axis):
        return spread((rows, columns), seen)
    pixels = np.zeros(input_shape, bool)
    for oh, ow in np.argwhere(seen.any(0)):
        pixels[:, rows.seen(oh)[:, None], columns.seen(ow)] |= seen[:, oh, ow][:, None, None]
    return pixels


MAXIMUM = Rule(explain_max, blame_max_input, field)
MEAN = Rule(explain_mean, blame_mean_input, field)
