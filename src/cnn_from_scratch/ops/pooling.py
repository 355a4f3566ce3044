"""Max pooling: of every window only the largest value goes on, and only its pixel receives the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..typing import Array, Padding, Pair
from .dtypes import float_op
from .pool_windows import Plane, overhanging, overlapping, pool_geometry, tiling, windows
from .utils import ConvGeometry, check_shape, empty_nchw, zeros_nchw


class MaxPoolCache(NamedTuple):
    """What `max_pool_backward` needs: it looks again for the pixels of `x` that equal `y`."""

    x: Array  # (N, C, H, W)    borrowed, never written
    y: Array  # (N, C, OH, OW)
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
    y = empty_nchw((*x.shape[:2], *geometry.output), x.dtype, like=x)  # (N, C, OH, OW)
    places = list(windows(geometry))
    if overhanging(geometry):
        y.fill(-np.inf)
    else:
        y[...] = x[places.pop(0)[1]]
    for outputs, pixels in places:
        np.maximum(y[outputs], x[pixels], out=y[outputs])
    return y, MaxPoolCache(x, y, geometry)


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
    x, y, geometry = cache
    check_shape("max_pool_backward", "dy", dy, y.shape)
    dx = empty_nchw(x.shape, x.dtype, like=x)
    if not tiling(geometry):
        dx.fill(0)
    overlap = overlapping(geometry)
    for outputs, pixels, winners in _winners(cache):
        if overlap:
            dx[pixels] += np.multiply(_bits(dy[outputs]), winners).view(dy.dtype)
        else:
            np.multiply(_bits(dy[outputs]), winners, out=_bits(dx[pixels]))
    return dx


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
    H, W = cache.geometry.input
    places = np.arange(1, H * W + 1).reshape(H, W)  # counted from 1, so that 0 is none
    indices = zeros_nchw(cache.y.shape, np.int64, like=cache.y)
    for outputs, pixels, winners in _winners(cache):
        indices[outputs] += places[pixels] * winners
    indices -= 1
    return indices


def _winners(cache: MaxPoolCache) -> Iterator[tuple[Plane, Plane, Array]]:
    """For each kernel position in scan order: its outputs, their pixels, and which pixels are the first maximum."""
    x, y, geometry = cache
    undecided = np.ones_like(y, bool)
    has_nan = bool(np.isnan(y).any())
    *places, last = windows(geometry)
    if overhanging(geometry):  # then not every window meets a pixel at the last position
        places.append(last)
    for outputs, pixels in places:
        winners = x[pixels] == y[outputs]
        if has_nan:  # NaN equals nothing, not even itself
            winners |= np.isnan(x[pixels])
        winners &= undecided[outputs]
        undecided[outputs] ^= winners
        yield outputs, pixels, winners
    if not overhanging(geometry):  # what is undecided before the last position is decided: no need to look
        yield *last, undecided


def _bits(values: Array) -> Array:
    """The same memory as integers: times 1 they stay and times 0 they vanish, where inf * 0 would be NaN."""
    return values.view(np.dtype(f"i{values.itemsize}"))
