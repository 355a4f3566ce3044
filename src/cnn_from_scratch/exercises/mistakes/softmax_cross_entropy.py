"""What goes wrong in softmax and cross-entropy: overflow, the mean, the axis, the sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ...ops import cross_entropy_backward, cross_entropy_forward
from ...typing import Array
from ..exercise import Mistake

Result: TypeAlias = tuple[Any, Array]


def correct(logits: Array, targets: Array) -> Result:
    """The library's own."""
    loss, cache = cross_entropy_forward(logits, targets)
    return loss, cross_entropy_backward(cache)


def _softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(1, keepdims=True))
    made: Array = e / e.sum(1, keepdims=True)
    return made


def _one_hot(logits: Array, targets: Array) -> Array:
    made: Array = (targets[:, None] == np.arange(logits.shape[1])).astype(logits.dtype)
    return made


def _from(softmax: Callable[[Array], Array]) -> Callable[..., Result]:
    """Loss and gradient from probabilities that are computed in another way."""

    def function(logits: Array, targets: Array) -> Result:
        with np.errstate(all="ignore"):
            p = softmax(logits)
            loss = -np.log(p[np.arange(len(p)), targets]).mean()
        return loss, (p - _one_hot(logits, targets)) / p.dtype.type(len(p))

    return function


def _gradient(make: Callable[[Array, Array], Array]) -> Callable[..., Result]:
    """The right loss, and another gradient of p (N, K) and the one-hot targets (N, K)."""

    def function(logits: Array, targets: Array) -> Result:
        return correct(logits, targets)[0], make(_softmax(logits), _one_hot(logits, targets))

    return function


def _loss(make: Callable[[Array, Array], Any]) -> Callable[..., Result]:
    """Another loss of p and the targets, and the right gradient."""

    def function(logits: Array, targets: Array) -> Result:
        with np.errstate(all="ignore"):
            return make(_softmax(logits), targets), correct(logits, targets)[1]

    return function


def _right(p: Array, targets: Array) -> Array:
    """The probability of each right class."""
    found: Array = p[np.arange(len(p)), targets]
    return found


def _plain(logits: Array) -> Array:
    e = np.exp(logits)
    made: Array = e / e.sum(1, keepdims=True)
    return made


def _over_the_batch(logits: Array) -> Array:
    e = np.exp(logits - logits.max(0, keepdims=True))
    made: Array = e / e.sum(0, keepdims=True)
    return made


