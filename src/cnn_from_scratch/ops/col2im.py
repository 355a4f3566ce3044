"""col2im: every column goes back to the patch it came from, and where patches overlap, they add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..typing import Array, Padding, Pair
from .checks import check_memory, check_numeric
from .utils import check_rank, check_shape, conv_geometry, crop_sides


def col2im(
    cols: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Array:
    """x[n, c, h, w] = sum of cols[n, (c, kh, kw), (oh, ow)] over all (kh, oh) with oh*SH + kh*DH - PH = h, likewise w

    The adjoint (transpose) of im2col, not its inverse: <im2col(x), cols> = <x, col2im(cols)>. A pixel that k windows
    saw receives k contributions, which is what the gradient of a convolution asks for.

    Parameters
    ----------
    cols : (N, C*KH*KW, OH*OW)
        Columns in the order of `im2col`.
    input_shape : (N, C, H, W)
        Shape of the images that the columns belong to.
    kernel_size, stride, padding, dilation
        As they were given to `im2col`.

    Returns
    -------
    x : (N, C, H, W)

    Raises
    ------
    ShapeError
        If the columns do not fit to these images and windows.
    TypeError
        If cols is no array of numbers, or one of booleans, which would not add up.
    LimitError
        If the images would not fit into memory.

    Examples
    --------
    Columns of ones count how many 2x2 windows cover each pixel of a 3x3 image.

    >>> col2im(np.ones((1, 4, 4)), (1, 1, 3, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    check_rank("col2im", "cols", cols, "N C*KH*KW OH*OW")
    check_numeric("col2im", "cols", cols, "iufc")  # booleans would not add up
    N, C, H, W = _four_sizes(input_shape)
    geometry = conv_geometry("col2im", (H, W), kernel_size, stride, padding, dilation)
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    check_shape("col2im", "cols", cols, (N, C * KH * KW, OH * OW))
    check_memory((N, C, *geometry.padded), cols.dtype, "col2im: ")
    cols6 = cols.reshape(N, C, KH, KW, OH, OW)

    xp = np.zeros((N, C, *geometry.padded), cols.dtype.newbyteorder("="))
    for kh in range(KH):
        for kw in range(KW):
            xp[:, :, geometry.rows(kh), geometry.columns(kw)] += cols6[:, :, kh, kw]  # (N, C, OH, OW)
    return crop_sides(xp, geometry.padding)


def _four_sizes(input_shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    whole = isinstance(input_shape, Sequence) and all(_is_size(n) for n in input_shape)
    if not whole or len(input_shape) != 4:
        raise ShapeError(f"col2im: input_shape must be (N, C, H, W), got {input_shape!r}")
    N, C, H, W = map(int, input_shape)
    return N, C, H, W


def _is_size(n: object) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and int(n) >= 0
