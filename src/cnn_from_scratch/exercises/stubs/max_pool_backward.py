"""max_pool_backward: the gradient goes to the largest number of each window, and to no other.

    y[n, c, oh, ow] = the largest x of the window oh, ow
    dx[n, c, h, w]  = the sum of dy[n, c, oh, ow] over all windows whose largest number is x[n, c, h, w]

A small change of any other number of the window does not change its maximum: the gradient there is 0.

    x  1 5 | 2 0      dy  10 20      dx   0 10 |  0  0
       3 4 | 7 6                          0  0 | 20  0

- Of several equal numbers the first one wins, row by row (as in PyTorch).
- A window that overlaps another may have the same winner: the gradients add up.
- The padding is minus infinity, not 0: it never wins, not even against negative numbers.
"""

import numpy as np


def max_pool_backward(
    dy: np.ndarray, x: np.ndarray, kernel_size: tuple[int, int], stride: int, padding: int = 0
) -> np.ndarray:
    """The gradient of sum(y * dy) by x, with y the maximum of each window.

    dy           (N, C, OH, OW), not to be changed, nor x
    x            (N, C, H, W)
    kernel_size  (KH, KW)
    returns      dx (N, C, H, W), of the dtype of x
    """
    raise NotImplementedError  # your code here
