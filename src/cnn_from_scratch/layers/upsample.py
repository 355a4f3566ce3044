"""Upsampling as a layer: every pixel becomes several."""

from __future__ import annotations

from ..ops import UpsampleCache, upsample_backward, upsample_forward
from ..ops.upsample import UpsampleMode, check_mode
from ..ops.utils import pair
from ..typing import Array, Pair
from .base import Shape, require_rank
from .context import Context
from .plain import PlainLayer


class Upsample(PlainLayer):
    """y[n,c,oh,ow] = x[n,c,oh // SH,ow // SW]

    Parameters
    ----------
    scale_factor : int or (SH, SW)
        How many rows and columns one becomes. By name only: a number without a name is the new size for PyTorch.
    mode : "nearest"

    Raises
    ------
    ShapeError
        If scale_factor is no int of at least 1, nor a pair of them.
    ValueError
        If mode is another.

    Examples
    --------
    >>> Upsample(scale_factor=2).output_shape((16, 7, 5))
    (16, 14, 10)
    """

    op = (upsample_forward, upsample_backward)

    def __init__(self, *, scale_factor: Pair, mode: UpsampleMode = "nearest") -> None:
        super().__init__()
        pair("Upsample", "scale_factor", scale_factor, minimum=1)
        check_mode("Upsample", mode)
        self.scale_factor, self.mode = scale_factor, mode

    def forward(self, x: Array, ctx: Context) -> tuple[Array, UpsampleCache]:
        """See `cnn_from_scratch.ops.upsample_forward`."""
        return upsample_forward(x, self.scale_factor, mode=self.mode)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(C, H, W) -> (C, H*SH, W*SW)"""
        require_rank(self, input_shape, "C H W")
        C, H, W = input_shape
        SH, SW = pair("Upsample", "scale_factor", self.scale_factor, minimum=1)
        return C, H * SH, W * SW
