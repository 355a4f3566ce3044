"""Pooling over any number of axes, one after the other: a maximum of maxima and a sum of sums are those of the whole.

The maximum over (kd, kh, kw) is the one over kd of the ones over (kh, kw); of several equal ones both ways find the
first in scan order. Sums go axis by axis.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...errors import ShapeError
from ...ops import MaxPoolCache, max_pool_backward, max_pool_forward, max_pool_indices
from ...ops.dtypes import float_op
from ...ops.pool_windows import windows
from ...typing import Array
from .windows import Window, axis_geometry


class MaximaOfMaxima(NamedTuple):
    """Pooling over the last axes first, then over the one before them."""

    x_shape: tuple[int, ...]  # (N, C, D, ...)
    inner: MaxPoolNdCache  # over the last axes, each slice a channel of its own
    inner_shape: tuple[int, ...]  # (N, C*D, OH, ...)
    outer: MaxPoolCache  # over D, the others in a row
    y_shape: tuple[int, ...]


class LiftedMaxima(NamedTuple):
    """A sequence taken as an image of one row."""

    inner: MaxPoolCache


MaxPoolNdCache = MaxPoolCache | LiftedMaxima | MaximaOfMaxima


@float_op("x")
def max_pool_nd_forward(x: Array, window: Window, *, train: bool = True) -> tuple[Array, MaxPoolNdCache]:
    """Maxima over the windows of (N, C, *lengths), of one axis or more."""
    if x.ndim < 3:
        raise ShapeError(f"MaxPool: x must be (N, C, ...) of at least one more axis, got {x.shape}")
    if x.ndim == 4:
        return _maxima(x, window, train)
    if x.ndim == 3:
        y, cache = _maxima(x[:, :, None], window.lifted(), train)
        return y[:, :, 0], LiftedMaxima(cache)
    N, C, D, *rest = x.shape
    part, inner = max_pool_nd_forward(x.reshape(N, C * D, *rest), window.axes(1), train=train)
    depth = window.axis(0)
    column = Window(
        (*depth.kernel, 1), (*depth.strides, 1), (*depth.pads, (0, 0)), (*depth.dilations, 1), depth.ceil_mode
    )
    y, outer = _maxima(part.reshape(N, C, D, math.prod(part.shape[2:])), column, train)
    y = y.reshape(N, C, y.shape[2], *part.shape[2:])
    return y, MaximaOfMaxima(x.shape, inner, part.shape, outer, y.shape)


def _maxima(x: Array, window: Window, train: bool) -> tuple[Array, MaxPoolCache]:
    (KH, KW), (SH, SW), (rows, columns), (DH, DW), ceil_mode = window
    return max_pool_forward(
        x,
        (KH, KW),
        stride=(SH, SW),
        padding=(rows, columns),
        dilation=(DH, DW),
        ceil_mode=ceil_mode,
        train=train,
    )


@float_op("dy")
def max_pool_nd_backward(dy: Array, cache: MaxPoolNdCache) -> Array:
    """The gradient goes to the first maximum of each window."""
    if isinstance(cache, MaxPoolCache):
        return max_pool_backward(dy, cache)
    if isinstance(cache, LiftedMaxima):
        return max_pool_backward(dy[:, :, None], cache.inner)[:, :, 0]
    x_shape, inner, inner_shape, outer, y_shape = cache
    if dy.shape != y_shape:
        raise ShapeError(f"MaxPool: dy must have shape {y_shape}, got {dy.shape}")
    N, C, OD, *rest = y_shape
    dpart = max_pool_backward(dy.reshape(N, C, OD, math.prod(rest)), outer)
    return max_pool_nd_backward(dpart.reshape(inner_shape), inner).reshape(x_shape)


def max_pool_nd_indices(cache: MaxPoolNdCache) -> Array:
    """Where each maximum is in its channel's image, counted in C order without padding."""
    if isinstance(cache, MaxPoolCache):
        return max_pool_indices(cache)
    if isinstance(cache, LiftedMaxima):
        return max_pool_indices(cache.inner)[:, :, 0]
    (N, C, D, *rest), inner, inner_shape, outer, y_shape = cache
    depth, column = np.divmod(max_pool_indices(outer), math.prod(inner_shape[2:]))  # which slice, where in it
    places = max_pool_nd_indices(inner).reshape(N, C, D, math.prod(inner_shape[2:]))  # (N, C, D, OH*...)
    found = np.take_along_axis(places, depth.clip(0), axis=2)  # column is where it stands already
    return np.where(depth < 0, -1, depth * math.prod(rest) + found).reshape(y_shape)


# --- sums -----------------------------------------------------------------------------------------------------------


def widened(x: Array) -> Array:
    """float16 as float32, in which sums are made."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


@float_op("x")
def window_sums(x: Array, window: Window) -> Array:
    """The sum over each window of (N, C, *lengths); padding counts as zeros.

    Examples
    --------
    >>> window_sums(np.array([[[1.0, 2.0, 4.0, 8.0]]]), Window((2,), (1,), ((1, 0),), (2,)))
    array([[[ 2.,  5., 10.]]])
    """
    for i in range(x.ndim - 2):
        before, (length, after) = math.prod(x.shape[: i + 2]), (x.shape[i + 2], math.prod(x.shape[i + 3 :]))
        geometry = axis_geometry("pooling", length, window.axis(i), after)
        rows = x.reshape(before, length, after)
        sums = np.zeros((before, *geometry.output), x.dtype)
        for outputs, pixels in windows(geometry):
            sums[outputs] += rows[pixels]
        x = sums.reshape(*x.shape[: i + 2], geometry.output[0], *x.shape[i + 3 :])
    return x


@float_op("dy")
def window_sums_backward(dy: Array, lengths: tuple[int, ...], window: Window) -> Array:
    """Every pixel receives from all windows that hold it: the adjoint of `window_sums`."""
    for i in reversed(range(dy.ndim - 2)):
        before, after = math.prod(dy.shape[: i + 2]), math.prod(dy.shape[i + 3 :])
        geometry = axis_geometry("pooling", lengths[i], window.axis(i), after)
        drows = dy.reshape(before, dy.shape[i + 2], after)
        dx = np.zeros((before, lengths[i], after), dy.dtype)
        for outputs, pixels in windows(geometry):
            dx[pixels] += drows[outputs]
        dy = dx.reshape(*dy.shape[: i + 2], lengths[i], *dy.shape[i + 3 :])
    return dy


def window_counts(lengths: tuple[int, ...], window: Window, *, include_pad: bool) -> Array:
    """How many places of each window lie in the image, or in the image and its padding.

    Examples
    --------
    >>> window_counts((3,), Window((2,), (2,), ((1, 0),), (1,)), include_pad=False)
    array([1, 2])
    """
    counts: Array = np.ones((), np.int64)
    for i, length in enumerate(lengths):
        part = window.axis(i)
        starts = np.arange(axis_geometry("pooling", length, part).output[0]) * part.strides[0] - part.pads[0][0]
        places = starts[:, None] + np.arange(part.kernel[0]) * part.dilations[0]  # (OL, KL)
        first, last = (-part.pads[0][0], length + part.pads[0][1]) if include_pad else (0, length)
        counts = np.multiply.outer(counts, ((places >= first) & (places < last)).sum(1))
    return counts
