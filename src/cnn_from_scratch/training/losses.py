"""Which loss: by its name, or as your own (forward, backward) pair."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from .. import ops
from ..ops.checks import check_number
from ..typing import Array

LossPair: TypeAlias = tuple[Callable[..., Any], Callable[..., Array]]
LOSSES = ("cross_entropy", "binary_cross_entropy", "mse", "l1", "huber")


class Loss(NamedTuple):
    """``forward(output, targets, reduction="sum") -> (loss, cache)`` and ``backward(cache, dloss) -> doutput``."""

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Array]


def as_loss(loss: str | LossPair, *, label_smoothing: float = 0.0) -> Loss:
    """Look a loss up by name, or take a (forward, backward) pair as it is.

    Examples
    --------
    >>> as_loss("mse").name
    'mse'
    >>> as_loss("hinge")
    Traceback (most recent call last):
        ...
    ValueError: loss must be one of cross_entropy, binary_cross_entropy, mse, l1, huber or a (forward, backward) pair...
    """
    check_number("as_loss", "label_smoothing", label_smoothing)
    if label_smoothing and loss != "cross_entropy":
        raise ValueError(f"label_smoothing belongs to the loss 'cross_entropy', got {loss!r}")
    if isinstance(loss, str) and loss in LOSSES:
        forward, backward = getattr(ops, f"{loss}_forward"), getattr(ops, f"{loss}_backward")
        if label_smoothing:
            forward = partial(forward, label_smoothing=label_smoothing)
        return Loss(loss, forward, backward)
    if isinstance(loss, tuple) and len(loss) == 2 and all(callable(part) for part in loss):
        return Loss(getattr(loss[0], "__name__", "loss").removesuffix("_forward"), *loss)
    raise ValueError(f"loss must be one of {', '.join(LOSSES)} or a (forward, backward) pair, got {loss!r}")
