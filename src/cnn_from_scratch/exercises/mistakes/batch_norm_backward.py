"""What goes wrong in the gradient of batch normalisation: forgotten paths, wrong axes, wrong counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from ...ops import batch_norm_backward, batch_norm_forward
from ...typing import Array
from ..exercise import Mistake

Gradients: TypeAlias = tuple[Array, Array, Array]
CHANNELS = (0, 2, 3)


def correct(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """The library's own."""
    _, cache = batch_norm_forward(x, weight, np.zeros_like(weight), None, None, train=True, eps=eps)
    dx, dweight, dbias = batch_norm_backward(dy, cache)
    assert dweight is not None
    assert dbias is not None
    return dx, dweight, dbias


class _Seen(NamedTuple):
    """What the formulas are made of, ready to be multiplied."""

    dy: Array
    x: Array
    weight: Array  # (1, C, 1, 1)
    inv_std: Array
    xhat: Array
    axes: tuple[int, ...]

    def mean(self, values: Array) -> Array:
        made: Array = values.mean(self.axes, keepdims=True)
        return made


def _seen(dy: Array, x: Array, weight: Array, eps: float, axes: tuple[int, ...] = CHANNELS, ddof: int = 0) -> _Seen:
    inv_std = 1 / np.sqrt(x.var(axes, keepdims=True, ddof=ddof) + eps)
    return _Seen(dy, x, weight[:, None, None], inv_std, (x - x.mean(axes, keepdims=True)) * inv_std, axes)


def _full(s: _Seen) -> Array:
    made: Array = s.weight * s.inv_std * (s.dy - s.mean(s.dy) - s.xhat * s.mean(s.dy * s.xhat))
    return made


def _dx(make: Callable[[_Seen], Array]) -> Callable[..., Gradients]:
    """Another dx beside the right dweight and dbias."""

    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        _, dweight, dbias = correct(dy, x, weight, eps)
        return make(_seen(dy, x, weight, eps)), dweight, dbias

    return function


def _changed(change: Callable[[Gradients, _Seen], Gradients]) -> Callable[..., Gradients]:
    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        return change(correct(dy, x, weight, eps), _seen(dy, x, weight, eps))

    return function


