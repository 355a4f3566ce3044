"""From one loss for each number to one number, and the way back. All losses share it.

Every loss cache carries `divisor`, what a mean divides by, whatever the reduction was. So the shards of a batch can
sum their losses with ``reduction="sum"`` and divide by the sum of their divisors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..typing import Array, Reduction
from .checks import plain_array
from .dtypes import float_op
from .utils import check_shape

P = ParamSpec("P")
C = TypeVar("C")
REDUCTIONS = ("mean", "sum", "none")


class LossCache(Protocol):
    """What the cache of every loss has."""

    @property
    def divisor(self) -> float:
        """What a mean divides by: the number of losses, or the sum of their weights."""

    @property
    def reduction(self) -> Reduction:
        """How the losses were put together."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the loss and of the gradient."""


def float_loss(name: str) -> Callable[[Callable[P, tuple[Any, C]]], Callable[P, tuple[Any, C]]]:
    """`float_op` for a loss, whose backward pass meets no array that could tell it float16: its cache is told."""

    def decorate(function: Callable[P, tuple[Any, C]]) -> Callable[P, tuple[Any, C]]:
        checked = float_op(name)(function)

        @functools.wraps(function)
        def forward(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, C]:
            with np.errstate(over="ignore", invalid="ignore"):  # a loss beyond the dtype is infinite, and tells so
                loss, cache = checked(*args, **kwargs)
            return loss, cast(Any, cache)._replace(dtype=loss.dtype)

        return forward

    return decorate


def reduce_losses(function: str, losses: Array, reduction: Reduction, divisor: float) -> Any:
    """The mean or the sum of `losses` as a scalar of their dtype, added up in float64; or `losses` themselves.

    Examples
    --------
    >>> reduce_losses("example", np.array([1.0, 2.0, 6.0]), "mean", 3.0)
    np.float64(3.0)
    """
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ValueError(f"{function}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "none":
        return losses
    total = float(losses.sum(dtype=np.float64))
    if reduction == "mean":
        if divisor == 0:
            raise ValueError(
                f"{function}: reduction='mean' over nothing: the losses have shape {tuple(losses.shape)} "
                f"and their weights add up to 0"
            )
        total /= divisor
    return losses.dtype.type(total)


def upstream(function: str, cache: LossCache, dloss: npt.ArrayLike, shape: tuple[int, ...]) -> float | Array:
    """What each of the losses, of `shape`, receives of `dloss`: all of it, or its share 1 / divisor of a mean."""
    each = _real(function, dloss)
    if each.ndim == 0:
        return float(each) / cache.divisor if cache.reduction == "mean" else float(each)
    check_shape(function, "dloss", each, shape if cache.reduction == "none" else ())
    return each


def _real(function: str, dloss: npt.ArrayLike) -> Array:
    """`dloss` as an array, once it is known to be real numbers."""
    try:
        each = np.asarray(dloss)
    except ValueError:  # rows of different lengths
        each = np.empty(0, object)
    if each.dtype.kind not in "fiub" or isinstance(dloss, np.ma.MaskedArray):
        raise TypeError(f"{function}: dloss must be a number or an array of real numbers, got {dloss!r}")
    return each


def target_like(function: str, prediction: Array, target: Array) -> Array:
    """`target` in the dtype of `prediction`, once it is known to be real numbers of the same shape."""
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "fiub":
        kind = target.dtype if isinstance(target, np.ndarray) else type(target).__name__
        raise TypeError(f"{function}: target must be a NumPy array of real numbers, got {kind}")
    target = plain_array(function, "target", target)
    check_shape(function, "target", target, prediction.shape)
    return target.astype(prediction.dtype, copy=False)


def chain(slope: Array, each: float | Array, dtype: np.dtype[Any]) -> Array:
    """The last step of the chain rule: what arrives at each loss, times the slope of that loss."""
    return np.multiply(slope, each, out=np.empty_like(slope)).astype(dtype, copy=False)
