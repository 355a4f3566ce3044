"""adam: momentum, and a pace of its own for every parameter. One step.

    m     <- beta1 * m + (1 - beta1) * grad              a running mean of the gradient
    v     <- beta2 * v + (1 - beta2) * grad**2           a running mean of its square
    mhat  =  m / (1 - beta1**t)                          m and v started at 0: this makes true means of them
    vhat  =  v / (1 - beta2**t)
    param <- (1 - lr * weight_decay) * param  -  lr * mhat / (sqrt(vhat) + eps)

The last line with its decay is AdamW's; with weight_decay = 0 it is Adam's. In the first step, t = 1, mhat is the
gradient and vhat its square: the step is lr long, whatever the size of the gradient.

    t = 1, grad 4, m and v 0:   m = 0.4, v = 0.016;   mhat = 4, vhat = 16;   param falls by lr * 4/4
"""

import numpy as np


def adam(
    param: np.ndarray,
    grad: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    t: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of Adam (AdamW, if there is a weight decay).

    param, grad, m, v  of one shape, not to be changed; m and v from the step before
    t                  number of this step: 1, 2, 3 ...
    returns            the new param, m and v (m and v without the correction: it is made anew in each step)
    """
    raise NotImplementedError  # your code here
