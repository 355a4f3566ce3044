"""The geometry of a sliding window, and the small checks and allocations that every operation shares.

Reading order: utils -> im2col -> col2im -> conv_forward -> conv_backward.

Letters: N images, C channels, H W image, F filters, KH KW kernel, OH OW output, SH SW stride, DH DW dilation, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..randomness import as_generator
from ..typing import Array, Padding, Pair, Sides
from .checks import check_memory, check_switch, float_dtype, plain_array
from .memory import empty

HWNC = (2, 3, 0, 1)
"""Axes that turn a logical (N, C, H, W) array into its (H, W, N, C) view, and back: it is its own inverse."""


# --- the sliding window ---------------------------------------------------------------------------------------------


class ConvGeometry(NamedTuple):
    """Where a kernel stands on its image: all that a window operation needs to know besides the numbers."""

    input: tuple[int, int]  # (H, W)
    kernel: tuple[int, int]  # (KH, KW)
    stride: tuple[int, int]  # (SH, SW)
    padding: Sides  # ((top, bottom), (left, right))
    dilation: tuple[int, int]  # (DH, DW)
    output: tuple[int, int]  # (OH, OW)

    def rows(self, kh: int) -> slice:
        """The rows of the padded image that meet kernel row `kh`, one for each output row."""
        return _steps(kh, 0, self)

    def columns(self, kw: int) -> slice:
        """The columns of the padded image that meet kernel column `kw`, one for each output column."""
        return _steps(kw, 1, self)

    @property
    def padded(self) -> tuple[int, int]:
        """(H + top + bottom, W + left + right)"""
        (top, bottom), (left, right) = self.padding
        return self.input[0] + top + bottom, self.input[1] + left + right


def _steps(k: int, axis: int, geometry: ConvGeometry) -> slice:
    first, step, count = k * geometry.dilation[axis], geometry.stride[axis], geometry.output[axis]
    return slice(first, first + step * (count - 1) + 1, step)


def conv_output_size(
    size: int, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """floor((size + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1

    Parameters
    ----------
    size, kernel_size : int
        Length of the image and of the kernel along one axis.
    stride, dilation : int
        At least 1.
    padding : int
        Zeros added at each of the two ends, at least 0.
    ceil_mode : bool
        Round up instead of down, but let no window start beyond the image and its leading padding (PyTorch's rule).

    Raises
    ------
    ShapeError
        If a number is out of range, or the kernel is longer than the padded image (by a stride, with ceil_mode).

    Examples
    --------
    >>> conv_output_size(28, 3, padding=1)
    28
    >>> conv_output_size(7, 2, stride=2), conv_output_size(7, 2, stride=2, ceil_mode=True)
    (3, 4)
    """
    numbers = {"size": size, "kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    for name, value in numbers.items():
        minimum = 0 if name == "padding" else 1
        if not _is_int(value) or value < minimum:
            raise ShapeError(f"conv_output_size: {name} must be an int >= {minimum}, got {value!r}")
    square = conv_geometry(
        "conv_output_size", (size, size), kernel_size, stride, padding, dilation, ceil_mode=ceil_mode
    )
    return square.output[0]


def conv_geometry(
    function: str,
    input_size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    ceil_mode: bool = False,
) -> ConvGeometry:
    """Work out and check where a window goes; `function` is named in the errors.

    Where there is one window alone, a stride that leads beyond the padded image is cut to its size: some ways to
    compute take memory for a whole stride.

    Raises
    ------
    ShapeError
        If a number is out of range, or the kernel does not fit into the padded image.

    Examples
    --------
    >>> conv_geometry("example", (5, 5), 3, stride=2, padding="same").padding
    ((1, 1), (1, 1))
    """
    if type(input_size) is tuple and 0 in input_size:
        raise ShapeError(f"{function}: an image must have at least one row and one column, got (H, W) = {input_size}")
    input_size = pair(function, "input_size", input_size, minimum=1)
    if ceil_mode is not False:
        check_switch(function, "ceil_mode", ceil_mode)
    kernel = pair(function, "kernel_size", kernel_size, minimum=1)
    steps = pair(function, "stride", stride, minimum=1)
    spread = pair(function, "dilation", dilation, minimum=1)
    sides = resolve_padding(function, input_size, kernel, steps, padding, spread)
    output, strides = [], []
    for axis, name in enumerate(("height", "width")):
        reach = spread[axis] * (kernel[axis] - 1) + 1
        size, (before, after) = input_size[axis], sides[axis]
        room = size + before + after - reach
        if room < (1 - steps[axis] if ceil_mode else 0):  # with ceil_mode the first window, too, may hang over
            raise ShapeError(
                f"{function}: the kernel does not fit: {name} {size} padded by {before} and {after} is "
                f"{size + before + after}, but kernel {kernel[axis]} with dilation {spread[axis]} reaches over {reach}"
            )
        count = (-(-room // steps[axis]) if ceil_mode else room // steps[axis]) + 1
        if ceil_mode and (count - 1) * steps[axis] >= size + before:
            count -= 1
        output.append(count)
        strides.append(steps[axis] if count > 1 else min(steps[axis], size + before + after))
    return ConvGeometry(input_size, kernel, (strides[0], strides[1]), sides, spread, (output[0], output[1]))


def resolve_padding(
    function: str,
    input_size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
) -> Sides:
    """Any accepted form of padding as ((top, bottom), (left, right)).

    "same" pads so that the output is ceil(input / stride) long, the odd row or column at the bottom and right
    (TensorFlow's and ONNX's SAME_UPPER, and PyTorch's "same" where the stride is 1).

    Examples
    --------
    >>> resolve_padding("example", (6, 6), (3, 4), (1, 1), "same", (1, 1))
    ((1, 1), (1, 2))
    """
    if type(padding) is int and padding >= 0:  # nearly always
        return (padding, padding), (padding, padding)
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding == "same":
            sides = []
            for axis in range(2):
                count = -(-input_size[axis] // stride[axis])
                reach = dilation[axis] * (kernel[axis] - 1) + 1
                total = max((count - 1) * stride[axis] + reach - input_size[axis], 0)
                sides.append((total // 2, total - total // 2))
            return sides[0], sides[1]
    elif _is_int(padding) and padding >= 0:
        return (int(padding), int(padding)), (int(padding), int(padding))
    elif isinstance(padding, Sequence) and len(padding) == 2:
        if all(_is_int(p) and p >= 0 for p in padding):
            (ph, pw) = cast(tuple[int, int], padding)
            return (int(ph), int(ph)), (int(pw), int(pw))
        if all(isinstance(s, Sequence) and len(s) == 2 and all(_is_int(p) and p >= 0 for p in s) for s in padding):
            (top, bottom), (left, right) = cast(Sides, padding)
            return (int(top), int(bottom)), (int(left), int(right))
    raise ShapeError(
        f"{function}: padding must be an int >= 0, a pair (PH, PW), ((top, bottom), (left, right)), "
        f"'same' or 'valid', got {padding!r}"
    )


def pair(function: str, name: str, value: Pair, *, minimum: int) -> tuple[int, int]:
    """One int for both axes, or two, each at least `minimum`."""
    if type(value) is int and value >= minimum:  # nearly always this or the next; the checks take ten times as long
        return value, value
    if type(value) is tuple and [type(v) for v in value] == [int, int] and min(value) >= minimum:
        return value
    both = (value, value) if _is_int(value) else value
    if (
        not isinstance(both, Sequence)
        or isinstance(both, str)
        or len(both) != 2
        or not all(_is_int(v) and v >= minimum for v in both)
    ):
        raise ShapeError(f"{function}: {name} must be an int >= {minimum} or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])


def _is_int(value: object) -> TypeGuard[int]:
    return type(value) is int or (isinstance(value, int | np.integer) and not isinstance(value, bool))


# --- checks ---------------------------------------------------------------------------------------------------------


def check_rank(function: str, name: str, array: Array, axes: str) -> None:
    """Raise unless `array` has as many axes as `axes` names, as in ``"N C H W"``."""
    if type(array) is not np.ndarray:
        plain_array(function, name, array)
    names = axes.split()
    if array.ndim != len(names):
        raise ShapeError(
            f"{function}: {name} must have {len(names)} axes ({', '.join(names)}), got shape {tuple(array.shape)}"
        )


def check_shape(function: str, name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise unless `array` has exactly this shape."""
    if tuple(array.shape) != tuple(shape):
        raise ShapeError(f"{function}: {name} must have shape {tuple(shape)}, got {tuple(array.shape)}")


# --- memory ---------------------------------------------------------------------------------------------------------


def is_hwnc(x: Array) -> bool:
    """Whether a logical (N, C, H, W) array lies in memory as (H, W, N, C): images next to each other, rows far apart.

    Examples
    --------
    >>> x = np.zeros((2, 3, 5, 5))
    >>> is_hwnc(x), is_hwnc(to_hwnc(x))
    (False, True)
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"is_hwnc: x must be a NumPy array, got {type(x).__name__}")
    if x.ndim != 4:
        return False
    N, C, H, W = x.shape
    of_image, of_channel, of_row, of_column = map(abs, x.strides)
    # the stride of an axis of length 1 says nothing: let its neighbour speak for it
    return (of_image if N > 1 else of_channel) < (of_column if W > 1 else of_row)


def to_hwnc(x: Array) -> Array:
    """The same logical (N, C, H, W) array, lying in memory as (H, W, N, C); a copy only where it is needed.

    Examples
    --------
    Two images of one row and two pixels: in memory their first pixels come first.

    >>> x = np.array([[1, 2], [3, 4]]).reshape(2, 1, 1, 2)
    >>> y = to_hwnc(x)
    >>> y.shape, y.ravel(order="K")
    ((2, 1, 1, 2), array([1, 3, 2, 4]))
    """
    check_rank("to_hwnc", "x", x, "N C H W")
    view = x.transpose(HWNC)
    if view.flags.c_contiguous:
        return x
    out = empty(view.shape, x.dtype.newbyteorder("="))
    out[...] = view
    return out.transpose(HWNC)


def empty_nchw(shape: tuple[int, ...], dtype: npt.DTypeLike, *, like: Array) -> Array:
    """A new logical (N, C, H, W) array in the memory order of `like`; any other shape lies in C order."""
    if not is_hwnc(like):
        return empty(shape, dtype)
    N, C, H, W = shape
    return empty((H, W, N, C), dtype).transpose(HWNC)


def zeros_nchw(shape: tuple[int, ...], dtype: npt.DTypeLike, *, like: Array) -> Array:
    """Zeros in the shape, and in the memory order of `like`, as `empty_nchw` has it."""
    out = empty_nchw(shape, dtype, like=like)
    out.fill(0)
    return out


def pad_sides(x: Array, sides: Sides, value: float = 0.0) -> Array:
    """`x` with `value` around it, in the memory order of `x`; `x` itself where there is nothing to add.

    Examples
    --------
    >>> pad_sides(np.ones((1, 1, 1, 2)), ((1, 0), (0, 1)))[0, 0]
    array([[0., 0., 0.],
           [1., 1., 0.]])
    """
    (top, bottom), (left, right) = sides
    if not (top or bottom or left or right):
        return x
    N, C, H, W = x.shape
    out = empty_nchw((N, C, top + H + bottom, left + W + right), x.dtype.newbyteorder("="), like=x)
    out[:, :, :top] = value
    out[:, :, top + H :] = value
    out[:, :, top : top + H, :left] = value
    out[:, :, top : top + H, left + W :] = value
    out[:, :, top : top + H, left : left + W] = x
    return out


def crop_sides(x: Array, sides: Sides) -> Array:
    """Take away what `pad_sides` added: its adjoint. A contiguous copy where there is something to take away."""
    (top, bottom), (left, right) = sides
    if not (top or bottom or left or right):
        return x
    N, C, H, W = x.shape
    out = empty_nchw((N, C, H - top - bottom, W - left - right), x.dtype, like=x)
    out[...] = x[:, :, top : H - bottom, left : W - right]
    return out


# --- filters --------------------------------------------------------------------------------------------------------


def initialize_filters(
    F: int,
    C: int,
    FH: int,
    FW: int,
    *,
    rng: int | np.random.Generator | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> Array:
    """weight ~ normal(0, 2 / (C*FH*FW)): filters that keep the variance of their input through a ReLU.

    Parameters
    ----------
    F, C, FH, FW : int
        Filters, channels, filter height, filter width; each at least 1.
    rng : int, Generator or None
        A seed, a generator to draw from, or None for fresh entropy.
    dtype : dtype
        float32 unless told otherwise.

    Returns
    -------
    weight : (F, C, FH, FW)

    Raises
    ------
    ShapeError
        If a size is no int of at least 1.
    LimitError
        If there is not so much memory.
    ValueError
        If rng is none of these.
    TypeError
        If dtype is none of floats.

    References
    ----------
    He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015), equation 10. https://arxiv.org/abs/1502.01852

    Examples
    --------
    >>> initialize_filters(32, 3, 5, 5, rng=0).shape
    (32, 3, 5, 5)
    """
    for name, value in (("F", F), ("C", C), ("FH", FH), ("FW", FW)):
        if not _is_int(value) or value < 1:
            raise ShapeError(f"initialize_filters: {name} must be an int >= 1, got {value!r}")
    wanted = float_dtype("initialize_filters", dtype)
    check_memory((F, C, FH, FW), np.float64, "initialize_filters: ")
    generator = as_generator(rng, "initialize_filters")
    return (generator.standard_normal((F, C, FH, FW)) * math.sqrt(2 / (C * FH * FW))).astype(wanted)


def initialize_bias(F: int, *, dtype: npt.DTypeLike = np.float32) -> Array:
    """One zero for each of `F` filters.

    Raises
    ------
    ShapeError
        If F is no int of at least 1.
    LimitError
        If there is not so much memory.
    TypeError
        If dtype is none of floats.

    Examples
    --------
    >>> initialize_bias(3)
    array([0., 0., 0.], dtype=float32)
    """
    if not _is_int(F) or F < 1:
        raise ShapeError(f"initialize_bias: F must be an int >= 1, got {F!r}")
    wanted = float_dtype("initialize_bias", dtype)
    check_memory((F,), wanted, "initialize_bias: ")
    return np.zeros(F, wanted)


def print_shape(name: str, array: Any, axes: str = "") -> None:
    """Print a name, a shape and what its axes mean.

    Examples
    --------
    >>> print_shape("cols", np.zeros((2, 27, 16), np.float32), "N, C*KH*KW, OH*OW")
    cols                   (2, 27, 16)          float32   N, C*KH*KW, OH*OW
    """
    array = np.asarray(array)
    print(f"{name:<22} {array.shape!s:<20} {array.dtype!s:<9} {axes}".rstrip())  # noqa: T201
