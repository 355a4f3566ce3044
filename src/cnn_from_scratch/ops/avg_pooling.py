"""Average pooling: of every window the mean goes on, and every pixel of it receives the same share of the gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..typing import Array, Padding, Pair
from .dtypes import float_op
from .pool_windows import pool_geometry, windows
from .utils import ConvGeometry, check_shape, empty_nchw, zeros_nchw


class AvgPoolCache(NamedTuple):
    """What `avg_pool_backward` needs. Of x it is the shape, dtype and memory order: the mean is linear."""

    x: Array  # (N, C, H, W)  borrowed, never written
    counts: Array  # (OH, OW)      what each window's sum was divided by
    geometry: ConvGeometry


@float_op("x")
def avg_pool_forward(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> tuple[Array, AvgPoolCache]:
    """y[n, c, oh, ow] = sum_{kh, kw} x[n, c, oh*SH + kh - PH, ow*SW + kw - PW] / count[oh, ow], zero where outside x

    Parameters
    ----------
    x : (N, C, H, W)
        Images.
    kernel_size : int or (KH, KW)
        Size of the window.
    stride : int or pair, optional
        Step between windows; the size of the window if not given.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the images, fewer than the window is long.
    ceil_mode : bool
        Let a last window hang over the bottom or the right, if it starts inside the image or its leading padding.
    count_include_pad : bool
        Divide by the number of cells inside the image and its padding, or inside the image alone. What `ceil_mode`
        adds beyond the padding never counts.

    Returns
    -------
    y : (N, C, OH, OW)
        In the memory order of x.
    cache : AvgPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d, a number is out of range, the window does not fit, or the padding is as large as the window.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998), section II.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0, 5.0, 0.0],
    ...               [4.0, 0.0, 1.0, 6.0]]).reshape(1, 1, 2, 4)
    >>> y, cache = avg_pool_forward(x, 2)
    >>> y[0, 0]
    array([[2., 3.]])
    """
    geometry = pool_geometry("avg_pool_forward", x, kernel_size, stride, padding, 1, ceil_mode)
    counts = window_counts(geometry, count_include_pad).astype(x.dtype)  # (OH, OW)
    y = zeros_nchw((*x.shape[:2], *geometry.output), x.dtype, like=x)  # (N, C, OH, OW)
    try:
        with np.errstate(over="raise"):
            for outputs, pixels in windows(geometry):
                y[outputs] += x[pixels]
        y /= counts
    except FloatingPointError:  # a sum is beyond the dtype; its mean need not be
        _add_shares(x, counts, geometry, out=y)
    return y, AvgPoolCache(x, counts, geometry)


@float_op("dy")
def avg_pool_backward(dy: Array, cache: AvgPoolCache) -> Array:
    """dx[n, c, h, w] = sum of dy[n, c, oh, ow] / count[oh, ow] over the windows that hold the pixel (h, w)

    Parameters
    ----------
    dy : (N, C, OH, OW)
        Gradient that arrives from above.
    cache : AvgPoolCache
        From `avg_pool_forward`; it is not changed.

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
    Two windows of two pixels share the one in the middle.

    >>> y, cache = avg_pool_forward(np.ones((1, 1, 1, 3)), (1, 2), stride=1)
    >>> avg_pool_backward(np.array([10.0, 20.0]).reshape(1, 1, 1, 2), cache).ravel()
    array([ 5., 15., 10.])
    """
    x, counts, geometry = cache
    check_shape("avg_pool_backward", "dy", dy, (*x.shape[:2], *geometry.output))
    shares = np.divide(dy, counts, out=empty_nchw(dy.shape, dy.dtype, like=x))  # (N, C, OH, OW)
    dx = zeros_nchw(x.shape, x.dtype, like=x)
    for outputs, pixels in windows(geometry):
        dx[pixels] += shares[outputs]
    return dx


def _add_shares(x: Array, counts: Array, geometry: ConvGeometry, *, out: Array) -> None:
    """out = sum(x / count) over every window: slower, and never beyond the largest of the numbers."""
    out[...] = 0
    for outputs, pixels in windows(geometry):
        out[outputs] += x[pixels] / np.broadcast_to(counts, out.shape)[outputs]


def window_counts(geometry: ConvGeometry, include_pad: bool) -> Array:
    """How many cells of each window count: (OH, OW)."""
    lengths = []
    for axis, (before, after) in enumerate(geometry.padding):
        size = geometry.input[axis]
        start = np.arange(geometry.output[axis]) * geometry.stride[axis] - before
        end = np.minimum(start + geometry.kernel[axis], size + after)
        lengths.append(end - start if include_pad else np.minimum(end, size) - np.maximum(start, 0))
    return np.outer(*lengths)
