"""Dropout as a layer: it acts in training only."""

from __future__ import annotations

import numpy as np

from ..ops import DropoutCache, dropout_backward, dropout_forward
from ..typing import Array
from .context import Context
from .plain import PlainLayer


class Dropout(PlainLayer):
    """y = x * keep / (1 - p) with keep ~ Bernoulli(1 - p) in training; y = x in evaluation

    What is dropped depends on the seed, epoch, step and shard of the context and on the key of the layer, nothing else.

    Parameters
    ----------
    p : float
        The probability to drop a number, in [0, 1).

    Raises
    ------
    ValueError
        If p is no number in [0, 1).

    Examples
    --------
    >>> from cnn_from_scratch.randomness import Place
    >>> y, _ = Dropout(0.5).forward(np.ones((1, 6), np.float32), Context(train=True, rng=Place(seed=1)))
    >>> np.unique(y)
    array([0., 2.], dtype=float32)
    """

    op = (dropout_forward, dropout_backward)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not isinstance(p, int | float | np.floating) or not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be in [0, 1), got {p!r}")
        self.p = p

    def forward(self, x: Array, ctx: Context) -> tuple[Array, DropoutCache]:
        """See `cnn_from_scratch.ops.dropout_forward`."""
        drops = ctx.train and self.p > 0
        return dropout_forward(x, p=self.p, train=drops, rng=ctx.generator("dropout") if drops else None)
