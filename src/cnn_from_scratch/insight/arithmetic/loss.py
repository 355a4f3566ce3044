"""Softmax with cross-entropy: the loss of one example, and the gradient with which the way back begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...ops import cross_entropy_forward
from ...typing import Array
from .rule import Index, Parts
from .softmax import probabilities
from .terms import Place, Terms, products

if TYPE_CHECKING:
    from ..trace import Trace

KEY = "loss"
"""The key under which the loss is asked for."""


def losses(trace: Trace) -> Array:
    """The loss of each example, (N,), or of each of its positions, (N, d1, ...)."""
    assert trace.y is not None
    each, _ = cross_entropy_forward(trace.logits, trace.y, reduction="none")
    return np.asarray(each)


def explain(trace: Trace, index: Index) -> Parts:
    """loss[n] = -sum_k q[n, k] * log(softmax(logits)[n, k])"""
    if not index:
        return _explain_mean(trace)
    n, *position = index
    scores, q = _scores(trace, index), _targets(trace, index)
    _, shares, logarithm = probabilities(scores)
    surprise = logarithm - (scores.astype(np.float64) - float(scores.max()))  # -log(softmax), (K,)
    places = np.array([(n, k, *position) for k in range(len(scores))])
    amounts = np.where(q != 0, q * surprise, 0.0)
    beside = {"logits": scores.astype(np.float64), "softmax": shares}
    return Parts(
        "loss[n] = -sum of q[n, k] * log(softmax(logits)[n, k]), q = 1 for the right class and 0 for all others",
        Terms(amounts, {"q": q, "-log(softmax)": surprise}, (Place("logits", places),), beside=beside),
        notes=(f"log of the sum of exp(logits - max) is {logarithm:.6g}, max is {float(scores.max()):.6g}",),
        scale=math.fsum(np.abs(q)) * (float(np.ptp(scores)) + logarithm + float(np.abs(scores).max())),
    )


def _explain_mean(trace: Trace) -> Parts:
    """loss = the sum of the losses of all examples that count / their number"""
    each = losses(trace)
    kept = np.argwhere(_kept(trace))
    values = each[tuple(kept.T)].astype(np.float64)
    terms = products((Place("loss", kept),), loss=values, share=np.full(len(kept), 1 / max(len(kept), 1)))
    return Parts("loss = sum of loss[n] / N", terms)


def blame(trace: Trace, index: Index) -> Parts:
    """dlogits[n, k] = (softmax(logits)[n, k] - q[n, k]) / N"""
    n, k, *position = index
    scores, q = _scores(trace, (n, *position)), _targets(trace, (n, *position))
    _, shares, _ = probabilities(scores)
    N = int(np.count_nonzero(_kept(trace)))
    values = np.array([shares[k] * math.fsum(q), -q[k]])
    labels = (f"softmax(logits)[{n}, {k}]", "-1, for it is the right class" if q[k] == 1 else "-q[n, k]")
    return Parts(
        "dlogits[n, k] = (softmax(logits)[n, k] - q[n, k]) / N, q = 1 for the right class and 0 for all others",
        products((), labels, value=values, share=np.full(2, 1 / N)),
        scale=math.fsum(np.abs(values)) / N * (1 + float(np.ptp(scores))),
    )


def _kept(trace: Trace) -> Array:
    """Which examples, or positions, count: not those whose class is -100."""
    assert trace.y is not None
    if trace.y.shape == trace.logits.shape:
        return np.ones(losses(trace).shape, bool)
    kept: Array = trace.y != -100
    return kept


def _scores(trace: Trace, index: Index) -> Array:
    """The logits of one example, or position: (K,)."""
    scores: Array = np.moveaxis(trace.logits, 1, -1)[index]
    return scores


def _targets(trace: Trace, index: Index) -> Array:
    """q[k]: the share of each class in the target, (K,)."""
    assert trace.y is not None
    if trace.y.shape == trace.logits.shape:
        shares: Array = np.moveaxis(trace.y, 1, -1)[index]
        return shares.astype(np.float64)
    one_hot: Array = np.arange(trace.logits.shape[1]) == trace.y[index]
    return one_hot.astype(np.float64)
