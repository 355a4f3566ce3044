"""What goes wrong in the gradient of max-pooling: who wins a tie, what the padding is, and overlaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ops import avg_pool_backward, avg_pool_forward, col2im, im2col, max_pool_backward, max_pool_forward
from ...typing import Array
from ..exercise import Mistake

Size = tuple[int, int]


def correct(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    """The library's own."""
    _, cache = max_pool_forward(x, kernel_size, stride=stride, padding=padding)
    return max_pool_backward(dy, cache)


def _windows(x: Array, kernel_size: Size, stride: int, padding: int, fill: float) -> Array:
    """(N, C, KH*KW, OH*OW), with this number in the padding."""
    N, C = x.shape[:2]
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    xp = np.pad(x, sides, constant_values=fill)
    return im2col(xp, kernel_size, stride=stride).reshape(N, C, kernel_size[0] * kernel_size[1], -1)


def _shared(shares: Callable[[Array], Array], fill: float = -np.inf) -> Callable[..., Array]:
    """dx where each window hands out its dy by these shares (N, C, KH*KW, OH*OW) of its numbers."""

    def function(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
        N, C, H, W = x.shape
        given = shares(_windows(x, kernel_size, stride, padding, fill)) * dy.reshape(N, C, 1, -1)
        padded = (N, C, H + 2 * padding, W + 2 * padding)
        dxp = col2im(given.reshape(N, -1, given.shape[-1]).astype(x.dtype), padded, kernel_size, stride=stride)
        return dxp[:, :, padding : padding + H, padding : padding + W]

    return function


def _all_ties(windows: Array) -> Array:
    made: Array = (windows == windows.max(2, keepdims=True)).astype(float)
    return made


def _even(windows: Array) -> Array:
    ties = _all_ties(windows)
    made: Array = ties / ties.sum(2, keepdims=True)
    return made


def _one(place: Array, windows: Array) -> Array:
    made: Array = (np.arange(windows.shape[2])[:, None] == place[:, :, None]).astype(float)
    return made


def _first(windows: Array) -> Array:
    return _one(windows.argmax(2), windows)


def _last(windows: Array) -> Array:
    return _one(windows.shape[2] - 1 - windows[:, :, ::-1].argmax(2), windows)


def _smallest(windows: Array) -> Array:
    return _one(np.where(np.isinf(windows), np.inf, windows).argmin(2), windows)


def _largest_size(windows: Array) -> Array:
    return _one(np.where(np.isinf(windows), -1, np.abs(windows)).argmax(2), windows)


def _times_maximum(windows: Array) -> Array:
    made: Array = _first(windows) * windows.max(2, keepdims=True)
    return made


def _mean(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    _, cache = avg_pool_forward(x, kernel_size, stride=stride, padding=padding)
    return avg_pool_backward(dy, cache)


def _everywhere(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    return _shared(np.ones_like)(dy, x, kernel_size, stride, padding)


def _overwritten(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    """Each window writes to its winner; the last one stays."""
    return _written(dy, x, kernel_size, stride, padding, whole=False)


def _patch_overwritten(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    """Each window writes all its places, zeros too."""
    return _written(dy, x, kernel_size, stride, padding, whole=True)


def _written(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int, *, whole: bool) -> Array:
    (N, C, H, W), (KH, KW) = x.shape, kernel_size
    wins = _first(_windows(x, kernel_size, stride, padding, -np.inf)).reshape(N, C, KH, KW, *dy.shape[2:])
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    for n, c, oh, ow in np.ndindex(*dy.shape):
        window = dxp[n, c, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        won = wins[n, c, :, :, oh, ow]
        window[...] = np.where(won == 1, dy[n, c, oh, ow], 0 if whole else window)
    return dxp[:, :, padding : padding + H, padding : padding + W]


def _side_by_side(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    """The windows stand as if the stride were the kernel's size."""
    (H, W), (KH, KW) = x.shape[2:], kernel_size
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    dxp = np.zeros_like(xp)
    for n, c, oh, ow in np.ndindex(*dy.shape):
        window = xp[n, c, oh * KH : oh * KH + KH, ow * KW : ow * KW + KW]
        if window.size:
            place = np.unravel_index(window.argmax(), window.shape)
            dxp[n, c, oh * KH + place[0], ow * KW + place[1]] += dy[n, c, oh, ow]
    return dxp[:, :, padding : padding + H, padding : padding + W]


def _not_cropped(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    return correct(dy, xp, kernel_size, stride)


def _from_the_corner(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
    return _not_cropped(dy, x, kernel_size, stride, padding)[:, :, : x.shape[2], : x.shape[3]]


def _unpadded(best: Callable[[Array], Array]) -> Callable[..., Array]:
    """As many windows as the padded image has, on the image itself; at the edge they are cut, or empty."""

    def function(dy: Array, x: Array, kernel_size: Size, stride: int, padding: int = 0) -> Array:
        dx, (KH, KW) = np.zeros_like(x), kernel_size
        for n, c, oh, ow in np.ndindex(*dy.shape):
            here = (n, c, slice(oh * stride, oh * stride + KH), slice(ow * stride, ow * stride + KW))
            dx[here] += best(x[here]) * dy[n, c, oh, ow]
        return dx

    return function


def _mask_of_all(window: Array) -> Array:
    made: Array = window == window.max()
    return made


def _mask_of_first(window: Array) -> Array:
    made: Array = (np.arange(window.size) == window.argmax()).reshape(window.shape)
    return made


UNPADDED = (
    "the windows begin at oh*stride of x itself: with padding they begin at oh*stride - padding. Pad x with -np.inf, "
    "work on that, and cut the padding off dx"
)

MISTAKES = (
    Mistake(
        "all-ties",
        "every number that equals the maximum receives the gradient, as with a mask x == max: where there are ties it "
        "is handed out several times. Only the first one wins: argmax",
        _shared(_all_ties),
    ),
    Mistake(
        "ties-share",
        "equal numbers share the gradient: a fair rule, but here, as in PyTorch, the first one takes all",
        _shared(_even),
    ),
    Mistake(
        "last-wins",
        "of equal numbers the last one wins, as with >= while going through the window; it takes > (or argmax)",
        _shared(_last),
    ),
    Mistake(
        "padding-of-zeros",
        "the padding is 0 and wins against negative numbers: pad with -np.inf",
        _shared(_first, fill=0.0),
    ),
    Mistake("not-padded", UNPADDED, _unpadded(_mask_of_first)),
    Mistake("not-padded-all-ties", UNPADDED, _unpadded(_mask_of_all)),
    Mistake(
        "overwritten",
        "where two windows have the same winner, the later gradient overwrites the earlier one: = where it takes +=",
        _overwritten,
    ),
    Mistake(
        "patch-overwritten",
        "every window writes its whole patch, zeros included, over what overlapping windows have left: = where it "
        "takes +=",
        _patch_overwritten,
    ),
    Mistake("mean", "every number of the window gets an equal part: that is the gradient of average pooling", _mean),
    Mistake("everywhere", "every number of the window receives the whole gradient: only the largest may", _everywhere),
    Mistake(
        "times-the-maximum",
        "dy is multiplied with the maximum: the derivative of max(...) by its largest number is 1",
        _shared(_times_maximum),
    ),
    Mistake("smallest", "the smallest number of the window receives the gradient", _shared(_smallest)),
    Mistake(
        "largest-size",
        "the number that is furthest from 0 receives the gradient: the largest is meant, with its sign",
        _shared(_largest_size),
    ),
    Mistake(
        "stride-ignored",
        "the windows stand side by side, a kernel's size apart: window oh begins in row oh*stride",
        _side_by_side,
    ),
    Mistake("padding-not-cropped", "dx still has the padding: cut off p rows and columns on every side", _not_cropped),
    Mistake(
        "cropped-by-minus-p",
        "the padding is cut off dx by [p:-p]: for p = 0 that is [0:0], which is empty. Write p : p + H",
        lambda dy, x, kernel_size, stride, padding=0: _not_cropped(dy, x, kernel_size, stride, padding)[
            :, :, padding:-padding, padding:-padding
        ],
    ),
    Mistake(
        "cropped-at-the-start-only",
        "the padding is cut off only at the top and the left: [:, :, p : p + H] with the H and W of x, not of the "
        "padded x",
        lambda dy, x, kernel_size, stride, padding=0: _not_cropped(dy, x, kernel_size, stride, padding)[
            :, :, padding:, padding:
        ],
    ),
    Mistake(
        "cropped-from-the-corner",
        "dx is cut from the corner of the padded gradient, [:, :, :H, :W]; the image begins at row and column p",
        _from_the_corner,
    ),
)
