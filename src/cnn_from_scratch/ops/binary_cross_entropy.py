"""Binary cross-entropy from logits: yes or no, for each number by itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import Array, Reduction
from .dtypes import require_cache
from .loss_reduction import chain, float_loss, reduce_losses, target_like, upstream
from .sigmoid import logistic


class BinaryCrossEntropyCache(NamedTuple):
    """What `binary_cross_entropy_backward` needs."""

    prediction: Array  # borrowed, never written
    target: Array  # borrowed, never written
    divisor: float
    reduction: Reduction
    dtype: np.dtype[Any]


@float_loss("prediction")
def binary_cross_entropy_forward(
    prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Any, BinaryCrossEntropyCache]:
    """loss = mean of -(target * log(p) + (1 - target) * log(1 - p)) with p = sigmoid(prediction)

    The prediction is a logit, not a probability, so that the loss can be computed as
    max(x, 0) - x*target + log(1 + exp(-|x|)), where nothing overflows.

    Parameters
    ----------
    prediction : array of any shape
        Logits: any real numbers, above 0 for yes. float16 computes in float32 and comes back float16.
    target : the same shape, of any real dtype
        1 for yes, 0 for no, or a probability between.
    reduction : "mean", "sum" or "none"
        "none" keeps one loss for each number.

    Raises
    ------
    ShapeError, ValueError, TypeError
        As `mse_forward` does.

    Examples
    --------
    p = 3/4 for a one and p = 1/2 for a zero: -(log(3/4) + log(1/2)) / 2 = 0.490

    >>> loss, cache = binary_cross_entropy_forward(np.log([3.0, 1.0]), np.array([1, 0]))
    >>> loss.round(3)
    np.float64(0.49)
    """
    target = target_like("binary_cross_entropy_forward", prediction, target)
    losses = np.maximum(prediction, 0)
    losses -= prediction * target
    losses += np.log1p(np.exp(-np.abs(prediction)))
    divisor = float(prediction.size)
    loss = reduce_losses("binary_cross_entropy_forward", losses, reduction, divisor)
    return loss, BinaryCrossEntropyCache(prediction, target, divisor, reduction, prediction.dtype)


def binary_cross_entropy_backward(cache: BinaryCrossEntropyCache, dloss: npt.ArrayLike = 1.0) -> Array:
    """dprediction = (sigmoid(prediction) - target) * dloss / divisor

    Examples
    --------
    >>> loss, cache = binary_cross_entropy_forward(np.log([3.0, 1.0]), np.array([1, 0]))
    >>> binary_cross_entropy_backward(cache)
    array([-0.125,  0.25 ])
    """
    require_cache("binary_cross_entropy_backward", cache, BinaryCrossEntropyCache)
    x = cache.prediction
    gradient = logistic(x)
    gradient -= cache.target
    return chain(gradient, upstream("binary_cross_entropy_backward", cache, dloss, x.shape), cache.dtype)
