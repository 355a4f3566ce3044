"""Where the numbers of a convolution go: out in pieces, finished while they are hot, in the memory order of the input.

A convolution makes its output piece by piece. Whatever has to be done to every number afterwards (a bias, a ReLU, the
sums of batch norm) is cheapest while the piece still lies in the processor's cache, so each way of computing takes a
function `finish` and calls it on every fresh piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..typing import Array
from .utils import HWNC, empty_nchw, is_hwnc

Finish: TypeAlias = Callable[[Array], None]
"""Called with a writable view (rows, OW, images, F) of fresh output; each number of the output is in one piece."""


def add_bias(bias: Array | None) -> Finish | None:
    """The `Finish` that adds bias[f] to every output of filter f; None where there is nothing to add.

    Examples
    --------
    >>> import numpy as np
    >>> piece = np.zeros((1, 1, 2, 2))  # one pixel of two images, two filters
    >>> add_bias(np.array([3.0, 5.0]))(piece)
    >>> piece[0, 0]
    array([[3., 5.],
           [3., 5.]])
    """
    if bias is None:
        return None

    def add(piece: Array) -> None:
        piece += bias

    return add


def hand_over(y: Array, finish: Finish | None, *, like: Array) -> Array:
    """Finish an output (OH, OW, N, F) that was made in one piece, and give it out as `in_order_of` does."""
    if finish is not None:
        finish(y)
    return in_order_of(like, y)


def in_order_of(x: Array, result: Array) -> Array:
    """A result that lies as (H, W, N, C), as a logical (N, C, H, W) array in the memory order of `x`."""
    images = result.transpose(HWNC)
    if is_hwnc(x):
        return images
    out = empty_nchw(images.shape, images.dtype, like=x)
    out[...] = images
    return out
