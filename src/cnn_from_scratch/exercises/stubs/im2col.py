"""im2col: every patch that the kernel sees becomes one column.

    cols[n, (c, kh, kw), (oh, ow)] = x[n, c, oh*stride + kh*dilation - padding, ow*stride + kw*dilation - padding]

and 0 where that is outside of the image. OH = (H + 2*padding - dilation*(KH - 1) - 1) // stride + 1, likewise OW.

A 3x3 image and a 2x2 kernel have four patches, and so four columns:

    1 2 3                                1 2 4 5   <- top left of each patch
    4 5 6     patches  12  23  45  56    2 3 5 6   <- top right
    7 8 9              45  56  78  89    4 5 7 8   <- bottom left
                                         5 6 8 9   <- bottom right
"""

import numpy as np


def im2col(
    x: np.ndarray, kernel_size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> np.ndarray:
    """Every patch as a column.

    x            (N, C, H, W), not to be changed
    kernel_size  (KH, KW)
    returns      (N, C*KH*KW, OH*OW), of the dtype of x
                 rows: channel slowest, then kernel row, then kernel column; columns: output row by output row
    """
    raise NotImplementedError  # your code here
