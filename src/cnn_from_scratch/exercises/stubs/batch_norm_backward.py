"""batch_norm_backward: every number moves the mean and the variance of its channel, and so all others a little.

For each channel c, over the n = N*H*W numbers x of that channel in the batch:

    mean = sum(x) / n            variance = sum((x - mean)**2) / n
    xhat = (x - mean) / sqrt(variance + eps)
    y    = weight * xhat + bias

and on the way back, with dy the gradient by y:

    dbias   = sum(dy)
    dweight = sum(dy * xhat)
    dx      = weight / sqrt(variance + eps) * (dy - sum(dy)/n - xhat * sum(dy*xhat)/n)
                                               ^    ^           ^
                                directly ------+    |           |
                                through the mean ---+           |
                                through the variance -----------+

Derive it once on paper from the four lines above: x acts on y in three ways, and each is one of these terms.
"""

import numpy as np


def batch_norm_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of sum(y * dy), with y the batch normalisation of x in training.

    dy       (N, C, H, W), not to be changed, nor the others
    x        (N, C, H, W)
    weight   (C,)
    returns  dx (N, C, H, W), dweight (C,), dbias (C,), of the dtype of x
    """
    raise NotImplementedError  # your code here
