"""How filters begin: random numbers whose spread keeps signals alive through many layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from ..typing import Array

Initializer: TypeAlias = Literal[
    "pytorch",
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "dirac",
]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs one output sums over, and how many outputs one input reaches.

    Examples
    --------
    >>> fans((8, 3, 5, 5)), fans((10, 84))
    ((75, 200), (84, 10))
    """
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def uniform(shape: tuple[int, ...], bound: float, rng: np.random.Generator) -> Array:
    """Uniform in [-bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def normal(shape: tuple[int, ...], std: float, rng: np.random.Generator) -> Array:
    """Normal with mean 0."""
    values = rng.standard_normal(shape)
    values *= std
    return values


def pytorch(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Uniform in +-1/sqrt(fan_in): what PyTorch's Conv2d and Linear start from."""
    return uniform(shape, 1 / math.sqrt(fans(shape)[0]), rng)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 2 / fan_in, for ReLU. He et al. 2015, https://arxiv.org/abs/1502.01852"""
    return normal(shape, math.sqrt(2 / fans(shape)[0]), rng)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 2 / fan_in, uniform."""
    return uniform(shape, math.sqrt(6 / fans(shape)[0]), rng)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 2 / (fan_in + fan_out), for tanh. Glorot, Bengio 2010, equation 16"""
    return normal(shape, math.sqrt(2 / sum(fans(shape))), rng)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 2 / (fan_in + fan_out), uniform: what Keras starts from."""
    return uniform(shape, math.sqrt(6 / sum(fans(shape))), rng)


def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 1 / fan_in. LeCun, Bottou, Orr, Müller: Efficient BackProp (1998), section 4.6"""
    return normal(shape, math.sqrt(1 / fans(shape)[0]), rng)


def lecun_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Variance 1 / fan_in, uniform."""
    return uniform(shape, math.sqrt(3 / fans(shape)[0]), rng)


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Filters at right angles to each other and of length 1. Saxe et al. 2013, https://arxiv.org/abs/1312.6120

    Where there are more filters than numbers in one of them, the numbers at one place in all filters are so instead.

    Examples
    --------
    >>> w = orthogonal((3, 2, 3, 3), np.random.default_rng(0)).reshape(3, -1)
    >>> bool(np.allclose(w @ w.T, np.eye(3)))
    True
    """
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # without this, q is not uniform among the orthogonal matrices
    return (q if rows >= columns else q.T).reshape(shape)


def dirac(shape: tuple[int, ...], rng: np.random.Generator, groups: int = 1) -> Array:
    """A one at the centre of one kernel of a filter, the rest zero: the convolution starts as the identity.

    Filter f passes on channel f of its input; with groups, filter f of each group passes on channel f of that group.
    Filters beyond the number of channels are zero, as in ``torch.nn.init.dirac_(weight, groups)``.

    Examples
    --------
    >>> dirac((1, 1, 1, 3), np.random.default_rng(0))
    array([[[[0., 1., 0.]]]])
    >>> dirac((4, 1, 1, 1), np.random.default_rng(0), groups=2).ravel()
    array([1., 0., 1., 0.])
    """
    weight = np.zeros(shape)
    centre = tuple(size // 2 for size in shape[2:])
    filters = shape[0] // groups
    for f in range(groups * filters):
        if f % filters < shape[1]:
            weight[(f, f % filters, *centre)] = 1.0
    return weight


INITIALIZERS: dict[str, Callable[[tuple[int, ...], np.random.Generator], Array]] = {
    f.__name__: f
    for f in (
        pytorch,
        he_normal,
        he_uniform,
        glorot_normal,
        glorot_uniform,
        lecun_normal,
        lecun_uniform,
        orthogonal,
        dirac,
    )
}


def initialize(
    layer: str, name: str, weight: Array, bias: Array | None, rng: np.random.Generator, groups: int = 1
) -> None:
    """Fill a weight and its bias in place. The bias is uniform in +-1/sqrt(fan_in) for "pytorch", otherwise zero."""
    if not isinstance(name, str) or name not in INITIALIZERS:
        raise ValueError(f"{layer}: weight_init must be one of {', '.join(INITIALIZERS)}, got {name!r}")
    if name == "dirac":
        weight[...] = dirac(weight.shape, rng, groups)
    else:
        weight[...] = INITIALIZERS[name](weight.shape, rng)
    if bias is not None:
        bias[...] = uniform(bias.shape, 1 / math.sqrt(fans(weight.shape)[0]), rng) if name == "pytorch" else 0
