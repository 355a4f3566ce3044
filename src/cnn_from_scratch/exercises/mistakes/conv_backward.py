"""What goes wrong on the way back through a convolution: sums over too little or too much, and flips."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ...ops import col2im, conv_backward, conv_forward, im2col
from ...ops.utils import crop_sides
from ...typing import Array
from ..exercise import Mistake
from .col2im import MISTAKES as OF_COL2IM

Gradients: TypeAlias = tuple[Array, Array, Array]


def correct(dy: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0) -> Gradients:
    """The library's own, by the columns that the exercise speaks of."""
    bias = np.zeros(len(weight), x.dtype)
    _, cache = conv_forward(x, weight, bias, stride=stride, padding=padding, algorithm="im2col")
    dx, dweight, dbias = conv_backward(dy, cache)
    assert dx is not None
    assert dbias is not None
    return dx, dweight, dbias


def _changed(change: Callable[[Gradients, Array], Gradients]) -> Callable[..., Gradients]:
    """The right gradients, changed; dy is at hand."""

    def function(dy: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0) -> Gradients:
        return change(correct(dy, x, weight, stride, padding), dy)

    return function


def _other_dx(make: Callable[[Array, Array, Array, int, int], Array]) -> Callable[..., Gradients]:
    def function(dy: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0) -> Gradients:
        _, dweight, dbias = correct(dy, x, weight, stride, padding)
        return make(dy, x, weight, stride, padding), dweight, dbias

    return function


def _other_dweight(make: Callable[[Array, Array, Array, int, int], Array]) -> Callable[..., Gradients]:
    def function(dy: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0) -> Gradients:
        dx, _, dbias = correct(dy, x, weight, stride, padding)
        return dx, make(dy, x, weight, stride, padding), dbias

    return function


def _dcols(dy: Array, weight: Array) -> Array:
    """weight^T @ dy: the gradient of the columns, (N, C*KH*KW, OH*OW)."""
    N, F = dy.shape[:2]
    return weight.reshape(F, -1).T @ dy.reshape(N, F, -1)


