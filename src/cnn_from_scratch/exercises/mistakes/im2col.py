"""What goes wrong in im2col: the order of rows or columns, and where the windows stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import im2col
from ...ops.utils import conv_geometry
from ...typing import Array
from ..exercise import Mistake

Size = tuple[int, int]


def patches(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """The right columns with all their axes: (N, C, KH, KW, OH, OW)."""
    (N, C, *size), (KH, KW) = x.shape, kernel_size
    geometry = conv_geometry("im2col", (size[0], size[1]), kernel_size, stride, padding, dilation)
    cols = im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    return cols.reshape(N, C, KH, KW, *geometry.output)


def _ordered(*axes: int) -> Callable[..., Array]:
    """Rows or columns in the order of these of the six axes."""

    def function(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
        six = patches(x, kernel_size, stride, padding, dilation)
        rows, columns = int(np.prod(six.shape[1:4])), int(np.prod(six.shape[4:]))
        return six.transpose(axes).reshape(len(x), rows, columns)

    return function


def _with(**other: Any) -> Callable[..., Array]:
    """The right function, called with other settings than it was given."""

    def function(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
        return im2col(x, kernel_size, **({"stride": stride, "padding": padding, "dilation": dilation} | other))

    return function


def _padded(sides: Callable[[int], Any]) -> Callable[..., Array]:
    """With padding on other sides."""

    def function(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
        return im2col(x, kernel_size, stride=stride, padding=sides(padding), dilation=dilation)

    return function


def _flipped(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    six = patches(x, kernel_size, stride, padding, dilation)
    return six[:, :, ::-1, ::-1].reshape(len(x), -1, six.shape[4] * six.shape[5])


def _patches_as_rows(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    return im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation).swapaxes(1, 2)


def _one_matrix(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    return np.concatenate(list(im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)), axis=1)


def _first_image(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    made: Array = im2col(x[:1], kernel_size, stride=stride, padding=padding, dilation=dilation)[0]
    return made


def _every_axis_padded(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    return im2col(np.pad(x, padding), kernel_size, stride=stride, dilation=dilation)


def _one_window_less(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    six = patches(x, kernel_size, stride, padding, dilation)[..., :-1, :-1]
    return six.reshape(len(x), -1, six.shape[4] * six.shape[5])


def _exchanged(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    return im2col(x, kernel_size, stride=dilation, padding=padding, dilation=stride)


def _repeated_edge(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return im2col(np.pad(x, sides, mode="edge"), kernel_size, stride=stride, dilation=dilation)


def _windows_first(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """What np.array makes of a list with the patch (N, C*KH*KW) of each window."""
    return im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation).transpose(2, 0, 1)


def _windows_first_reshaped(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    cols = im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    return cols.transpose(2, 0, 1).reshape(cols.shape)


def _one_apart(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """As many windows as is right, but 1 apart."""
    OH, OW = patches(x, kernel_size, stride, padding, dilation).shape[4:]
    six = patches(x, kernel_size, 1, padding, dilation)[..., :OH, :OW]
    return six.reshape(len(x), -1, OH * OW)


def _rounded_too_early(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """OH = (H + 2*padding - KH + 1) // stride"""
    six = patches(x, kernel_size, stride, padding, dilation)
    OH, OW = (
        max((size + 2 * padding - dilation * (k - 1)) // stride, 0)
        for size, k in zip(x.shape[2:], kernel_size, strict=True)
    )
    return six[..., :OH, :OW].reshape(len(x), six[0, ..., 0, 0].size, -1)


def _filled(xp: Array, six: Array, stride: int, dilation: int) -> Array:
    """The loop over kernel offsets, with room for the right columns but perhaps another image."""
    OH, OW = six.shape[4:]
    for kh, kw in np.ndindex(*six.shape[2:4]):
        rows = slice(kh * dilation, kh * dilation + stride * (OH - 1) + 1, stride)
        columns = slice(kw * dilation, kw * dilation + stride * (OW - 1) + 1, stride)
        six[:, :, kh, kw] = xp[:, :, rows, columns]
    return six.reshape(len(six), -1, OH * OW)


def _every_axis_in_a_loop(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    six = np.zeros_like(patches(x, kernel_size, stride, padding, dilation))
    return _filled(np.pad(x, padding), six, stride, dilation)


def _unpadded(x: Array, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """Room for the windows of the padded image, filled from the image itself."""
    six = np.zeros_like(patches(x, kernel_size, stride, padding, dilation))
    return _filled(x, six, stride, dilation)


EVERY_AXIS = "np.pad(x, padding) pads batch and channels, too; it takes np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))"

MISTAKES = (
    Mistake(
        "flipped-kernel",
        "the kernel offsets run backwards: that is true convolution; networks do cross-correlation, which does not "
        "flip. Take the pixel at oh*stride + kh, not at oh*stride + (KH-1-kh)",
        _flipped,
    ),
    Mistake(
        "transposed-kernel",
        "kernel columns come before kernel rows: the rows of cols go (c, kw, kh) instead of (c, kh, kw)",
        _ordered(0, 1, 3, 2, 4, 5),
    ),
    Mistake(
        "channel-last",
        "the channel is the fastest of the rows, (kh, kw, c), instead of the slowest, (c, kh, kw)",
        _ordered(0, 2, 3, 1, 4, 5),
    ),
    Mistake(
        "columns-transposed",
        "the output positions go column by column, (ow, oh), instead of row by row, (oh, ow)",
        _ordered(0, 1, 2, 3, 5, 4),
    ),
    Mistake(
        "patches-as-rows",
        "every patch is a row instead of a column: (N, OH*OW, C*KH*KW); exchange the last two axes",
        _patches_as_rows,
    ),
    Mistake(
        "one-matrix",
        "all images of the batch stand side by side in one matrix (C*KH*KW, N*OH*OW), as some textbooks have it; here "
        "every image keeps its own: (N, C*KH*KW, OH*OW)",
        _one_matrix,
    ),
    Mistake(
        "windows-first",
        "the windows are the first axis, (OH*OW, N, C*KH*KW), as when np.array is made of a list of patches: they "
        "belong last; np.stack(patches, axis=-1)",
        _windows_first,
    ),
    Mistake(
        "windows-first-reshaped",
        "an array with the windows first, (OH*OW, N, C*KH*KW), is reshaped to (N, C*KH*KW, OH*OW): reshape does not "
        "move axes; .transpose(1, 2, 0) does, and np.stack(patches, axis=-1) makes them so",
        _windows_first_reshaped,
    ),
    Mistake("first-image-only", "only the first image of the batch is taken: keep the axis N", _first_image),
    Mistake(
        "stride-ignored",
        "the stride is ignored: the windows move by 1. Window oh begins in row oh*stride",
        _with(stride=1),
    ),
    Mistake(
        "windows-one-apart",
        "there are as many windows as there should be, but they stand 1 apart: window oh begins in row oh*stride",
        _one_apart,
    ),
    Mistake(
        "rounded-too-early",
        "OH is taken as (H + 2*padding - KH + 1) // stride: divide first and then add 1, "
        "(H + 2*padding - KH) // stride + 1",
        _rounded_too_early,
    ),
    Mistake(
        "dilation-ignored",
        "the dilation is ignored: the pixels of a window lie side by side. Kernel row kh looks kh*dilation rows down",
        _with(dilation=1),
    ),
    Mistake(
        "stride-and-dilation-exchanged",
        "stride and dilation are exchanged: stride is between windows (oh*stride), dilation inside of one "
        "(kh*dilation)",
        _exchanged,
    ),
    Mistake("padding-forgotten", "the image is not padded", _with(padding=0)),
    Mistake(
        "padding-only-counted",
        "OH and OW count the padding, but the image is not padded: np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))",
        _unpadded,
    ),
    Mistake(
        "padding-top-left",
        "only the top and the left are padded; it takes zeros on all four sides",
        _padded(lambda p: ((p, 0), (p, 0))),
    ),
    Mistake(
        "padding-bottom-right",
        "only the bottom and the right are padded; it takes zeros on all four sides",
        _padded(lambda p: ((0, p), (0, p))),
    ),
    Mistake(
        "padding-all-at-the-end",
        "all the padding lies at the bottom and the right (the padded array has the right size, but the image is in "
        "its corner and not in its middle)",
        _padded(lambda p: ((0, 2 * p), (0, 2 * p))),
    ),
    Mistake("padding-of-every-axis", EVERY_AXIS, _every_axis_padded),
    Mistake("padding-of-every-axis-in-a-loop", EVERY_AXIS, _every_axis_in_a_loop),
    Mistake("padding-by-the-edge", "the padding repeats the edge of the image; it is zeros", _repeated_edge),
    Mistake(
        "one-window-less",
        "the last row and column of windows are missing: there are (H + 2*padding - KH)//stride + 1 of them; is the "
        "+ 1 forgotten?",
        _one_window_less,
    ),
)
