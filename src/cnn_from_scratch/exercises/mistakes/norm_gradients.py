"""The gradients of batch normalisation from the formulas, each of whose parts can be exchanged for a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from ...ops import batch_norm_backward, batch_norm_forward
from ...typing import Array

Gradients: TypeAlias = tuple[Array, Array, Array]
CHANNELS = (0, 2, 3)


def correct(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """The library's own."""
    _, cache = batch_norm_forward(x, weight, np.zeros_like(weight), None, None, train=True, eps=eps)
    dx, dweight, dbias = batch_norm_backward(dy, cache)
    assert dweight is not None
    assert dbias is not None
    return dx, dweight, dbias


class Seen(NamedTuple):
    """What the formulas are made of, ready to be multiplied."""

    dy: Array
    x: Array
    weight: Array  # (C, 1, 1)
    inv_std: Array
    xhat: Array
    axes: tuple[int, ...]

    def mean(self, values: Array) -> Array:
        """Over the axes of the statistics."""
        made: Array = values.mean(self.axes, keepdims=True)
        return made


def look(dy: Array, x: Array, weight: Array, eps: float, axes: tuple[int, ...] = CHANNELS, ddof: int = 0) -> Seen:
    """Statistics over these axes, and what follows from them."""
    inv_std = 1 / np.sqrt(x.var(axes, keepdims=True, ddof=ddof) + eps)
    return Seen(dy, x, weight[:, None, None], inv_std, (x - x.mean(axes, keepdims=True)) * inv_std, axes)


def full_dx(s: Seen) -> Array:
    """All three terms."""
    made: Array = s.weight * s.inv_std * (s.dy - s.mean(s.dy) - s.xhat * s.mean(s.dy * s.xhat))
    return made


def other_dx(make: Callable[[Seen], Array]) -> Callable[..., Gradients]:
    """Another dx beside the right dweight and dbias."""

    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        _, dweight, dbias = correct(dy, x, weight, eps)
        return make(look(dy, x, weight, eps)), dweight, dbias

    return function


def changed(change: Callable[[Gradients, Seen], Gradients]) -> Callable[..., Gradients]:
    """The right gradients, changed."""

    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        return change(correct(dy, x, weight, eps), look(dy, x, weight, eps))

    return function


def statistics_over(axes: tuple[int, ...], ddof: int = 0) -> Callable[..., Gradients]:
    """Statistics over other axes, or another count; dweight and dbias of each channel all the same."""

    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        s = look(dy, x, weight, eps, axes, ddof)
        return full_dx(s), (dy * s.xhat).sum(CHANNELS), dy.sum(CHANNELS)

    return function


def eps_outside(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """sqrt(variance) + eps"""
    inv_std = 1 / (np.sqrt(x.var(CHANNELS, keepdims=True)) + eps)
    xhat = (x - x.mean(CHANNELS, keepdims=True)) * inv_std
    s = Seen(dy, x, weight[:, None, None], inv_std, xhat, CHANNELS)
    return full_dx(s), (dy * xhat).sum(CHANNELS), dy.sum(CHANNELS)


def variance_for_std(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """Divided by variance + eps from the start."""
    inverse = 1 / (x.var(CHANNELS, keepdims=True) + eps)
    xhat = (x - x.mean(CHANNELS, keepdims=True)) * inverse
    s = Seen(dy, x, weight[:, None, None], inverse, xhat, CHANNELS)
    return full_dx(s), (dy * xhat).sum(CHANNELS), dy.sum(CHANNELS)


def no_eps(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """sqrt(variance)"""
    with np.errstate(all="ignore"):
        s = look(dy, x, weight, 0.0)
        return full_dx(s), (dy * s.xhat).sum(CHANNELS), dy.sum(CHANNELS)


def sums_not_means(s: Seen) -> Array:
    """Sums where dx has means."""

    def total(values: Array) -> Array:
        made: Array = values.sum(CHANNELS, keepdims=True)
        return made

    made: Array = s.weight * s.inv_std * (s.dy - total(s.dy) - s.xhat * total(s.dy * s.xhat))
    return made


def sums_along_columns(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """The sums (C,) against images (N, C, H, W): an error, or for C = W the wrong numbers."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, n = look(dy, x, weight, eps), dy[:, 0].size
    return s.weight * s.inv_std * (dy - dbias / n - s.xhat * dweight / n), dweight, dbias


def weight_along_columns(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """weight (C,) against images (N, C, H, W)."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s = look(dy, x, weight, eps)
    return weight * full_dx(s) / s.weight, dweight, dbias


def n_of_everything(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """n = x.size where the means of dx are made."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, n = look(dy, x, weight, eps), x.size
    sums = s.mean(dy), s.mean(dy * s.xhat)
    share = dy[:, 0].size / n
    return s.weight * s.inv_std * (dy - share * sums[0] - s.xhat * share * sums[1]), dweight, dbias


def n_of_everything_forward(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """n = x.size where mean and variance are made, and in dx."""
    n, gain = x.size, weight[:, None, None]

    def total(values: Array) -> Array:
        made: Array = values.sum(CHANNELS, keepdims=True)
        return made

    centred = x - total(x) / n
    inv_std = 1 / np.sqrt(total(centred**2) / n + eps)
    xhat = centred * inv_std
    dx = gain * inv_std * (dy - total(dy) / n - xhat * total(dy * xhat) / n)
    return dx, (dy * xhat).sum(CHANNELS), dy.sum(CHANNELS)


def n_of_batch(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """n = N where the means of dx are made."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, times = look(dy, x, weight, eps), dy[0, 0].size
    dx = s.weight * s.inv_std * (dy - times * s.mean(dy) - s.xhat * times * s.mean(dy * s.xhat))
    return dx, dweight, dbias
