"""conv_forward: a filter slides over the image, and at every place gives one number.

    y[n, f, oh, ow] = bias[f] + the sum over c, kh, kw of
                      x[n, c, oh*stride + kh - padding, ow*stride + kw - padding] * weight[f, c, kh, kw]

with zeros around the image. OH = (H + 2*padding - KH) // stride + 1, likewise OW.

    1 2 3     weight  1 0     y = 1*1 + 5*1 = 6   2 + 6 = 8
    4 5 6             0 1         4 + 8 = 12      5 + 9 = 14
    7 8 9

The kernel is not flipped (mathematicians call this cross-correlation). With columns it is one matrix product:
weight (F, C*KH*KW) @ cols (C*KH*KW, OH*OW). Loops are as good: what counts are the numbers.
"""

import numpy as np


def conv_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """The convolution of images with filters.

    x        (N, C, H, W), not to be changed
    weight   (F, C, KH, KW)
    bias     (F,)
    returns  y (N, F, OH, OW), of the dtype of x
    """
    raise NotImplementedError  # your code here; "from im2col import im2col" finds yours
