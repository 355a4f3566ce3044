"""Upsampling: every pixel becomes a block of equal pixels, and a block's gradients add up in the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from ..typing import Array, Pair
from .dtypes import float_op
from .memory import empty_like
from .utils import check_rank, check_shape, empty_nchw, pair

UpsampleMode: TypeAlias = Literal["nearest"]


class UpsampleCache(NamedTuple):
    """What `upsample_backward` needs. Of x it is the shape, dtype and memory order: copying is linear."""

    x: Array  # (N, C, H, W)  borrowed, never written
    scale: tuple[int, int]  # (SH, SW)


@float_op("x")
def upsample_forward(x: Array, scale_factor: Pair, *, mode: UpsampleMode = "nearest") -> tuple[Array, UpsampleCache]:
    """y[n, c, oh, ow] = x[n, c, oh // SH, ow // SW]

    Parameters
    ----------
    x : (N, C, H, W)
        Images.
    scale_factor : int or (SH, SW)
        How many rows and columns one becomes; at least 1.
    mode : "nearest"
        Every new pixel equals the one it came from.

    Returns
    -------
    y : (N, C, H*SH, W*SW)
        In the memory order of x.
    cache : UpsampleCache

    Raises
    ------
    ShapeError
        If x is not 4-d or a factor is out of range.
    ValueError
        If there is no such mode.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = upsample_forward(np.array([[1.0, 2.0]]).reshape(1, 1, 1, 2), 2)
    >>> y[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    check_rank("upsample_forward", "x", x, "N C H W")
    check_mode("upsample_forward", mode)
    N, C, H, W = x.shape
    SH, SW = pair("upsample_forward", "scale_factor", scale_factor, minimum=1)
    y = empty_nchw((N, C, H * SH, W * SW), x.dtype, like=x)
    for one_of_each_block in _places((SH, SW)):
        y[one_of_each_block] = x
    return y, UpsampleCache(x, (SH, SW))


@float_op("dy")
def upsample_backward(dy: Array, cache: UpsampleCache) -> Array:
    """dx[n, c, h, w] = sum_{i < SH, j < SW} dy[n, c, h*SH + i, w*SW + j]

    Parameters
    ----------
    dy : (N, C, H*SH, W*SW)
        Gradient that arrives from above.
    cache : UpsampleCache
        From `upsample_forward`; it is not changed.

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
    >>> import numpy as np
    >>> y, cache = upsample_forward(np.array([[1.0, 2.0]]).reshape(1, 1, 1, 2), (1, 3))
    >>> upsample_backward(np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]).reshape(1, 1, 1, 6), cache).ravel()
    array([ 6., 60.])
    """
    (N, C, H, W), (SH, SW) = cache.x.shape, cache.scale
    check_shape("upsample_backward", "dy", dy, (N, C, H * SH, W * SW))
    dx = empty_like(cache.x)
    first, *others = _places(cache.scale)
    dx[...] = dy[first]
    for one_of_each_block in others:
        dx += dy[one_of_each_block]
    return dx


def _places(scale: tuple[int, int]) -> Iterator[tuple[slice, slice, slice, slice]]:
    """For each place in a block of SH x SW pixels: that place of every block."""
    SH, SW = scale
    for i in range(SH):
        for j in range(SW):
            yield slice(None), slice(None), slice(i, None, SH), slice(j, None, SW)


def check_mode(function: str, mode: str) -> None:
    """Raise unless there is such a mode.

    Examples
    --------
    >>> check_mode("example", "nearest")
    """
    if not isinstance(mode, str) or mode != "nearest":
        raise ValueError(f"{function}: mode must be 'nearest', got {mode!r}")