def _over_everything(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    made: Array = e / e.sum()
    return made


def _one_maximum(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    made: Array = e / e.sum(1, keepdims=True)
    return made


def _without_keepdims(logits: Array) -> Array:
    """(N, K) / (N,) fails, or for N = K divides each class by the sum of another example."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    made: Array = e / e.sum(1)
    return made


def _all_pairs(p: Array, targets: Array) -> Any:
    return -np.log(p[:, targets]).mean()


MISTAKES = (
    Mistake(
        "no-maximum-subtracted",
        "exp overflows: take the largest logit of each example off before exp, which changes nothing in p",
        _from(_plain),
    ),
    Mistake(
        "one-maximum-for-all",
        "one maximum is taken off for the whole batch: an example whose logits are all much smaller becomes 0/0. Take "
        "off each example's own: max(1, keepdims=True)",
        _from(_one_maximum),
    ),
    Mistake(
        "log-of-zero",
        "log(p) is taken of a p that has become 0: the loss is log(sum(exp(z))) - z[target], z the logits less their "
        "maximum, and stays finite",
        _loss(lambda p, targets: -np.log(_right(p, targets)).mean()),
    ),
    Mistake(
        "log-of-clipped",
        "p is clipped, or a small number added, before the log: the loss can then be no larger than some 16 to 28, "
        "where the true one is. -log p = log(sum(exp(z))) - z[target] needs no clipping",
        _loss(lambda p, targets: -np.log(_right(p, targets) + 1e-12).mean()),
    ),
    Mistake(
        "log-of-clipped-at-1e-7",
        "p is clipped, or a small number added, before the log: the loss can then be no larger than some 16 to 28, "
        "where the true one is. -log p = log(sum(exp(z))) - z[target] needs no clipping",
        _loss(lambda p, targets: -np.log(_right(p, targets) + 1e-7).mean()),
    ),
    Mistake(
        "gradient-not-divided",
        "the 1/N of the mean is missing in dlogits: the loss is a mean over the batch, and so is its gradient",
        _gradient(lambda p, one: p - one),
    ),
    Mistake(
        "loss-not-divided",
        "the loss is a sum over the batch: it takes the mean",
        _loss(lambda p, targets: -np.log(_right(p, targets)).sum()),
    ),
    Mistake(
        "over-the-batch",
        "softmax runs down the batch, axis 0: the probabilities of one example add up to 1, so it is axis 1",
        _from(_over_the_batch),
    ),
    Mistake(
        "over-everything",
        "exp(logits) is divided by the sum over everything: each example has a sum of its own, sum(1, keepdims=True)",
        _from(_over_everything),
    ),
    Mistake(
        "sum-without-keepdims",
        "the sums of the rows, (N,), stand along the classes: sum(1, keepdims=True) makes a column of them, (N, 1)",
        _from(_without_keepdims),
    ),
    Mistake(
        "gradient-sign",
        "dlogits has the wrong sign, one-hot minus p: it is p minus one-hot",
        _gradient(lambda p, one: (one - p) / len(p)),
    ),
    Mistake(
        "loss-sign",
        "the loss has the wrong sign: -log p is positive",
        _loss(lambda p, targets: np.log(_right(p, targets)).mean()),
    ),
    Mistake(
        "one-hot-forgotten",
        "dlogits is p/N: take 1 off at the target of each example",
        _gradient(lambda p, one: p / len(p)),
    ),
    Mistake(
        "only-the-target",
        "dlogits is 0 but at the targets: the other classes are pushed down, too, by their p",
        _gradient(lambda p, one: (p - one) * one / len(p)),
    ),
    Mistake(
        "softmax-derived-twice",
        "dlogits is multiplied with p * (1 - p): p minus one-hot already is the gradient through softmax and log "
        "together",
        _gradient(lambda p, one: (p - one) * p * (1 - p) / len(p)),
    ),
    Mistake(
        "gradient-by-probabilities",
        "dlogits is -1/p at the target: that is the gradient by p. By the logits it is (p - one-hot) / N",
        _gradient(lambda p, one: -one / p / len(p)),
    ),
    Mistake(
        "divided-by-everything",
        "dlogits is divided by N*K: the mean is over the N examples",
        _gradient(lambda p, one: (p - one) / p.size),
    ),
    Mistake(
        "loss-divided-by-everything",
        "the loss is divided by N*K: the mean is over the N examples",
        _loss(lambda p, targets: -np.log(_right(p, targets)).sum() / p.size),
    ),
    Mistake(
        "all-pairs",
        "p[:, targets] takes the classes of all examples from every row, (N, N): p[np.arange(N), targets] takes one "
        "each",
        _loss(_all_pairs),
    ),
    Mistake(
        "rows-of-targets",
        "p[targets] takes whole rows, those of other examples: p[np.arange(N), targets] takes one number of each row",
        _loss(lambda p, targets: -np.log(p[targets % len(p)]).mean()),
    ),
    Mistake(
        "all-classes",
        "-log p is added up over all classes: only that of the right class counts, p[np.arange(N), targets]",
        _loss(lambda p, targets: -np.log(p).sum() / len(p)),
    ),
    Mistake(
        "log2",
        "the logarithm is to the base 2: it takes the natural one, np.log",
        _loss(lambda p, targets: -np.log2(_right(p, targets)).mean()),
    ),
    Mistake(
        "log-forgotten",
        "the log is forgotten: the loss is the mean of -log p, not of -p or 1 - p",
        _loss(lambda p, targets: -_right(p, targets).mean()),
    ),
    Mistake(
        "one-minus-probability",
        "the log is forgotten: the loss is the mean of -log p, not of -p or 1 - p",
        _loss(lambda p, targets: (1 - _right(p, targets)).mean()),
    ),
    Mistake(
        "binary",
        "log(1 - p) of the other classes is added: that is the loss of independent yes-no questions. Softmax already "
        "makes the others fall when the target rises",
        _loss(lambda p, targets: -np.where(_one_hot(p, targets) == 1, np.log(p), np.log1p(-p)).sum(1).mean()),
    ),
)
