"""im2col: every patch that the kernel sees becomes one column, so that a convolution becomes one matrix product."""

from __future__ import annotations

import numpy as np

from ..typing import Array, Padding, Pair
from .checks import check_memory, check_numeric
from .utils import check_rank, conv_geometry, pad_sides


def im2col(x: Array, kernel_size: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1) -> Array:
    """cols[n, (c, kh, kw), (oh, ow)] = x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW], zero where that is outside x

    Parameters
    ----------
    x : (N, C, H, W)
        Images, of any numeric dtype.
    kernel_size : int or (KH, KW)
        Size of the window.
    stride, dilation : int or pair
        Steps between windows, and between the pixels of one window; at least 1.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around each image.

    Returns
    -------
    cols : (N, C*KH*KW, OH*OW)
        Column (oh, ow) is the patch under the window there: channel slowest, then kernel row, then kernel column.
        The order of PyTorch's ``torch.nn.functional.unfold``.

    Raises
    ------
    ShapeError
        If x is not 4-d, a number is out of range, or the window does not fit into the padded image.
    TypeError
        If x is no array of numbers.
    LimitError
        If the columns would not fit into memory.

    References
    ----------
    Chellapilla, Puri, Simard: High Performance Convolutional Neural Networks for Document Processing (2006).

    Examples
    --------
    The four 2x2 patches of a 3x3 image; the first column is the patch at the top left.

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> im2col(x, 2)[0]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    check_rank("im2col", "x", x, "N C H W")
    check_numeric("im2col", "x", x, "biufc")
    N, C, H, W = x.shape
    geometry = conv_geometry("im2col", (H, W), kernel_size, stride, padding, dilation)
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    check_memory((N, C, KH, KW, OH, OW), x.dtype, "im2col: ")
    check_memory((N, C, *geometry.padded), x.dtype, "im2col: ")
    xp = pad_sides(x, geometry.padding)  # (N, C, H + top + bottom, W + left + right)

    cols = np.empty((N, C, KH, KW, OH, OW), x.dtype.newbyteorder("="))
    for kh in range(KH):
        for kw in range(KW):
            cols[:, :, kh, kw] = xp[:, :, geometry.rows(kh), geometry.columns(kw)]  # (N, C, OH, OW)
    return cols.reshape(N, C * KH * KW, OH * OW)
