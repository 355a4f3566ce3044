"""training_loop: shuffle, take a batch, look at its gradient, take a step; after each epoch, measure.

    velocities start at 0, once
    for each epoch:
        order = rng.permutation(N)                       draw it once per epoch, and nothing else from rng
        for each batch of batch_size examples of order:  the last one may be shorter
            gradient of the loss of this batch
            velocity  <- momentum * velocity + gradient
            parameter <- parameter - lr * velocity
        test_losses[epoch] = the loss of the test images, with the parameters as they are now

    order    3 0 4 1 2
    batches  3 0 | 4 1 | 2        images and labels by the same numbers: x[batch], y[batch]

The test images only say how good the parameters are. Nothing is learned from them.
"""

from collections.abc import Callable

import numpy as np


def training_loop(
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    loss_and_gradients: Callable[..., tuple[float, np.ndarray, np.ndarray]],
    lr: float,
    momentum: float,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train a linear classifier by stochastic gradient descent with momentum.

    x, y            (N, D) and (N,): what it learns from
    x_test, y_test  what it is measured by
    weight, bias    (K, D) and (K,): where it begins; not to be changed, nor the others
    loss_and_gradients(x, y, weight, bias) -> loss, dweight, dbias
                    the loss is the mean over the examples that it is given, and so are the gradients
    rng             numpy.random.Generator
    returns         the trained weight, the trained bias, and test_losses (epochs,)
    """
    raise NotImplementedError  # your code here
