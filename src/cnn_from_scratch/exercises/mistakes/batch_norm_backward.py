"""What goes wrong in the gradient of batch normalisation: forgotten paths, wrong axes, wrong counts."""

from __future__ import annotations

from ..exercise import Mistake
from .norm_gradients import (
    CHANNELS,
    changed,
    eps_outside,
    full_dx,
    n_of_batch,
    n_of_everything,
    n_of_everything_forward,
    no_eps,
    other_dx,
    statistics_over,
    sums_along_columns,
    sums_not_means,
    variance_for_std,
    weight_along_columns,
)

MISTAKES = (
    Mistake(
        "mean-and-variance-constant",
        "mean and variance are taken for constants, dx = weight * dy / std: x moves them, and through them all other "
        "numbers of its channel. Two terms are missing",
        other_dx(lambda s: s.weight * s.inv_std * s.dy),
    ),
    Mistake(
        "variance-constant",
        "the variance is taken for a constant: the term - xhat * mean(dy * xhat) is missing",
        other_dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy))),
    ),
    Mistake(
        "mean-constant",
        "the mean is taken for a constant: the term - mean(dy) is missing",
        other_dx(lambda s: s.weight * s.inv_std * (s.dy - s.xhat * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "variance-term-added",
        "the term through the variance is added; it is to be taken off",
        other_dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy) + s.xhat * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "sums-not-divided",
        "the 1/n is forgotten: in dx stand the means of dy and of dy * xhat, not their sums",
        other_dx(sums_not_means),
    ),
    Mistake(
        "n-of-everything",
        "n is the number of all numbers, x.size: each channel has only N*H*W of them, x.size / C",
        n_of_everything,
    ),
    Mistake(
        "n-of-everything-from-the-start",
        "mean and variance divide by the number of all numbers, x.size: each channel has only N*H*W of them, x.size / "
        "C",
        n_of_everything_forward,
    ),
    Mistake(
        "n-of-batch",
        "n is N, the number of examples: each channel has N*H*W numbers",
        n_of_batch,
    ),
    Mistake(
        "sums-along-columns",
        "the sums of the channels, (C,), meet images (N, C, H, W) along the last axis: it takes dbias[:, None, None], "
        "or sums with keepdims=True",
        sums_along_columns,
    ),
    Mistake(
        "weight-along-columns",
        "weight, (C,), meets images (N, C, H, W) along the last axis: it takes weight[:, None, None]",
        weight_along_columns,
    ),
    Mistake(
        "mean-term-not-divided",
        "the 1/n is forgotten in the term through the mean: the mean is sum(x)/n, so each x has 1/n of its gradient",
        other_dx(
            lambda s: s.weight * s.inv_std * (s.dy - s.dy[:, 0].size * s.mean(s.dy) - s.xhat * s.mean(s.dy * s.xhat))
        ),
    ),
    Mistake(
        "variance-term-not-divided",
        "the 1/n is forgotten in the term through the variance: it is sum((x - mean)**2)/n",
        other_dx(
            lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy) - s.xhat * s.dy[:, 0].size * s.mean(s.dy * s.xhat))
        ),
    ),
    Mistake(
        "variance-term-halved",
        "the term through the variance is half of what it should be: (x - mean)**2 has the derivative 2 * (x - mean), "
        "which takes up the 1/2 of the root",
        other_dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy) - s.xhat / 2 * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "variance-term-doubled",
        "the term through the variance is twice what it should be: 1/sqrt has the derivative -1/2 * (...)**-1.5, and "
        "its 1/2 takes up the 2 of the square",
        other_dx(lambda s: s.weight * s.inv_std * (s.dy - s.mean(s.dy) - s.xhat * 2 * s.mean(s.dy * s.xhat))),
    ),
    Mistake(
        "weight-forgotten",
        "dx is not multiplied with weight: the gradient passes it on its way back",
        other_dx(lambda s: full_dx(s) / s.weight),
    ),
    Mistake(
        "std-forgotten",
        "dx is not divided by sqrt(variance + eps)",
        other_dx(lambda s: full_dx(s) / s.inv_std),
    ),
    Mistake(
        "divided-by-variance",
        "dx is divided by variance + eps and not by its root",
        other_dx(lambda s: full_dx(s) * s.inv_std),
    ),
    Mistake(
        "variance-without-root",
        "x - mean is divided by variance + eps and not by its root",
        variance_for_std,
    ),
    Mistake(
        "unbiased-variance",
        "the variance divides by n - 1 (ddof=1); batch norm normalises with 1/n",
        statistics_over(CHANNELS, ddof=1),
    ),
    Mistake(
        "eps-outside-the-root",
        "eps is added to the standard deviation, sqrt(variance) + eps; it belongs under the root, sqrt(variance + eps)",
        eps_outside,
    ),
    Mistake("eps-forgotten", "eps is forgotten: it stands under the root, sqrt(variance + eps)", no_eps),
    Mistake(
        "statistics-over-batch-only",
        "mean and variance are taken over the batch only, for each pixel by itself: they go over (0, 2, 3), all pixels "
        "of a channel",
        statistics_over((0,)),
    ),
    Mistake(
        "statistics-of-each-image",
        "mean and variance are taken over the pixels of each image by itself, axes (2, 3): that is instance "
        "normalisation. They go over the batch, too: (0, 2, 3)",
        statistics_over((2, 3)),
    ),
    Mistake(
        "statistics-of-each-example",
        "mean and variance are taken over all numbers of each example, axes (1, 2, 3): that is layer normalisation. "
        "They go over (0, 2, 3) and are different for each channel",
        statistics_over((1, 2, 3)),
    ),
    Mistake(
        "statistics-of-everything",
        "mean and variance are taken over everything: every channel has its own, over (0, 2, 3)",
        statistics_over((0, 1, 2, 3)),
    ),
    Mistake(
        "dweight-without-xhat",
        "dweight is the sum of dy * x: what weight multiplies is xhat, the normalised x",
        changed(lambda g, s: (g[0], (s.dy * s.x).sum(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-not-scaled",
        "dweight is the sum of dy * (x - mean): xhat is also divided by sqrt(variance + eps)",
        changed(lambda g, s: (g[0], (s.dy * s.xhat / s.inv_std).sum(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-averaged",
        "dweight is a mean: it takes the sum",
        changed(lambda g, s: (g[0], (s.dy * s.xhat).mean(CHANNELS), g[2])),
    ),
    Mistake(
        "dweight-over-batch-only",
        "dweight is summed over the batch only: weight multiplied every pixel; sum over (0, 2, 3)",
        changed(lambda g, s: (g[0], (s.dy * s.xhat).sum(0), g[2])),
    ),
    Mistake(
        "dbias-averaged",
        "dbias is a mean: it takes the sum",
        changed(lambda g, s: (g[0], g[1], s.dy.mean(CHANNELS))),
    ),
    Mistake(
        "dweight-and-dbias-exchanged",
        "dweight and dbias are exchanged",
        changed(lambda g, s: (g[0], g[2], g[1])),
    ),
    Mistake(
        "dbias-over-batch-only",
        "dbias is summed over the batch only: the bias was added to every pixel; dy.sum((0, 2, 3))",
        changed(lambda g, s: (g[0], g[1], s.dy.sum(0))),
    ),
)
