"""How good is a model: loss, accuracy, top-k, and for each class what it is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data import Data, as_source, iterate_batches
from ..layers import Layer
from ..layers.predict import predict
from ..typing import Array
from .losses import LossPair, as_loss

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Figures of a model on some examples. Everything but the loss needs class indices as targets.

    Examples
    --------
    >>> report = Evaluation.of(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1]), loss=0.5)
    >>> report
    Evaluation(loss=0.5000, accuracy=0.6667, examples=3)
    >>> report.confusion(["cat", "dog"])
         cat  dog
    cat    1    0
    dog    1    1
    """

    loss: float
    examples: int
    logits: Array  # (N, K), or whatever the model gives
    targets: Array

    def __repr__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy={self.accuracy:.4f}"
        return f"Evaluation(loss={self.loss:.4f}{accuracy}, examples={self.examples})"

    @classmethod
    def of(cls, logits: Array, targets: Array, *, loss: float) -> Evaluation:
        """From what the model said and what was right."""
        return cls(float(loss), len(logits), logits, targets)

    @property
    def classifies(self) -> bool:
        """Whether targets are class indices (N,) for logits (N, K)."""
        return self.logits.ndim == 2 and self.targets.ndim == 1 and self.targets.dtype.kind in "ui"

    @property
    def predictions(self) -> Array:
        """The class with the largest logit, (N,)."""
        self._require_classes("predictions")
        found: Array = self.logits.argmax(1)
        return found

    @property
    def accuracy(self) -> float | None:
        """Share of the examples whose class was found; None where targets are no class indices."""
        if not self.classifies or not self.examples:
            return None
        return float(np.mean(self.predictions == self.targets))

    def top_k(self, k: int) -> float:
        """Share of the examples whose class is among the k largest logits; of equal logits the first count."""
        self._require_classes("top_k")
        K = self.logits.shape[1]
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= K:
            raise ValueError(f"top_k: k must be an int in 1..{K}, got {k!r}")
        best = np.argsort(-self.logits, axis=1, kind="stable")[:, :k]
        return float(np.mean((best == self.targets[:, None]).any(1)))

    def confusion(self, classes: Sequence[str] | None = None) -> pd.DataFrame:
        """Counts: a row for each true class, a column for each predicted one."""
        import pandas as pd

        self._require_classes("confusion")
        K = self.logits.shape[1]
        counts = np.bincount(self.targets.astype(np.int64) * K + self.predictions, minlength=K * K).reshape(K, K)
        names = _names(classes, K)
        return pd.DataFrame(counts, index=pd.Index(names), columns=pd.Index(names))

    def per_class(self, classes: Sequence[str] | None = None) -> pd.DataFrame:
        """Precision, recall, F1 and number of examples of each class; 0 where a class was never predicted or seen."""
        import pandas as pd

        counts = self.confusion(classes)
        table = counts.to_numpy().astype(np.float64)
        hits, predicted, true = np.diag(table), table.sum(0), table.sum(1)
        precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
        recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
        both = precision + recall
        f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
        columns = {"precision": precision, "recall": recall, "f1": f1, "examples": true.astype(np.int64)}
        return pd.DataFrame(columns, index=counts.index)

    def _require_classes(self, method: str) -> None:
        if not self.classifies:
            raise ValueError(
                f"{method}: needs logits (N, K) and class indices (N,), got {self.logits.shape} and "
                f"{self.targets.shape} {self.targets.dtype}"
            )


def _names(classes: Sequence[str] | None, K: int) -> list[str]:
    if classes is None:
        return [str(k) for k in range(K)]
    if len(classes) != K:
        raise ValueError(f"classes: expected {K} names, got {len(classes)}")
    return list(classes)


def evaluate(model: Layer, data: Data, *, loss: str | LossPair = "cross_entropy", batch_size: int = 256) -> Evaluation:
    """Run a model over examples in evaluation mode; nothing is changed.

    Parameters
    ----------
    model : Layer
    data : (x, y), or anything with ``__len__`` and ``batch(indices, rng)``
    loss : str or (forward, backward)
        As for `fit`.
    batch_size : int
        How many examples run at a time.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If there is no example, or batch_size is no int of at least 1.
    TypeError
        If model is no Layer, or data nothing of the kind.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"evaluate: model must be a Layer, such as a Sequential, got {model!r}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"evaluate: batch_size must be an int >= 1, got {batch_size!r}")
    source = as_source(data)
    if len(source) == 0:
        raise ValueError("evaluate: there is no example; a mean over nothing is undefined")
    forward = as_loss(loss).forward
    outputs, targets, total, divisor = [], [], 0.0, 0.0
    for _, x, y in iterate_batches(source, max(batch_size, 1024), seed=0, shuffle=False):
        output = predict(model, x, batch_size=int(batch_size))
        wanted = y.astype(output.dtype, copy=False) if y.dtype.kind == "f" else y
        part, cache = forward(output, wanted, reduction="sum")
        total += float(part)
        divisor += float(getattr(cache, "divisor", len(output)))
        outputs.append(output)
        targets.append(y)
    if divisor == 0:
        raise ValueError("evaluate: every target is ignored; a mean over nothing is undefined")
    return Evaluation.of(np.concatenate(outputs), np.concatenate(targets), loss=total / divisor)
