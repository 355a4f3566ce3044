"""Resizing along one axis: where each new pixel lies in the old picture, and which old pixels it is made of.

Interpolation is linear in the pixels, so along one axis it is a matrix: y = W @ x, and its gradient is dx = W.T @ dy.
A row of W holds the weights of the old pixels beside the place of the new one.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ....typing import Array
from .layout import memory_axes, require_room

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


class Interpolation(NamedTuple):
    """How pixels are made of others, as the attributes of Resize say it."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation: float = 0.0


class AxisSize(NamedTuple):
    """What happens to one axis."""

    axis: int
    old: int
    new: int
    scale: float  # float32 where the file gives it: halves are met there, or not, as everywhere
    start: float = 0.0  # of the region that is resized, in lengths of the axis
    end: float = 1.0

    @property
    def unchanged(self) -> bool:
        """Whether every pixel stays where it is."""
        return self.old == self.new and self.scale == 1 and (self.start, self.end) == (0, 1)


def places(size: AxisSize, coordinates: str) -> Array:
    """For each new pixel, where its centre lies among the centres of the old ones: 0, 1 ... old - 1.

    Examples
    --------
    >>> places(AxisSize(0, 2, 4, 2.0), "half_pixel")
    array([-0.25,  0.25,  0.75,  1.25])
    >>> places(AxisSize(0, 2, 3, 1.5), "align_corners")
    array([0. , 0.5, 1. ])
    """
    _, old, new, scale, start, end = size
    x = np.arange(new, dtype=np.asarray(scale).dtype)
    if coordinates == "asymmetric":
        return x / scale
    if coordinates == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if coordinates == "align_corners":
        return x * ((old - 1) / max(1, new - 1))
    if coordinates == "tf_crop_and_resize":
        if new > 1:
            return start * (old - 1) + x * ((end - start) * (old - 1) / (new - 1))
        return x + 0.5 * (start + end) * (old - 1)
    if coordinates == "pytorch_half_pixel" and new == 1:
        return x
    shift = 0.0
    if coordinates == "half_pixel_symmetric":  # the part of a pixel that was cut off is missing on both sides
        shift = old / 2 * (1 - new / (scale * old))
    return shift + (x + 0.5) / scale - 0.5


def outside(size: AxisSize, how: Interpolation) -> Array | None:
    """Which new pixels lie beyond the old picture and are the extrapolation value; None where none can."""
    if how.coordinates != "tf_crop_and_resize":
        return None
    x = places(size, how.coordinates)
    return (x < 0) | (x > size.old - 1)


def nearest(size: AxisSize, how: Interpolation) -> Array:
    """For each new pixel, the old one whose value it takes.

    Examples
    --------
    >>> nearest(AxisSize(0, 2, 4, 2.0), Interpolation())
    array([0, 0, 1, 1])
    """
    x = places(size, how.coordinates)
    rule = how.nearest
    if rule == "simple":  # that of Resize 10: down when it grows, up when it shrinks
        rule = "floor" if size.scale >= 1 else "ceil"
    if rule == "round_prefer_floor":
        x = np.ceil(x - 0.5)
    elif rule == "round_prefer_ceil":
        x = np.floor(x + 0.5)
    else:
        x = np.floor(x) if rule == "floor" else np.ceil(x)
    return x.clip(0, size.old - 1).astype(np.intp)


def matrix(size: AxisSize, how: Interpolation) -> Array:
    """W (new, old) of linear or cubic interpolation, float64; its rows have the sum 1, or 0 beyond the picture.

    What would lie outside is the outermost pixel, or with ``exclude_outside`` has no weight. With ``antialias`` a
    shrinking picture stretches the kernel until it covers what one new pixel replaces.

    References
    ----------
    Keys: Cubic Convolution Interpolation for Digital Image Processing (1981).

    Examples
    --------
    >>> matrix(AxisSize(0, 2, 4, 2.0), Interpolation("linear"))
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    require_room("Resize", (size.new, size.old), np.float64)
    kernel, reach = (_tent, 1) if how.mode == "linear" else (partial(_cubic, a=how.cubic_a), 2)
    stretch = min(float(size.scale), 1.0) if how.antialias and size.new else 1.0
    x = places(size, how.coordinates).astype(np.float64)
    far = math.ceil(reach / stretch)
    taps = np.floor(x).astype(np.intp)[:, None] + np.arange(-far, far + 2)  # (new, taps)
    weights = kernel((taps - x[:, None]) * stretch)
    if how.exclude_outside:
        weights = np.where((taps >= 0) & (taps < size.old), weights, 0.0)
    if how.exclude_outside or how.antialias:
        total = weights.sum(1, keepdims=True)
        weights /= np.where(total == 0, 1.0, total)
    out = np.zeros((size.new, size.old))
    np.add.at(out, (np.arange(size.new)[:, None], taps.clip(0, size.old - 1)), weights)
    beyond = outside(size, how)
    if beyond is not None:
        out[beyond] = 0
    return out


def _tent(t: Array) -> Array:
    """The weight of a pixel at distance t in linear interpolation."""
    weight: Array = np.maximum(0.0, 1.0 - np.abs(t))
    return weight


def _cubic(t: Array, *, a: float) -> Array:
    """The weight of a pixel at distance t in cubic interpolation: Keys, equation 4."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = a * (((t - 5) * t + 8) * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def multiply_along(weights: Array, x: Array, axis: int) -> Array:
    """y[..., i, ...] = sum_j weights[i, j] * x[..., j, ...], one matrix product in the memory order of x.

    Examples
    --------
    >>> multiply_along(np.array([[1.0, 1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]), 0)
    array([[4., 6.]])
    """
    order = memory_axes(x)
    lying = x.transpose(order)
    place = order.index(axis)
    before, after = lying.shape[:place], lying.shape[place + 1 :]
    rows: Any = lying.reshape(math.prod(before), x.shape[axis], math.prod(after))
    y: Array = (rows[:, :, 0] @ weights.T) if math.prod(after) == 1 else weights @ rows
    return y.reshape(*before, len(weights), *after).transpose(np.argsort(order))