def _over(axes: tuple[int, ...], ddof: int = 0) -> Callable[..., Gradients]:
    """Statistics over other axes, or another count; dweight and dbias of each channel all the same."""

    def function(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
        s = _seen(dy, x, weight, eps, axes, ddof)
        return _full(s), (dy * s.xhat).sum(CHANNELS), dy.sum(CHANNELS)

    return function


def _eps_outside(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    inv_std = 1 / (np.sqrt(x.var(CHANNELS, keepdims=True)) + eps)
    xhat = (x - x.mean(CHANNELS, keepdims=True)) * inv_std
    s = _Seen(dy, x, weight[:, None, None], inv_std, xhat, CHANNELS)
    return _full(s), (dy * xhat).sum(CHANNELS), dy.sum(CHANNELS)


def _variance_for_std(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """Divided by variance + eps from the start."""
    inverse = 1 / (x.var(CHANNELS, keepdims=True) + eps)
    xhat = (x - x.mean(CHANNELS, keepdims=True)) * inverse
    s = _Seen(dy, x, weight[:, None, None], inverse, xhat, CHANNELS)
    return _full(s), (dy * xhat).sum(CHANNELS), dy.sum(CHANNELS)


def _no_eps(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    with np.errstate(all="ignore"):
        s = _seen(dy, x, weight, 0.0)
        return _full(s), (dy * s.xhat).sum(CHANNELS), dy.sum(CHANNELS)


def _sums_not_means(s: _Seen) -> Array:
    def total(values: Array) -> Array:
        made: Array = values.sum(CHANNELS, keepdims=True)
        return made

    made: Array = s.weight * s.inv_std * (s.dy - total(s.dy) - s.xhat * total(s.dy * s.xhat))
    return made


def _sums_along_columns(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """The sums (C,) against images (N, C, H, W): an error, or for C = W the wrong numbers."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, n = _seen(dy, x, weight, eps), dy[:, 0].size
    return s.weight * s.inv_std * (dy - dbias / n - s.xhat * dweight / n), dweight, dbias


def _weight_along_columns(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    _, dweight, dbias = correct(dy, x, weight, eps)
    s = _seen(dy, x, weight, eps)
    return weight * _full(s) / s.weight, dweight, dbias


def _n_of_everything(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """n = x.size where the means of dx are made."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, n = _seen(dy, x, weight, eps), x.size
    sums = s.mean(dy), s.mean(dy * s.xhat)
    share = dy[:, 0].size / n
    return s.weight * s.inv_std * (dy - share * sums[0] - s.xhat * share * sums[1]), dweight, dbias


def _n_of_everything_forward(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
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


def _n_of_batch(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> Gradients:
    """n = N where the means of dx are made."""
    _, dweight, dbias = correct(dy, x, weight, eps)
    s, times = _seen(dy, x, weight, eps), dy[0, 0].size
    dx = s.weight * s.inv_std * (dy - times * s.mean(dy) - s.xhat * times * s.mean(dy * s.xhat))
    return dx, dweight, dbias


MISTAKES = (
    Mistake(
        "mean-and-variance-constant",
        "mean and variance are taken for constants, dx = weight * dy / std: x moves them, and through them all other "
        "numbers of its channel. Two terms are missing",
        _dx(lambda s: s.weight * s.inv_std * s.dy),
    ),
    Mistake(
        "variance-constant",
        "the variance is taken for a constant: the term - xhat * mean(dy * xhat) is missing",
        _dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy))),
    ),
    Mistake(
        "mean-constant",
        "the mean is taken for a constant: the term - mean(dy) is missing",
        _dx(lambda s: s.weight * s.inv_std * (s.dy - s.xhat * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "variance-term-added",
        "the term through the variance is added; it is to be taken off",
        _dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy) + s.xhat * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "sums-not-divided",
        "the 1/n is forgotten: in dx stand the means of dy and of dy * xhat, not their sums",
        _dx(_sums_not_means),
    ),
    Mistake(
        "n-of-everything",
        "n is the number of all numbers, x.size: each channel has only N*H*W of them, x.size / C",
        _n_of_everything,
    ),
    Mistake(
        "n-of-everything-from-the-start",
        "mean and variance divide by the number of all numbers, x.size: each channel has only N*H*W of them, x.size / "
        "C",
        _n_of_everything_forward,
    ),
    Mistake(
        "n-of-batch",
        "n is N, the number of examples: each channel has N*H*W numbers",
        _n_of_batch,
    ),
    Mistake(
        "sums-along-columns",
        "the sums of the channels, (C,), meet images (N, C, H, W) along the last axis: it takes dbias[:, None, None], "
        "or sums with keepdims=True",
        _sums_along_columns,
    ),
    Mistake(
        "weight-along-columns",
        "weight, (C,), meets images (N, C, H, W) along the last axis: it takes weight[:, None, None]",
        _weight_along_columns,
    ),
    Mistake(
        "weight-forgotten",
        "dx is not multiplied with weight: the gradient passes it on its way back",
        _dx(lambda s: _full(s) / s.weight),
    ),
    Mistake(
        "std-forgotten",
        "dx is not divided by sqrt(variance + eps)",
        _dx(lambda s: _full(s) / s.inv_std),
    ),
    Mistake(
        "divided-by-variance",
        "dx is divided by variance + eps and not by its root",
        _dx(lambda s: _full(s) * s.inv_std),
    ),
    Mistake(
        "variance-without-root",
        "x - mean is divided by variance + eps and not by its root",
        _variance_for_std,
    ),
    Mistake(
        "unbiased-variance",
        "the variance divides by n - 1 (ddof=1); batch norm normalises with 1/n",
        _over(CHANNELS, ddof=1),
    ),
    Mistake(
        "eps-outside-the-root",
        "eps is added to the standard deviation, sqrt(variance) + eps; it belongs under the root, sqrt(variance + eps)",
        _eps_outside,
    ),
    Mistake("eps-forgotten", "eps is forgotten: it stands under the root, sqrt(variance + eps)", _no_eps),
    Mistake(
        "statistics-over-batch-only",
        "mean and variance are taken over the batch only, for each pixel by itself: they go over (0, 2, 3), all pixels "
        "of a channel",
        _over((0,)),
    ),
    Mistake(
        "statistics-of-each-image",
        "mean and variance are taken over the pixels of each image by itself, axes (2, 3): that is instance "
        "normalisation. They go over the batch, too: (0, 2, 3)",
        _over((2, 3)),
    ),
    Mistake(
        "statistics-of-each-example",
        "mean and variance are taken over all numbers of each example, axes (1, 2, 3): that is layer normalisation. "
        "They go over (0, 2, 3) and are different for each channel",
        _over((1, 2, 3)),
    ),
    Mistake(
        "statistics-of-everything",
        "mean and variance are taken over everything: every channel has its own, over (0, 2, 3)",
        _over((0, 1, 2, 3)),
    ),
    Mistake(
        "dweight-without-xhat",
        "dweight is the sum of dy * x: what weight multiplies is xhat, the normalised x",
        _changed(lambda g, s: (g[0], (s.dy * s.x).sum(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-not-scaled",
        "dweight is the sum of dy * (x - mean): xhat is also divided by sqrt(variance + eps)",
        _changed(lambda g, s: (g[0], (s.dy * s.xhat / s.inv_std).sum(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-averaged",
        "dweight is a mean: it takes the sum",
        _changed(lambda g, s: (g[0], (s.dy * s.xhat).mean(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-over-batch-only",
        "dweight is summed over the batch only: weight multiplied every pixel; sum over (0, 2, 3)",
        _changed(lambda g, s: (g[0], (s.dy * s.xhat).sum(0), g[2])),
    ),
    Mistake(
        "dbias-averaged",
        "dbias is a mean: it takes the sum",
        _changed(lambda g, s: (g[0], g[1], s.dy.mean(CHANNELS))),
    ),
    Mistake(
        "dweight-and-dbias-exchanged",
        "dweight and dbias are exchanged",
        _changed(lambda g, s: (g[0], g[2], g[1])),
    ),
    Mistake(
        "dbias-over-batch-only",
        "dbias is summed over the batch only: the bias was added to every pixel; dy.sum((0, 2, 3))",
        _changed(lambda g, s: (g[0], g[1], s.dy.sum(0))),
    ),
)
