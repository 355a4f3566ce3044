"""The exercise softmax_cross_entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import Array
from ..arrays import real, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.softmax_cross_entropy import MISTAKES, correct


def _rungs() -> list[Rung]:
    def case(logits: Any, targets: list[int], dtype: str = "float64") -> Arguments:
        return {"logits": np.asarray(logits, dtype), "targets": np.array(targets)}

    rng = np.random.default_rng(3)
    return [
        Rung("one example, two classes", case(np.log([[1.0, 3.0]]), [0])),
        Rung("one example, four classes", case(np.log([[1.0, 2.0, 5.0, 8.0]]), [2])),
        Rung("a batch: the loss is the mean", case(whole(1, 3, 4) / 4, [3, 0, 0])),
        Rung("as many examples as classes", case(whole(2, 3, 3) / 4, [1, 2, 1])),
        Rung("logits of 1000: exp must not overflow", case([[1000.0, 1001.0, 999.0], [995.0, 996.0, 994.0]], [1, 0])),
        Rung(
            "examples far apart: each has its own maximum",
            case([[1000.0, 1001.0, 999.0], [-900.0, -901.0, -902.0]], [0, 2]),
        ),
        Rung("the right class is hopeless: the loss is 1000, not infinite", case([[1000.0, 0.0, 0.0]], [2])),
        Rung(
            "larger, in float32",
            case(10 * real(4, 16, 10), rng.integers(0, 10, 16).tolist(), "float32"),
        ),
    ]


def _answer(logits: Array, targets: Array) -> tuple[Any, Array]:
    return correct(logits, targets)


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """Softmax of one row in three lines, and what follows from it."""
    logits, targets = given["logits"].astype(np.float64), given["targets"]
    N = len(logits)
    if output == "loss":
        losses = [_loss_of(row, target) for row, target in zip(logits, targets, strict=True)]
        each = [f"example {n}, target {targets[n]}: {losses[n]:.6g}" for n in range(min(N, 6))]
        more = [f"and {N - 6} more"] if N > 6 else []
        first = _row(logits[0], 0)
        return [
            *first,
            "-log p[n, target] = log(sum of exp(z)) - z[target]:",
            *each,
            *more,
            f"mean {np.mean(losses):.6g}",
        ]
    n, k = index
    z = logits[n] - logits[n].max()
    p = np.exp(z[k]) / np.exp(z).sum()
    one = int(targets[n] == k)
    return [
        *_row(logits[n], n),
        f"p[{n}, {k}] = {p:.6g}; the target of example {n} is {targets[n]}, so {one} is taken off",
        f"dlogits[{n}, {k}] = ({p:.6g} - {one}) / {N} = {(p - one) / N:.6g}",
    ]


def _row(logits: Array, n: int) -> list[str]:
    z = logits - logits.max()
    shown = ", ".join(f"{value:.5g}" for value in z[:8]) + (", ..." if len(z) > 8 else "")
    return [f"z = logits[{n}] - {logits.max():.5g} = [{shown}]", f"the sum of exp(z) is {np.exp(z).sum():.6g}"]


def _loss_of(logits: Array, target: int) -> float:
    z = logits - logits.max()
    return float(np.log(np.exp(z).sum()) - z[target])


EXERCISE = Exercise(
    name="softmax_cross_entropy",
    summary="the loss of a classifier, and its gradient",
    read="logarithm and exponential; indexing with two index arrays, p[np.arange(N), targets]",
    start="start with z = logits - logits.max(1, keepdims=True) and the sum of exp(z) along each row",
    hints=(
        "Work with logarithms as long as you can: log p = z - log(sum(exp(z))). The loss needs log p, and only the "
        "gradient needs p itself.",
        "keepdims=True keeps the sums of the rows as a column (N, 1), which goes with (N, K). log_p[np.arange(N), "
        "targets] picks the one number of each row that counts.",
        "loss = -log_p[np.arange(N), targets].mean(); dlogits = np.exp(log_p); dlogits[np.arange(N), targets] -= 1; "
        "return loss, dlogits / N.",
    ),
    solution=(
        "ops.cross_entropy:cross_entropy_forward",
        "ops.cross_entropy:cross_entropy_backward",
        "ops.softmax:log_softmax_forward",
    ),
    outputs=("loss", "dlogits"),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
