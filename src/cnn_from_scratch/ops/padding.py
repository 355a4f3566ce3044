"""Padding: rows and columns around the images, of one value or copied from inside."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from ..errors import ShapeError
from ..typing import Array, Sides
from .checks import check_number
from .dtypes import float_op
from .memory import empty_like
from .utils import check_rank, check_shape, empty_nchw, pad_sides, resolve_padding

PadMode: TypeAlias = Literal["constant", "reflect", "replicate"]
MODES = ("constant", "reflect", "replicate")


class PadCache(NamedTuple):
    """What `pad_backward` needs. Of x it is the shape, dtype and memory order: padding is linear, but for `value`."""

    x: Array  # (N, C, H, W)  borrowed, never written
    sides: Sides  # ((top, bottom), (left, right))
    mode: PadMode


@float_op("x")
def pad_forward(
    x: Array, pads: int | tuple[int, int] | Sides, *, mode: PadMode = "constant", value: float = 0.0
) -> tuple[Array, PadCache]:
    """y[n, c, top + h, left + w] = x[n, c, h, w], and around it `value` or copies of what is inside

    Parameters
    ----------
    x : (N, C, H, W)
        Images.
    pads : int, (PH, PW) or ((top, bottom), (left, right))
        How many rows and columns to add at each side.
    mode : "constant", "reflect" or "replicate"
        ``value`` everywhere; the mirror image, where the outermost pixels are the mirror and are not repeated (then
        pads must be smaller than the image); or the outermost pixel again and again.
    value : float
        For mode "constant" only.

    Returns
    -------
    y : (N, C, top + H + bottom, left + W + right)
        In the memory order of x; x itself where nothing is added.
    cache : PadCache

    Raises
    ------
    ShapeError
        If x is not 4-d, pads is negative, or the image is too small to be copied from.
    ValueError
        If there is no such mode.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> for mode in MODES:
    ...     print(pad_forward(x, (0, 2), mode=mode)[0].ravel())
    [0. 0. 1. 2. 3. 0. 0.]
    [3. 2. 1. 2. 3. 2. 1.]
    [1. 1. 1. 2. 3. 3. 3.]
    """
    check_rank("pad_forward", "x", x, "N C H W")
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"pad_forward: mode must be one of {', '.join(MODES)}, got {mode!r}")
    check_number("pad_forward", "value", value, finite=False)
    sides = four_sides("pad_forward", "pads", pads)
    _check_source(x, sides, mode)
    y = pad_sides(x, sides, value)  # the copies overwrite the value
    if mode != "constant":
        rows, columns = _copies(x, sides, mode)
        for to, source in rows:
            y[:, :, to] = y[:, :, source]
        for to, source in columns:  # over the whole height, so that the corners are filled, too
            y[:, :, :, to] = y[:, :, :, source]
    return y, PadCache(x, sides, mode)


@float_op("dy")
def pad_backward(dy: Array, cache: PadCache) -> Array:
    """dx[n, c, h, w] = sum of dy over the pixel (h, w) of x and all its copies

    The copies of the forward pass are undone, columns before rows: each is added to where it came from.

    Parameters
    ----------
    dy : (N, C, top + H + bottom, left + W + right)
        Gradient that arrives from above.
    cache : PadCache
        From `pad_forward`; it is not changed.

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
    The outer pixels have two copies each.

    >>> import numpy as np
    >>> y, cache = pad_forward(np.ones((1, 1, 1, 3)), (0, 2), mode="replicate")
    >>> pad_backward(np.ones_like(y), cache).ravel()
    array([3., 1., 3.])
    """
    x, sides, mode = cache
    (N, C, H, W), ((top, bottom), (left, right)) = x.shape, sides
    check_shape("pad_backward", "dy", dy, (N, C, top + H + bottom, left + W + right))
    if mode != "constant":
        copy = empty_like(dy)  # the caller's is not ours to add to
        copy[...] = dy
        dy = copy
        rows, columns = _copies(x, sides, mode)
        for to, source in columns:
            dy[:, :, :, source] += dy[:, :, :, to]
        for to, source in rows:
            dy[:, :, source] += dy[:, :, to]
    dx = empty_nchw(x.shape, x.dtype, like=x)
    dx[...] = dy[:, :, top : top + H, left : left + W]
    return dx


def _copies(x: Array, sides: Sides, mode: PadMode) -> list[list[tuple[int, int]]]:
    """For rows and for columns of the padded image: [(to, source)], sources inside the image."""
    first_step = 1 if mode == "reflect" else 0
    copies = []
    for size, (before, after) in zip(x.shape[2:], sides, strict=True):
        first, last = before, before + size - 1  # the outermost pixels
        lower = [(first - k, first + k * first_step) for k in range(1, before + 1)]
        upper = [(last + k, last - k * first_step) for k in range(1, after + 1)]
        copies.append(lower + upper)
    return copies


def _check_source(x: Array, sides: Sides, mode: PadMode) -> None:
    for name, size, pads in zip(("height", "width"), x.shape[2:], sides, strict=True):
        if mode == "reflect" and max(pads) >= size > 0:
            raise ShapeError(
                f"pad_forward: pads must be smaller than the image to reflect it, got {pads} for {name} {size}"
            )
        if mode != "constant" and size < 1:
            raise ShapeError(f"pad_forward: x must have at least one pixel to {mode}, got shape {x.shape}")


def four_sides(function: str, name: str, value: int | tuple[int, int] | Sides) -> Sides:
    """An int, a pair (PH, PW) or four sides as ((top, bottom), (left, right)).

    Examples
    --------
    >>> four_sides("example", "pads", (1, 2))
    ((1, 1), (2, 2))
    """
    if not isinstance(value, str):
        try:
            return resolve_padding(function, (1, 1), (1, 1), (1, 1), value, (1, 1))
        except ShapeError:
            pass  # the error below names the argument, and offers neither "same" nor "valid"
    raise ShapeError(
        f"{function}: {name} must be an int >= 0, a pair (PH, PW) or ((top, bottom), (left, right)), got {value!r}"
    )