def _by_col2im(name: str) -> Callable[[Array, Array, Array, int, int], Array]:
    """dx by a col2im that makes the mistake of this name."""
    wrong = next(mistake.function for mistake in OF_COL2IM if mistake.name == name)

    def dx(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
        found: Array = wrong(_dcols(dy, weight), x.shape, weight.shape[2:], stride, padding)
        return found

    return dx


def _unflipped(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dx as the correlation of the padded dy with filters that are not turned round."""
    return correct(dy, x, weight[:, :, ::-1, ::-1], stride, padding)[0]


def _each_example(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dweight of each example by itself: (N, F, C, KH, KW)."""
    cols = im2col(x, weight.shape[2:], stride=stride, padding=padding)
    return (dy.reshape(*dy.shape[:2], -1) @ cols.swapaxes(1, 2)).reshape(len(x), *weight.shape)


def _dweight_one_apart(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """The windows met dy as if they stood 1 apart."""
    (N, F, OH, OW), (KH, KW) = dy.shape, weight.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    near = im2col(np.ascontiguousarray(xp[:, :, : OH + KH - 1, : OW + KW - 1]), (KH, KW))
    made: Array = (dy.reshape(N, F, -1) @ near.swapaxes(1, 2)).sum(0).reshape(weight.shape)
    return made


def _dweight_without_padding(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """The positions of the image, and not of the padded one; what looks outside counts 0."""
    shifted = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
    return correct(dy, shifted, weight, stride, 0)[1]


def _dx_one_apart(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    return _by_col2im("stride-ignored")(dy, x, weight, stride, padding)


def _dx_first_filter(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    return col2im(_dcols(dy[:, -1:], weight[-1:]), _four(x), _two(weight), stride=stride, padding=padding)


def _four(x: Array) -> tuple[int, int, int, int]:
    N, C, H, W = x.shape
    return N, C, H, W


def _two(weight: Array) -> tuple[int, int]:
    KH, KW = weight.shape[2:]
    return KH, KW


def _dweight_last_window(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dy times the patch of the last window of the last example."""
    cols = im2col(x, _two(weight), stride=stride, padding=padding)
    made: Array = (dy[-1, :, -1, -1][:, None] * cols[-1, :, -1]).reshape(weight.shape)
    return made


def _dx_overwritten_by_windows(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """Loops over n, f, oh, ow, each of which writes its patch over what was there."""
    (H, W), (KH, KW), P = x.shape[2:], weight.shape[2:], padding
    dxp = np.zeros((*x.shape[:2], H + 2 * P, W + 2 * P), x.dtype)
    for n, f, oh, ow in np.ndindex(*dy.shape):
        rows, columns = slice(oh * stride, oh * stride + KH), slice(ow * stride, ow * stride + KW)
        dxp[n, :, rows, columns] = dy[n, f, oh, ow] * weight[f]
    return dxp[:, :, P : P + H, P : P + W]


def _padding_of_result(dy: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """dx cut from a padded one that was never padded: twice as much is lost; filled up with zeros."""
    dx = correct(dy, x, weight, stride, padding)[0]
    inner = crop_sides(dx, ((padding, padding), (padding, padding)))
    return np.pad(inner, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


MISTAKES = (
    Mistake(
        "dx-flipped-kernel",
        "dx is computed with a kernel that is turned the wrong way: seen as a convolution of the padded dy, the way "
        "back needs the kernel flipped in both axes; col2im needs no flip at all",
        _other_dx(_unflipped),
    ),
    Mistake(
        "dx-overwritten",
        "in dx overlapping windows overwrite each other: = where it takes +=",
        _other_dx(_by_col2im("overwritten")),
    ),
    Mistake(
        "dx-overwritten-window-by-window",
        "in dx overlapping windows, and filters, overwrite each other: = where it takes +=",
        _other_dx(_dx_overwritten_by_windows),
    ),
    Mistake(
        "dx-padding-not-cropped",
        "dx still has the padding: cut off p rows and columns on every side",
        _other_dx(_by_col2im("padding-not-cropped")),
    ),
    Mistake(
        "dx-cropped-by-minus-p",
        "the padding is cut off dx by [p:-p]: for p = 0 that is [0:0], which is empty. Write p : p + H",
        _other_dx(_by_col2im("cropped-by-minus-p")),
    ),
    Mistake(
        "dx-cropped-from-the-corner",
        "dx is cut from the corner of the padded gradient, [:, :, :H, :W]; the image begins at row and column p",
        _other_dx(_by_col2im("cropped-from-the-corner")),
    ),
    Mistake(
        "dx-loses-the-edge",
        "p rows and columns at the edges of dx are 0: the padding is cut off the image instead of the padded image",
        _other_dx(_padding_of_result),
    ),
    Mistake(
        "dx-stride-ignored",
        "in dx the stride is ignored: dy[oh] belongs to the window that begins in row oh*stride",
        _other_dx(_dx_one_apart),
    ),
    Mistake(
        "dx-last-filter-only",
        "in dx only the last filter counts: every filter saw the pixel, so sum over f (= instead of +=?)",
        _other_dx(_dx_first_filter),
    ),
    Mistake(
        "dx-divided-by-batch",
        "dx is divided by N: the loss has done that already, dy comes with it",
        _changed(lambda g, dy: (g[0] / len(dy), g[1], g[2])),
    ),
    Mistake(
        "dweight-not-summed",
        "dweight is not summed over the batch: every example used the same filter, so their gradients add up, .sum(0)",
        _other_dweight(_each_example),
    ),
    Mistake(
        "dweight-divided-by-batch",
        "dweight is divided by N: it takes the sum over the batch. The loss, if it is a mean, has divided already",
        _changed(lambda g, dy: (g[0], g[1] / len(dy), g[2])),
    ),
    Mistake(
        "dweight-last-example-only",
        "in dweight only the last example counts: each overwrites the one before (= instead of +=)",
        _other_dweight(lambda *given: _each_example(*given)[-1]),
    ),
    Mistake(
        "dweight-last-window-only",
        "in dweight only the last window counts: each overwrites the one before, = where it takes +=",
        _other_dweight(_dweight_last_window),
    ),
    Mistake(
        "dweight-flipped",
        "dweight is flipped in both kernel axes",
        _changed(lambda g, dy: (g[0], g[1][:, :, ::-1, ::-1], g[2])),
    ),
    Mistake(
        "dweight-transposed",
        "rows and columns of dweight are exchanged",
        _changed(lambda g, dy: (g[0], g[1].swapaxes(2, 3), g[2])),
    ),
    Mistake(
        "dweight-stride-ignored",
        "in dweight the stride is ignored: dy[oh] met the pixels from row oh*stride on",
        _other_dweight(_dweight_one_apart),
    ),
    Mistake(
        "dweight-padding-forgotten",
        "dweight is computed from the image without its padding in front: dy[oh, ow] met the padded image",
        _other_dweight(_dweight_without_padding),
    ),
    Mistake(
        "dbias-of-columns",
        "dbias is summed over (0, 1, 2) and so has a number for each column: what stays is the axis of the filters, "
        "dy.sum((0, 2, 3))",
        _changed(lambda g, dy: (g[0], g[1], dy.sum((0, 1, 2)))),
    ),
    Mistake(
        "dbias-not-over-positions",
        "dbias is summed over the batch only: the bias was added at every position, too; dy.sum((0, 2, 3))",
        _changed(lambda g, dy: (g[0], g[1], dy.sum(0))),
    ),
    Mistake(
        "dbias-not-over-batch",
        "dbias is summed over the positions only, and not over the batch; dy.sum((0, 2, 3))",
        _changed(lambda g, dy: (g[0], g[1], dy.sum((2, 3)))),
    ),
    Mistake(
        "dbias-averaged",
        "dbias is a mean: it takes the sum",
        _changed(lambda g, dy: (g[0], g[1], dy.mean((0, 2, 3)))),
    ),
    Mistake(
        "dbias-divided-by-batch",
        "dbias is divided by N: it takes the sum over the batch",
        _changed(lambda g, dy: (g[0], g[1], g[2] / len(dy))),
    ),
    Mistake(
        "dbias-of-everything",
        "dbias is the sum of all of dy: every filter has a bias, and a sum, of its own; dy.sum((0, 2, 3))",
        _changed(lambda g, dy: (g[0], g[1], np.full_like(g[2], dy.sum()))),
    ),
)
