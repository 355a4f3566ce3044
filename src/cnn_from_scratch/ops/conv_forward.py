"""Convolution, forward: as loops (the definition), by im2col (the explanation), by rows (what runs fast)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array, Padding, Pair
from .conv_algorithms import ALGORITHMS as ALGORITHMS
from .conv_algorithms import Algorithm as Algorithm
from .conv_algorithms import resolve_algorithm as resolve_algorithm
from .conv_depthwise import forward_depthwise
from .conv_first import forward_first
from .conv_output import Finish as Finish
from .conv_output import add_bias, hand_over
from .conv_pointwise import forward_pointwise
from .conv_rows import forward_rows
from .conv_winograd import forward_winograd
from .dtypes import float_op
from .im2col import im2col
from .memory import empty
from .utils import HWNC, ConvGeometry, check_rank, check_shape, conv_geometry, pad_sides


class ConvCache(NamedTuple):
    """What `conv_backward` needs. The columns are not kept: they are made again, for they are KH*KW times larger."""

    x: Array  # (N, C, H, W)       borrowed, never written
    weight: Array  # (F, C/G, KH, KW)  borrowed, never written
    geometry: ConvGeometry
    groups: int
    has_bias: bool
    algorithm: str  # never "auto": the way that was taken


@float_op("x", "weight", "bias")
def conv_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    algorithm: Algorithm = "auto",
) -> tuple[Array, ConvCache]:
    """y[n,f,oh,ow] = bias[f] + sum_{c,kh,kw} x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW] * weight[f,c,kh,kw]

    What deep learning calls convolution is cross-correlation: the kernel is not flipped. With groups, filter f sees
    only the C/G channels of its own group; groups = C is the depthwise convolution.

    Parameters
    ----------
    x : (N, C, H, W)
        Images.
    weight : (F, C/G, KH, KW)
        Filters.
    bias : (F,), optional
        Added to every position of a filter's output.
    stride, dilation : int or pair
        At least 1.
    padding : int, (PH, PW), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the images.
    groups : int
        Must divide C and F.
    algorithm : str
        How to compute; the results differ by rounding only. ``"auto"`` picks the fastest by shapes and dtype (never
        Winograd in float64).

        =============  ==========================================  =============  =================================
        name           how                                         error / std    for
        =============  ==========================================  =============  =================================
        ``loops``      every output position by itself             2e-7           reading
        ``im2col``     one column matrix, one product              2e-7           reading
        ``im2row``     the same in pieces that stay in the cache   2e-7           anything; strides, groups
        ``pointwise``  the images are the matrix                   2e-7           1x1 without padding
        ``first``      columns channel by channel                  2e-7           at most 4 channels
        ``winograd2``  F(2x2, 3x3), 2.25 times fewer products      2e-7 to 4e-7   3x3, stride 1, padding 0 or 1
        ``winograd4``  F(4x4, 3x3), 4 times fewer products         1e-6 to 3e-6   the same, from 8 channels on
        ``depthwise``  shifted images times one number each        2e-7           groups = C
        =============  ==========================================  =============  =================================

        The error is that of float32 against float64, typical size; the largest of winograd4's are about 5e-5.

    Returns
    -------
    y : (N, F, OH, OW)
        In the memory order of x.
    cache : ConvCache

    Raises
    ------
    ShapeError
        If channels, bias or groups do not fit together, or the kernel does not fit into the padded image.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).
    ValueError
        If the algorithm is unknown, or cannot compute this convolution.

    References
    ----------
    Dumoulin, Visin: A guide to convolution arithmetic for deep learning (2016). https://arxiv.org/abs/1603.07285

    Examples
    --------
    A filter that takes the difference of neighbours: -1*0 + 1*1 = 1, -1*1 + 1*4 = 3, -1*4 + 1*9 = 5.

    >>> x = np.array([0.0, 1.0, 4.0, 9.0]).reshape(1, 1, 1, 4)
    >>> y, cache = conv_forward(x, np.array([-1.0, 1.0]).reshape(1, 1, 1, 2))
    >>> y[0, 0]
    array([[1., 3., 5.]])
    """
    geometry, name = check_convolution("conv_forward", x, weight, bias, stride, padding, dilation, groups, algorithm)
    y = convolve(x, weight, geometry, groups, name, add_bias(bias))  # (N, F, OH, OW)
    return y, ConvCache(x, weight, geometry, groups, bias is not None, name)


# --- checks ---------------------------------------------------------------------------------------------------------


def check_convolution(
    function: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    algorithm: Algorithm,
) -> tuple[ConvGeometry, str]:
    """Where the windows go and the name of the way to compute; `function` is named in the errors."""
    check_rank(function, "x", x, "N C H W")
    check_rank(function, "weight", weight, "F C/G KH KW")
    _, _, H, W = x.shape
    F, _, KH, KW = weight.shape
    _check_channels(function, x, weight, groups)
    if bias is not None:
        check_shape(function, "bias", bias, (F,))
    geometry = conv_geometry(function, (H, W), (KH, KW), stride, padding, dilation)
    name = resolve_algorithm(algorithm, x.shape, weight.shape, geometry, groups, x.dtype, function=function)
    return geometry, name


def _check_channels(function: str, x: Array, weight: Array, groups: int) -> None:
    C, (F, CG, _, _) = x.shape[1], weight.shape
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
        raise ShapeError(f"{function}: groups must be an int >= 1, got {groups!r}")
    shapes = f"got x {tuple(x.shape)}, weight {tuple(weight.shape)}"
    if not (C and F):
        raise ShapeError(f"{function}: at least one channel and one filter are needed; {shapes}")
    if C % groups or F % groups:
        raise ShapeError(f"{function}: groups={groups} must divide C={C} and F={F}; {shapes}")
    if CG * groups != C:
        per_group = "" if groups == 1 else f" ({CG} in each of {groups} groups)"
        raise ShapeError(f"{function}: x has C={C} channels but weight expects {CG * groups}{per_group}; {shapes}")


# --- the ways to compute --------------------------------------------------------------------------------------------


def convolve(
    x: Array, weight: Array, geometry: ConvGeometry, groups: int, algorithm: str, finish: Finish | None = None
) -> Array:
    """The convolution without bias, the way `algorithm` says, of arguments that are checked; see `Finish`."""
    return FORWARD[algorithm](x, weight, geometry, groups, finish)


def _forward_loops(x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None) -> Array:
    """The definition: at every output position, the patch times the filter, summed."""
    N, F, (OH, OW) = len(x), len(weight), geometry.output
    CG, FG = weight.shape[1], F // groups
    (SH, SW), (DH, DW), (KH, KW) = geometry.stride, geometry.dilation, geometry.kernel
    xp = pad_sides(x, geometry.padding)
    y = empty((OH, OW, N, F), x.dtype)
    for n in range(N):
        for f in range(F):
            g = f // FG  # the group that filter f belongs to
            for oh in range(OH):
                for ow in range(OW):
                    rows = slice(oh * SH, oh * SH + DH * (KH - 1) + 1, DH)
                    columns = slice(ow * SW, ow * SW + DW * (KW - 1) + 1, DW)
                    patch = xp[n, g * CG : (g + 1) * CG, rows, columns]  # (C/G, KH, KW)
                    y[oh, ow, n, f] = np.sum(patch * weight[f])
    return hand_over(y, finish, like=x)


def _forward_im2col(
    x: Array, weight: Array, geometry: ConvGeometry, groups: int, finish: Finish | None = None
) -> Array:
    """The explanation: patches become columns, filters become rows, and one matrix product does the rest."""
    N, F, (OH, OW), G = len(x), len(weight), geometry.output, groups
    cols = columns_of(x, geometry)  # (N, C*KH*KW, OH*OW)
    K = weight[0].size  # C/G*KH*KW
    cols = cols.reshape(N, G, K, OH * OW)
    rows = weight.reshape(G, F // G, K)
    y = empty((OH, OW, N, F), x.dtype)
    y.transpose(HWNC)[...] = (rows @ cols).reshape(N, F, OH, OW)
    return hand_over(y, finish, like=x)


def columns_of(x: Array, geometry: ConvGeometry) -> Array:
    """The column matrix of `x` for this geometry: (N, C*KH*KW, OH*OW)."""
    return im2col(x, geometry.kernel, stride=geometry.stride, padding=geometry.padding, dilation=geometry.dilation)


FORWARD: dict[str, Callable[[Array, Array, ConvGeometry, int, Finish | None], Array]] = {
    "loops": _forward_loops,
    "im2col": _forward_im2col,
    "im2row": forward_rows,
    "pointwise": forward_pointwise,
    "first": forward_first,
    "winograd2": partial(forward_winograd, tile=2),
    "winograd4": partial(forward_winograd, tile=4),
    "depthwise": forward_depthwise,
}
"""Each way by its name; `BACKWARD` in conv_backward.py holds the gradients."""
