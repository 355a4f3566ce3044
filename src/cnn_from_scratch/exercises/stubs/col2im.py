"""col2im: every column goes back to the patch that it came from, and where patches overlap, they add up.

    x[n, c, h, w] = the sum of all cols[n, (c, kh, kw), (oh, ow)] whose place is
                    h = oh*stride + kh*dilation - padding and w = ow*stride + kw*dilation - padding

It is how the gradient comes home: a pixel that four windows saw receives four contributions. It is the transpose of
im2col, not its inverse. Columns of ones count how many 2x2 windows cover each pixel of a 3x3 image:

    1 1 1 1
    1 1 1 1         1 2 1
    1 1 1 1   ->    2 4 2
    1 1 1 1         1 2 1
"""

import numpy as np


def col2im(
    cols: np.ndarray,
    input_shape: tuple[int, int, int, int],
    kernel_size: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> np.ndarray:
    """Every column back to its patch; overlaps add up.

    cols         (N, C*KH*KW, OH*OW), in the order of im2col, not to be changed
    input_shape  (N, C, H, W)
    kernel_size  (KH, KW)
    returns      (N, C, H, W), of the dtype of cols
    """
    raise NotImplementedError  # your code here
