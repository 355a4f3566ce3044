"""conv_backward: where each product of the forward pass sends its share of the gradient.

Given dy, how much the loss changes with each number of y, the chain rule gives the same for all that made y:

    dbias[f]              = the sum over n, oh, ow of dy[n, f, oh, ow]
    dweight[f, c, kh, kw] = the sum over n, oh, ow of dy[n, f, oh, ow] * (the pixel of x that the weight met there)
    dx[n, c, h, w]        = the sum over all f, kh, kw, oh, ow in which the pixel took part of
                            dy[n, f, oh, ow] * weight[f, c, kh, kw]

Each product x*w of the forward pass appears twice: w's share is dy*x, x's share is dy*w.

    y[0] = x[0]*w[0] + x[1]*w[1]        dw[0] = dy[0]*x[0] + dy[1]*x[1]        dx[0] = dy[0]*w[0]
    y[1] = x[1]*w[0] + x[2]*w[1]        dw[1] = dy[0]*x[1] + dy[1]*x[2]        dx[1] = dy[0]*w[1] + dy[1]*w[0]
                                                                               dx[2] = dy[1]*w[1]

With columns: dweight = dy @ cols^T summed over the batch, dcols = weight^T @ dy, dx = col2im(dcols).
"""

import numpy as np


def conv_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of sum(y * dy), with y = conv_forward(x, weight, bias, stride, padding).

    dy       (N, F, OH, OW), not to be changed, nor the others
    x        (N, C, H, W)
    weight   (F, C, KH, KW)
    returns  dx (N, C, H, W), dweight (F, C, KH, KW), dbias (F,), of the dtype of x
    """
    raise NotImplementedError  # your code here; "from col2im import col2im" finds yours
