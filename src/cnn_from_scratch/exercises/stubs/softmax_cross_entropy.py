"""softmax_cross_entropy: how surprised the network is by the right class, and what would surprise it less.

    p[n, k]       = exp(logits[n, k]) / the sum over j of exp(logits[n, j])
    loss          = the mean over n of -log(p[n, targets[n]])
    dlogits[n, k] = (p[n, k] - 1 where k is the target, p[n, k] elsewhere) / N

    logits     0      log 3        p     0.25  0.75      targets  0
    loss       -log 0.25 = 1.386   dlogits  -0.75  0.75

exp(1000) is infinite. Adding the same number to all logits of an example does not change p, so take off their maximum
first. And where p is 0, log(p) is minus infinity although the loss is a plain number: use
log p[n, k] = z - log(sum of exp(z)), where z are the logits less their maximum.
"""

import numpy as np


def softmax_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss, and its gradient by the logits.

    logits   (N, K), not to be changed
    targets  (N,) integers: the right class of each example
    returns  loss (a number), dlogits (N, K), of the dtype of logits
    """
    raise NotImplementedError  # your code here
