"""Max pooling: of every window only the largest value goes on, and only its pixel receives the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array, Padding, Pair
from .dtypes import float_op, require_cache
from .memory import empty_like
from .pool_pairs import gradient_of_pairs, in_pairs, indices_of_pairs, maxima_of_pairs
from .pool_windows import Plane, overhanging, overlapping, pool_geometry, tiling, windows
from .runs import bits
from .utils import ConvGeometry, check_shape, empty_nchw, zeros_nchw


class Maxima(NamedTuple):
    """Images and their maxima: enough to look again for the pixels of `x` that equal `y`."""

    x: Array  # (N, C, H, W)    borrowed, never written
    y: Array  # (N, C, OH, OW)


class Masks(NamedTuple):
    """Where the maxima of 2x2 windows are, without the images."""

    right: Array  # (N, C, 2*OH, OW)  whether the right one of two columns is the larger
    below: Array  # (N, C, OH, OW)    whether the lower one of two rows is the larger


class MaxPoolCache(NamedTuple):
    """What `max_pool_backward` needs."""

    found: Maxima | Masks
    shape: tuple[int, int, int, int]  # (N, C, H, W)
    dtype: np.dtype[Any]
    geometry: ConvGeometry


@float_op("x")
def max_pool_forward(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    train: bool = True,
) -> tuple[Array, MaxPoolCache]:
    """y[n, c, oh, ow] = max_{kh, kw} x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW], -inf where that is outside x

    Parameters
    ----------
    x : (N, C, H, W)
        Images.
    kernel_size : int or (KH, KW)
        Size of the window.
    stride : int or pair, optional
        Step between windows; the size of the window if not given.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns of -inf around the images, fewer than the window reaches over.
    dilation : int or pair
        Step between the pixels of one window.
    ceil_mode : bool
        Let a last window hang over the bottom or the right, if it starts inside the image or its leading padding.
    train : bool
        Whether a backward pass is expected. If so, 2x2 windows side by side note where their maxima are, and the cache
        does without x; if not, the cache borrows x, and a backward pass, which is possible all the same, looks again.

    Returns
    -------
    y : (N, C, OH, OW)
        In the memory order of x. NaN where a window holds a NaN; -inf where dilation lets it miss every pixel.
    cache : MaxPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d, a number is out of range, the window does not fit, or the padding is as large as the window.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Ranzato, Huang, Boureau, LeCun: Unsupervised learning of invariant feature hierarchies (2007).

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 5.0, 0.0],
    ...               [4.0, 3.0, 7.0, 6.0]]).reshape(1, 1, 2, 4)
    >>> y, cache = max_pool_forward(x, 2)
    >>> y[0, 0]
    array([[4., 7.]])
    """
    geometry = pool_geometry("max_pool_forward", x, kernel_size, stride, padding, dilation, ceil_mode)
    N, C, H, W = x.shape
    y = empty_nchw((N, C, *geometry.output), x.dtype, like=x)  # (N, C, OH, OW)
    found: Maxima | Masks = Maxima(x, y)
    if not in_pairs(geometry):
        _window_maxima(x, y, geometry)
    elif train:
        found = _empty_masks(x, geometry)
        maxima_of_pairs(x, y, *found)
    else:
        maxima_of_pairs(x, y)
    return y, MaxPoolCache(found, (N, C, H, W), x.dtype, geometry)


def _empty_masks(x: Array, geometry: ConvGeometry) -> Masks:
    (N, C, _, _), (OH, OW) = x.shape, geometry.output
    return Masks(*(empty_nchw((N, C, rows, OW), bool, like=x) for rows in (2 * OH, OH)))


def _window_maxima(x: Array, y: Array, geometry: ConvGeometry) -> None:
    """Write y: the maximum of the first pixel of all windows and the second, and of these and the third, and so on."""
    places = list(windows(geometry))
    if overhanging(geometry):
        y.fill(-np.inf)
    else:
        y[...] = x[places.pop(0)[1]]
    for outputs, pixels in places:
        np.maximum(y[outputs], x[pixels], out=y[outputs])


@float_op("dy")
def max_pool_backward(dy: Array, cache: MaxPoolCache) -> Array:
    """dx[n, c, h, w] = sum of dy[n, c, oh, ow] over the windows whose maximum is the pixel (h, w)

    Of several equal maxima the first in scan order (by rows, then columns) takes the whole gradient, as in PyTorch.
    A NaN counts as a maximum, and the first one takes the gradient.

    Parameters
    ----------
    dy : (N, C, OH, OW)
        Gradient that arrives from above.
    cache : MaxPoolCache
        From `max_pool_forward`; it is not changed.

    Returns
    -------
    dx : (N, C, H, W)
        In the memory order of x.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    The windows (1, 9) and (9, 2) share their maximum, which receives from both.

    >>> x = np.array([1.0, 9.0, 2.0]).reshape(1, 1, 1, 3)
    >>> y, cache = max_pool_forward(x, (1, 2), stride=1)
    >>> max_pool_backward(np.array([10.0, 20.0]).reshape(1, 1, 1, 2), cache).ravel()
    array([ 0., 30.,  0.])
    """
    found, shape, dtype, geometry = cache
    check_shape("max_pool_backward", "dy", dy, (*shape[:2], *geometry.output))
    dx = empty_nchw(shape, dtype, like=found[0])
    if isinstance(found, Masks):
        gradient_of_pairs(dy, *found, dx)
    else:
        _gradient_of_windows(dy, found, geometry, dx)
    return dx


def _gradient_of_windows(dy: Array, found: Maxima, geometry: ConvGeometry, dx: Array) -> None:
    """Write dx, kernel position by kernel position, as integers: bits times 0 vanish, where infinity * 0 were NaN."""
    if not tiling(geometry):
        dx.fill(0)
    room = empty_like(dy) if overlapping(geometry) else None
    for outputs, pixels, winners in _winners(found, geometry):
        if room is None:
            np.multiply(bits(dy[outputs]), winners, out=bits(dx[pixels]))
        else:
            np.multiply(bits(dy[outputs]), winners, out=bits(room[outputs]))
            dx[pixels] += room[outputs]


def max_pool_indices(cache: MaxPoolCache) -> Array:
    """indices[n, c, oh, ow] = h*W + w of the pixel (h, w) that is the maximum of the window (oh, ow)

    Parameters
    ----------
    cache : MaxPoolCache
        From `max_pool_forward`.

    Returns
    -------
    indices : (N, C, OH, OW) int64
        The first maximum in scan order, counted in the plane without padding; -1 where a window misses every pixel.

    Examples
    --------
    >>> y, cache = max_pool_forward(np.array([[1.0, 2.0], [5.0, 5.0]]).reshape(1, 1, 2, 2), 2)
    >>> max_pool_indices(cache).item()
    2
    """
    require_cache("max_pool_indices", cache, MaxPoolCache)
    found, shape, _, geometry = cache
    H, W = geometry.input
    if isinstance(found, Masks):
        return indices_of_pairs(*found, W)
    places = np.arange(1, H * W + 1).reshape(H, W)  # counted from 1, so that 0 is none
    indices = zeros_nchw(found.y.shape, np.int64, like=found.y)
    for outputs, pixels, winners in _winners(found, geometry):
        indices[outputs] += places[pixels] * winners
    indices -= 1
    return indices


def _winners(found: Maxima, geometry: ConvGeometry) -> Iterator[tuple[Plane, Plane, Array]]:
    """For each kernel position in scan order: its outputs, their pixels, and which pixels are the first maximum."""
    x, y = found
    undecided, room = empty_like(y, bool), empty_like(y, bool)
    undecided.fill(True)
    has_nan = bool(np.isnan(y.max(initial=0)))
    *places, last = windows(geometry)
    if overhanging(geometry):  # then not every window meets a pixel at the last position
        places.append(last)
    for outputs, pixels in places:
        winners = np.equal(x[pixels], y[outputs], out=room[outputs])
        if has_nan:  # NaN equals nothing, not even itself
            winners |= np.isnan(x[pixels])
        winners &= undecided[outputs]
        undecided[outputs] ^= winners
        yield outputs, pixels, winners
    if not overhanging(geometry):  # what is undecided before the last position is decided: no need to look
        yield *last, undecided
