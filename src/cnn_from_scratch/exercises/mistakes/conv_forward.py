"""What goes wrong in a convolution: the bias, the kernel's direction, the windows, and the way back from a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import conv_forward, im2col
from ...typing import Array
from ..exercise import Mistake


def correct(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """The library's own, by the columns that the exercise speaks of."""
    return conv_forward(x, weight, bias, stride=stride, padding=padding, algorithm="im2col")[0]


def _on(change: Callable[..., tuple[Array, Array, Array]]) -> Callable[..., Array]:
    """The right function on other images, filters or biases."""

    def function(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
        return correct(*change(x, weight, bias), stride, padding)

    return function


def _after(change: Callable[[Array], Array]) -> Callable[..., Array]:
    """The right result, changed."""

    def function(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
        return change(correct(x, weight, bias, stride, padding))

    return function


def _bias(add: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """The bias put to the products in another way."""

    def function(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
        return add(correct(x, weight, np.zeros_like(bias), stride, padding), bias)

    return function


def _padded(sides: Callable[[int], Any]) -> Callable[..., Array]:
    def function(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
        return conv_forward(x, weight, bias, stride=stride, padding=sides(padding), algorithm="im2col")[0]

    return function


def _stride_ignored(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias, 1, padding)


def _windows_one_apart(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """As many windows as is right, but 1 apart."""
    OH, OW = correct(x, weight, bias, stride, padding).shape[2:]
    return correct(x, weight, bias, 1, padding)[:, :, :OH, :OW]


def _bias_with_each_product(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias * weight[0].size, stride, padding)


def _bias_with_each_offset(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias * weight[0, 0].size, stride, padding)


def _bias_with_each_channel(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias * weight.shape[1], stride, padding)


def _columns_in_one_row(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """(N*OH*OW, F), reshaped to (N, F, OH, OW) without moving F."""
    y = correct(x, weight, bias, stride, padding)
    return np.moveaxis(y, 1, -1).reshape(y.shape)


def _filters_first(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """(F, N*OH*OW), reshaped to (N, F, OH, OW) without moving F."""
    y = correct(x, weight, bias, stride, padding)
    return np.moveaxis(y, 1, 0).reshape(y.shape)


def _channel_last(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """Filters in the order (kh, kw, c) meet columns in the order (c, kh, kw)."""
    F, C, KH, KW = weight.shape
    rows = weight.transpose(0, 2, 3, 1).reshape(F, C, KH, KW)
    return correct(x, rows, bias, stride, padding)


def _one_window_less(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias, stride, padding)[:, :, :-1, :-1]


def _last_product(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    cols = im2col(x, weight.shape[2:], stride=stride, padding=padding)
    last = weight.reshape(len(weight), -1)[:, -1]
    y = correct(x, weight, bias, stride, padding)
    return (cols[:, -1][:, None] * last[:, None] + bias[:, None]).reshape(y.shape)


def _unpadded(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """As many windows as the padded image has, on the image itself; at the edge they are cut."""
    y, (KH, KW) = np.zeros_like(correct(x, weight, bias, stride, padding)), weight.shape[2:]
    for n, f, oh, ow in np.ndindex(*y.shape):
        patch = x[n, :, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        y[n, f, oh, ow] = (patch * weight[f]).sum() + bias[f]
    return y


def _rounded_too_early(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    """OH = (H + 2*padding - KH + 1) // stride"""
    OH, OW = ((size + 2 * padding - k + 1) // stride for size, k in zip(x.shape[2:], weight.shape[2:], strict=True))
    return correct(x, weight, bias, stride, padding)[:, :, :OH, :OW]


MISTAKES = (
    Mistake(
        "bias-forgotten",
        "the bias is forgotten: bias[f] is added to every number of map f",
        _bias(lambda y, bias: y),
    ),
    Mistake(
        "bias-along-the-columns",
        "the bias is added along the last axis, as y + bias does: NumPy pairs axes from the right, so it takes "
        "bias[:, None, None], or bias.reshape(1, -1, 1, 1)",
        _bias(lambda y, bias: y + bias),
    ),
    Mistake(
        "bias-along-the-rows",
        "the bias is added along the rows of a map: bias[:, None] stands at OH; it takes bias[:, None, None]",
        _bias(lambda y, bias: y + bias[:, None]),
    ),
    Mistake(
        "bias-with-each-product",
        "the bias is added with every product, inside of the sum, and not once",
        _bias_with_each_product,
    ),
    Mistake(
        "bias-with-each-offset",
        "the bias is added inside of the loop over kh and kw, as often as the kernel has places: add it once, behind "
        "it",
        _bias_with_each_offset,
    ),
    Mistake(
        "bias-with-each-channel",
        "the bias is added once for each channel: add it after the sum over the channels",
        _bias_with_each_channel,
    ),
    Mistake(
        "flipped-kernel",
        "the kernel is flipped: that is true convolution, as mathematics has it. Networks do cross-correlation: "
        "weight[kh, kw] meets the pixel at +kh, +kw",
        _on(lambda x, weight, bias: (x, weight[:, :, ::-1, ::-1], bias)),
    ),
    Mistake(
        "transposed-kernel",
        "rows and columns of the kernel are exchanged: weight[f, c, kw, kh] where it takes weight[f, c, kh, kw]",
        _on(lambda x, weight, bias: (x, weight.swapaxes(2, 3), bias)),
    ),
    Mistake("stride-ignored", "the stride is ignored: the filter moves by 1", _stride_ignored),
    Mistake(
        "windows-one-apart",
        "there are as many windows as there should be, but they stand 1 apart: window oh begins in row oh*stride",
        _windows_one_apart,
    ),
    Mistake(
        "rounded-too-early",
        "OH is taken as (H + 2*padding - KH + 1) // stride: divide first and then add 1, "
        "(H + 2*padding - KH) // stride + 1",
        _rounded_too_early,
    ),
    Mistake(
        "padding-only-counted",
        "OH and OW count the padding, but the image is not padded: np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))",
        _unpadded,
    ),
    Mistake("padding-forgotten", "the image is not padded", _padded(lambda p: 0)),
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
        "all the padding lies at the bottom and the right: the image is in a corner of the padded array, not in its "
        "middle",
        _padded(lambda p: ((0, 2 * p), (0, 2 * p))),
    ),
    Mistake(
        "last-channel-only",
        "only the last channel counts: the products of the channels overwrite each other (= instead of +=)",
        _on(lambda x, weight, bias: (x[:, -1:], weight[:, -1:], bias)),
    ),
    Mistake(
        "first-channel-only",
        "only the first channel counts: sum over all channels of the image",
        _on(lambda x, weight, bias: (x[:, :1], weight[:, :1], bias)),
    ),
    Mistake(
        "mean-instead-of-sum",
        "the products are averaged, not added up",
        _on(lambda x, weight, bias: (x, weight / weight[0].size, bias)),
    ),
    Mistake(
        "last-product-only",
        "only the last product of each window is left: = where it takes += (or y = 0 inside of the loop)",
        _last_product,
    ),
    Mistake(
        "filters-channel-last",
        "the filters are laid out as (kh, kw, c) while the columns are (c, kh, kw): weight.reshape(F, -1) is the right "
        "order as it is",
        _channel_last,
    ),
    Mistake(
        "reshaped-from-filters-last",
        "an array (N, OH*OW, F) is reshaped to (N, F, OH, OW): the right numbers land in the wrong places, for reshape "
        "does not move axes. Reshape to (N, OH, OW, F) first, then .transpose(0, 3, 1, 2)",
        _columns_in_one_row,
    ),
    Mistake(
        "reshaped-from-filters-first",
        "an array (F, N*OH*OW) is reshaped to (N, F, OH, OW): the right numbers land in the wrong places, for reshape "
        "does not move axes. Reshape to (F, N, OH, OW) first, then exchange F and N",
        _filters_first,
    ),
    Mistake(
        "filters-last",
        "the maps are the last axis, (N, OH, OW, F): they belong behind N. y.transpose(0, 3, 1, 2) brings them there",
        _after(lambda y: y.transpose(0, 2, 3, 1)),
    ),
    Mistake(
        "one-window-less",
        "the last row and column are missing: OH = (H + 2*padding - KH)//stride + 1; is the + 1 forgotten?",
        _one_window_less,
    ),
)
