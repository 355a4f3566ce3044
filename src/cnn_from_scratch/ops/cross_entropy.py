"""Cross-entropy from logits: how surprised the model is by the right class. PyTorch's rules in every option."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..typing import Array, Reduction
from .checks import check_number, plain_array
from .dtypes import require_cache
from .loss_reduction import float_loss, reduce_losses, upstream
from .memory import empty_like
from .softmax import log_softmax_forward
from .utils import check_shape


class CrossEntropyCache(NamedTuple):
    """What `cross_entropy_backward` needs."""

    log_probabilities: Array  # (N, K, ...)
    distribution: Array  # (N, K, ...)  the weight of each class in the loss: one-hot, smoothed, weighted, 0 if ignored
    divisor: float
    reduction: Reduction
    dtype: np.dtype[Any]


@float_loss("logits")
def cross_entropy_forward(
    logits: Array,
    targets: Array,
    *,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    class_weights: Array | None = None,
) -> tuple[Any, CrossEntropyCache]:
    """loss[n] = -sum_k q[n,k] * log(softmax(logits)[n,k]), and then their mean

    q[n,k] = class_weights[k] * ((1 - label_smoothing) * [k is the target] + label_smoothing / K), and 0 where the
    target is to be ignored. A mean divides by the sum of class_weights[target] over the targets kept, so without
    weights by their number; with probabilities as targets it divides by their number, whatever the weights.

    Parameters
    ----------
    logits : (N, K) or (N, K, d1, ...)
        Scores of K classes, before any softmax. float16 computes in float32 and comes back float16.
    targets : (N,) or (N, d1, ...) of integers, or floats of the logits' shape
        Class indices, or the probability of each class.
    reduction : "mean", "sum" or "none"
        "none" keeps one loss for each target.
    label_smoothing : float
        In [0, 1]: the part of the target that is shared out evenly among all classes.
    ignore_index : int
        Class indices equal to it count for nothing. It may lie outside [0, K), and does unless told otherwise.
    class_weights : (K,), optional
        The weight of each class in the loss; finite and at least 0.

    Returns
    -------
    loss : scalar of the logits' dtype, or the shape of class indices for "none"
    cache : CrossEntropyCache
        Its `divisor` is what a mean divides by, whatever the reduction.

    Raises
    ------
    IndexError
        If a class index is neither in [0, K) nor ignore_index.
    ShapeError
        If logits, targets or class_weights do not fit together.
    TypeError
        If class indices are not integers, probabilities not floats, or an option is of the wrong kind.
    ValueError
        If an option or a class weight is out of range, or reduction is "mean" and no target is left to count.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer Vision (2016),
    section 7, for label smoothing. https://arxiv.org/abs/1512.00567

    Examples
    --------
    The right class has probability 1/4: the loss is log 4 = 1.386.

    >>> loss, cache = cross_entropy_forward(np.log([[1.0, 2.0, 5.0, 8.0], [4.0, 4.0, 4.0, 4.0]]), np.array([3, 1]))
    >>> -cache.log_probabilities[1].round(3)
    array([1.386, 1.386, 1.386, 1.386])
    >>> loss.round(3)  # (log 2 + log 4) / 2
    np.float64(1.04)
    """
    _check_arguments(logits, targets, label_smoothing, ignore_index, class_weights)
    kept = _kept(logits, targets, ignore_index)
    q = _distribution(logits, targets, kept, label_smoothing)
    if class_weights is not None:
        q *= class_weights.reshape(-1, *(1,) * (logits.ndim - 2)).astype(q.dtype)  # (K, 1, ...)
    if class_weights is None or targets.shape == logits.shape:
        divisor = float(np.count_nonzero(kept))
    else:
        divisor = float(class_weights[targets[kept]].sum(dtype=np.float64))

    log_probabilities, _ = log_softmax_forward(logits, axis=1)
    surprise = empty_like(q)
    surprise.fill(0)
    np.multiply(q, log_probabilities, out=surprise, where=q != 0)  # 0 * inf counts 0
    loss = reduce_losses("cross_entropy_forward", 0 - surprise.sum(1), reduction, divisor)
    return loss, CrossEntropyCache(log_probabilities, q, divisor, reduction, logits.dtype)


def cross_entropy_backward(cache: CrossEntropyCache, dloss: npt.ArrayLike = 1.0) -> Array:
    """dlogits[n,k] = (softmax(logits)[n,k] * sum_j q[n,j] - q[n,k]) * dloss / divisor

    For one class index that is softmax minus one-hot: push the right class up, all others down, by how wrong they are.

    Parameters
    ----------
    cache : CrossEntropyCache
        From `cross_entropy_forward`; it is not changed.
    dloss : float or array
        Gradient that arrives from above: a number, or one for each loss if reduction was "none".

    Returns
    -------
    dlogits : the shape of logits

    Examples
    --------
    Probabilities 1/4 and 3/4; the first class is right.

    >>> loss, cache = cross_entropy_forward(np.log([[1.0, 3.0]]), np.array([0]))
    >>> cross_entropy_backward(cache)
    array([[-0.75,  0.75]])
    """
    require_cache("cross_entropy_backward", cache, CrossEntropyCache)
    q = cache.distribution
    each = upstream("cross_entropy_backward", cache, dloss, _index_shape(q))
    dlogits = np.exp(cache.log_probabilities, out=empty_like(q))
    dlogits *= q.sum(1, keepdims=True)
    dlogits -= q
    dlogits *= each[:, None] if isinstance(each, np.ndarray) else each
    return dlogits.astype(cache.dtype, copy=False)


def _index_shape(logits: Array) -> tuple[int, ...]:
    """(N, d1, ...): the shape of class indices and of unreduced losses"""
    return (logits.shape[0], *logits.shape[2:])


def _kept(logits: Array, targets: Array, ignore_index: int) -> Array:
    """Which targets count; all that do are known to be classes: (N, d1, ...)."""
    if targets.shape == logits.shape:
        return np.ones(_index_shape(logits), bool)
    kept: Array = targets != ignore_index
    _check_range(targets, kept, logits.shape[1], ignore_index)
    return kept


def _distribution(logits: Array, targets: Array, kept: Array, label_smoothing: float) -> Array:
    """The smoothed probability of each class, and 0 where the target is ignored; it lies as logits does."""
    K = logits.shape[1]
    q = empty_like(logits)
    if targets.shape == logits.shape:
        q[...] = targets
    else:
        classes = np.arange(K).reshape(K, *(1,) * (logits.ndim - 2))  # (K, 1, ...)
        q[...] = targets[:, None] == classes  # one-hot
    if label_smoothing:
        q *= 1 - label_smoothing
        q += label_smoothing / K
    if not kept.all():
        q *= kept[:, None]
    return q


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_arguments(
    logits: Array, targets: Array, label_smoothing: float, ignore_index: int, class_weights: Array | None
) -> None:
    function = "cross_entropy_forward"
    if logits.ndim < 2 or logits.shape[1] == 0:
        raise ShapeError(f"{function}: logits must have shape (N, K) or (N, K, d1, ...), got {tuple(logits.shape)}")
    _check_targets(function, logits, targets)
    check_number(function, "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{function}: label_smoothing must be in [0, 1], got {label_smoothing!r}")
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int | np.integer):
        raise TypeError(f"{function}: ignore_index must be an int, got {ignore_index!r}")
    if targets.shape == logits.shape and ignore_index >= 0:
        raise ValueError(f"{function}: ignore_index={ignore_index} needs class indices; targets are probabilities")
    if class_weights is not None:
        _check_weights(function, class_weights, logits.shape[1])


def _check_weights(function: str, class_weights: Array, K: int) -> None:
    if not isinstance(class_weights, np.ndarray) or class_weights.dtype.kind not in "fiu":
        kind = class_weights.dtype if isinstance(class_weights, np.ndarray) else type(class_weights).__name__
        raise TypeError(f"{function}: class_weights must be a NumPy array of real numbers, got {kind}")
    check_shape(function, "class_weights", plain_array(function, "class_weights", class_weights), (K,))
    right = (class_weights >= 0) & (class_weights < np.inf)
    if not right.all():
        k = int(np.argmin(right))
        raise ValueError(f"{function}: class_weights must be finite and >= 0, got {class_weights[k]} for class {k}")


def _check_targets(function: str, logits: Array, targets: Array) -> None:
    plain_array(function, "targets", targets)
    indices, shape = _index_shape(logits), tuple(targets.shape)
    if shape == logits.shape:
        if targets.dtype.kind != "f":
            raise TypeError(
                f"{function}: targets of the logits' shape {shape} are probabilities and must be floats, "
                f"got {targets.dtype}"
            )
    elif shape != indices:
        raise ShapeError(
            f"{function}: targets must have shape {indices} (class indices) or {tuple(logits.shape)} (probabilities), "
            f"got {shape}"
        )
    elif targets.dtype.kind not in "iu":
        raise TypeError(
            f"{function}: targets of shape {shape} are class indices and must be integers, got {targets.dtype}"
        )


def _check_range(targets: Array, kept: Array, K: int, ignore_index: int) -> None:
    wrong = ((targets < 0) | (targets >= K)) & kept
    if wrong.any():
        first = np.unravel_index(np.argmax(wrong), wrong.shape)  # in logical order, whatever the memory order
        place = ", ".join(str(int(i)) for i in first)
        raise IndexError(
            f"cross_entropy_forward: targets[{place}] is {targets[first]}, "
            f"neither in [0, {K}) nor ignore_index={ignore_index}"
        )
