"""What goes wrong in col2im: overlaps that do not add up, the way back through the padding, the order of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import col2im
from ...ops.utils import conv_geometry
from ...typing import Array
from ..exercise import Mistake

Size = tuple[int, int]
Shape = tuple[int, int, int, int]


def _reordered(change: Callable[[Array], Array], names: str) -> Callable[..., Array]:
    """Columns read in another order: `names` says which of N C KH KW OH OW each axis is taken for."""

    def function(
        cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        settings = {"stride": stride, "padding": padding, "dilation": dilation}
        N, C, H, W = input_shape
        geometry = conv_geometry("col2im", (H, W), kernel_size, stride, padding, dilation)
        sizes = dict(zip(("N", "C", "KH", "KW", "OH", "OW"), (N, C, *kernel_size, *geometry.output), strict=True))
        six = change(cols.reshape([sizes[name] for name in names.split()]))  # (N, C, KH, KW, OH, OW)
        return col2im(six.reshape(cols.shape), input_shape, kernel_size, **settings)

    return function


def _with(**other: Any) -> Callable[..., Array]:
    """The windows stand as they would with other settings; columns that do not fit raise, as a loop would."""

    def function(
        cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        right = {"stride": stride, "padding": padding, "dilation": dilation}
        return _scattered(cols, input_shape, kernel_size, right, right | other, add=True, crop=True)

    return function


def _scattered(
    cols: Array,
    input_shape: Shape,
    kernel_size: Size,
    right: dict[str, int],
    taken: dict[str, int],
    *,
    add: bool,
    crop: bool,
) -> Array:
    """The textbook loop, with as many windows as is right, that stand where other settings put them."""
    N, C, H, W = input_shape
    (KH, KW), (OH, OW) = kernel_size, conv_geometry("col2im", (H, W), kernel_size, *right.values()).output
    P, S, D = right["padding"], taken["stride"], taken["dilation"]
    six = cols.reshape(N, C, KH, KW, OH, OW)
    xp = np.zeros((N, C, H + 2 * P, W + 2 * P), cols.dtype)
    for kh in range(KH):
        for kw in range(KW):
            window = xp[:, :, kh * D :: S, kw * D :: S][:, :, :OH, :OW]
            window[...] = window + six[:, :, kh, kw] if add else six[:, :, kh, kw]
    return xp[:, :, P : P + H, P : P + W] if crop else xp


def _changed(*, add: bool = True, crop: bool = True) -> Callable[..., Array]:
    def function(
        cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        right = {"stride": stride, "padding": padding, "dilation": dilation}
        return _scattered(cols, input_shape, kernel_size, right, right, add=add, crop=crop)

    return function


def _cut(rows: Callable[[Array, int, int, int], Array]) -> Callable[..., Array]:
    """The padded image cut in another way."""

    def function(
        cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        xp = _changed(crop=False)(cols, input_shape, kernel_size, stride, padding, dilation)
        return rows(xp, padding, *input_shape[2:])

    return function


def _averaged(
    cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    total = col2im(cols, input_shape, kernel_size, **settings)
    return total / np.maximum(col2im(np.ones_like(cols), input_shape, kernel_size, **settings), 1)


def _by_windows(*, add: bool, pad: bool) -> Callable[..., Array]:
    """The loop over windows instead of kernel offsets."""

    def function(
        cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        (N, C, H, W), (KH, KW), P = input_shape, kernel_size, padding if pad else 0
        OH, OW = conv_geometry("col2im", (H, W), kernel_size, stride, padding, dilation).output
        six = cols.reshape(N, C, KH, KW, OH, OW)
        xp = np.zeros((N, C, H + 2 * P, W + 2 * P), cols.dtype)
        for oh, ow in np.ndindex(OH, OW):
            rows = slice(oh * stride, oh * stride + dilation * (KH - 1) + 1, dilation)
            columns = slice(ow * stride, ow * stride + dilation * (KW - 1) + 1, dilation)
            if add:
                xp[:, :, rows, columns] += six[..., oh, ow]
            else:
                xp[:, :, rows, columns] = six[..., oh, ow]
        return xp[:, :, P : P + H, P : P + W]

    return function


def _unpadded(
    cols: Array, input_shape: Shape, kernel_size: Size, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Array:
    """The loop over kernel offsets, into an image that is not padded."""
    (N, C, H, W), (KH, KW) = input_shape, kernel_size
    OH, OW = conv_geometry("col2im", (H, W), kernel_size, stride, padding, dilation).output
    six, x = cols.reshape(N, C, KH, KW, OH, OW), np.zeros(input_shape, cols.dtype)
    for kh, kw in np.ndindex(KH, KW):
        top, left = kh * dilation, kw * dilation
        rows, columns = (
            slice(top, top + stride * (OH - 1) + 1, stride),
            slice(left, left + stride * (OW - 1) + 1, stride),
        )
        x[:, :, rows, columns] += six[:, :, kh, kw]
    return x


OVERWRITTEN = (
    "overlapping patches overwrite each other: = where it takes +=. (With index arrays, x[i, j] += ... keeps only one "
    "of several contributions to the same pixel, too: np.add.at keeps all)"
)
UNPADDED = (
    "the columns of the padded image are put into one without padding: make zeros of (H + 2*padding, W + 2*padding), "
    "and cut the padding off at the end"
)

MISTAKES = (
    Mistake(
        "overwritten",
        OVERWRITTEN,
        _changed(add=False),
    ),
    Mistake("overwritten-window-by-window", OVERWRITTEN, _by_windows(add=False, pad=True)),
    Mistake("not-padded", UNPADDED, _unpadded),
    Mistake("not-padded-window-by-window", UNPADDED, _by_windows(add=True, pad=False)),
    Mistake(
        "averaged",
        "the sum is divided by the number of windows that cover the pixel: that is the inverse of im2col. A gradient "
        "asks for the sum",
        _averaged,
    ),
    Mistake(
        "padding-not-cropped",
        "the padding is still there: cut it off, xp[:, :, p : p + H, p : p + W]",
        _changed(crop=False),
    ),
    Mistake(
        "cropped-at-the-start-only",
        "the padding is cut off only at the top and the left: xp[:, :, p:, p:] keeps the bottom and the right",
        _cut(lambda xp, P, H, W: xp[:, :, P:, P:]),
    ),
    Mistake(
        "cropped-by-minus-p",
        "the padding is cut off by [p:-p]: for p = 0 that is [0:0], which is empty. Write p : p + H",
        _cut(lambda xp, P, H, W: xp[:, :, P:-P, P:-P]),
    ),
    Mistake(
        "cropped-from-the-corner",
        "the padding is not taken off the positions, as in xp[:, :, :H, :W]: the image begins at row and column p of "
        "the padded one",
        _cut(lambda xp, P, H, W: xp[:, :, :H, :W]),
    ),
    Mistake(
        "stride-ignored",
        "the stride is ignored: the windows lie 1 apart. Window oh begins in row oh*stride",
        _with(stride=1),
    ),
    Mistake(
        "dilation-ignored",
        "the dilation is ignored: kernel row kh belongs kh*dilation rows below the first",
        _with(dilation=1),
    ),
    Mistake(
        "flipped-kernel",
        "the kernel offsets run backwards: what belongs to (kh, kw) goes to (KH-1-kh, KW-1-kw)",
        _reordered(lambda six: six[:, :, ::-1, ::-1], "N C KH KW OH OW"),
    ),
    Mistake(
        "transposed-kernel",
        "the rows of cols are read as (c, kw, kh) instead of (c, kh, kw)",
        _reordered(lambda six: six.transpose(0, 1, 3, 2, 4, 5), "N C KW KH OH OW"),
    ),
    Mistake(
        "channel-last",
        "the rows of cols are read as (kh, kw, c) instead of (c, kh, kw): the channel is the slowest",
        _reordered(lambda six: six.transpose(0, 3, 1, 2, 4, 5), "N KH KW C OH OW"),
    ),
    Mistake(
        "columns-transposed",
        "the columns of cols are read as (ow, oh) instead of (oh, ow)",
        _reordered(lambda six: six.transpose(0, 1, 2, 3, 5, 4), "N C KH KW OW OH"),
    ),
)
