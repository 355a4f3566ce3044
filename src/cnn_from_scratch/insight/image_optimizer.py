"""Images by optimisation: the pixels are the parameters, and Adam moves them where something grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from ..data import Normalization
from ..errors import ShapeError
from ..layers import Context, Layer
from ..layers.predict import in_fast_order
from ..ops.utils import check_rank
from ..optim import Adam, cosine
from ..optim.checks import check_count, check_number
from ..randomness import derive
from ..typing import Array
from .image_priors import alpha_norm, gaussian_blur, total_variation

Objective: TypeAlias = Callable[[Array], tuple[Array, Array]]
"""objective(images) -> what is to grow, (N,), and the direction in which it does, (N, C, H, W)."""

Bounds: TypeAlias = tuple[float, float] | None

MEMORY = 0.9
"""How much of its past the running mean of directions keeps."""

BETAS = (0.9, 0.99)
"""Of Adam: a shorter memory than in training, where each step sees other examples."""


@dataclass(frozen=True)
class Regularizers:
    """What keeps an image that is being optimised legible.

    Parameters
    ----------
    total_variation, decay : float
        Weights of `total_variation`, and of `alpha_norm` of what the image differs from its background; at least 0.
    beta, alpha : float
        Their exponents.
    blur : float
        The direction of the first step is blurred by a bell whose deviation is this share of the shorter side, that of
        each later step by a narrower one, so that large shapes grow before fine grain. In the end there is no blur.
    jitter : float
        Each step sees the image moved by up to this share of its shorter side, in both directions, in whole pixels;
        what leaves it at one side comes in at the other. What helps only at one exact place cannot grow.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Mahendran, Vedaldi (2014), https://arxiv.org/abs/1412.0035, for total variation and alpha-norm; Yosinski, Clune,
    Nguyen, Fuchs, Lipson: Understanding Neural Networks Through Deep Visualization (2015),
    https://arxiv.org/abs/1506.06579, for decay and blur; Olah, Mordvintsev, Schubert: Feature Visualization (2017),
    https://doi.org/10.23915/distill.00007, for jitter and for smoothing the direction and not the image.

    Examples
    --------
    >>> Regularizers(decay=0.5, alpha=2.0).penalty(np.array([[[[1.0, -2.0]]]]))
    (array([2.5]), array([[[[ 1., -2.]]]]))
    """

    total_variation: float = 0.0
    decay: float = 0.0
    beta: float = 1.0
    alpha: float = 2.0
    blur: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("total_variation", "decay"):
            check_number("Regularizers", name, getattr(self, name))
        check_number("Regularizers", "alpha", self.alpha, minimum=1.0)
        check_number("Regularizers", "beta", self.beta)
        if not self.beta:
            raise ValueError(f"Regularizers: beta must be above 0, got {self.beta!r}")
        for name in ("blur", "jitter"):
            check_number("Regularizers", name, getattr(self, name), below=1.0)

    def penalty(self, deviation: Array) -> tuple[Array, Array]:
        """The weighted sum of both for images (N, C, H, W) without their background: (N,), and its gradient."""
        value, gradient = np.zeros(len(deviation), deviation.dtype), np.zeros_like(deviation)
        if self.total_variation:
            rough, slope = total_variation(deviation, beta=self.beta)
            value, gradient = value + self.total_variation * rough, gradient + self.total_variation * slope
        if self.decay:
            large, slope = alpha_norm(deviation, alpha=self.alpha)
            value, gradient = value + self.decay * large, gradient + self.decay * slope
        return value, gradient


class Ascent(NamedTuple):
    """Where it led."""

    images: Array  # (N, C, H, W)
    history: Array  # (steps, N): what the objective was before each step, of the image as that step saw it


def ascend(
    objective: Objective,
    start: Array,
    *,
    regularizers: Regularizers,
    background: Array | float = 0.0,
    bounds: Bounds = None,
    rescale: bool = False,
    warmup: float = 0.0,
    steps: int,
    lr: float,
    seed: int = 0,
) -> Ascent:
    """images <- clip(images + Adam(blur(direction) - d penalty / d images)), `steps` times

    The learning rate falls along half a cosine from `lr` to 0. Ctrl-C ends it early: what has been reached is returned.

    Parameters
    ----------
    objective : function
        Takes images (N, C, H, W), gives what is to grow, (N,), and a direction, (N, C, H, W).
    start : (N, C, H, W)
        float32 or float64; it is not written.
    regularizers : Regularizers
    background : float or an array that broadcasts to start
        What the decay leads to.
    bounds : (low, high) or None
        What pixels may be.
    rescale : bool
        Divide the direction by its size, so that the penalties weigh the same whatever the objective's unit.
    warmup : float
        Over this share of the steps the penalties come in, so that something has grown before they press; from 0 on,
        below 1.
    steps : int
        At least 1.
    lr : float
        How far a pixel may go in the first step.
    seed : int
        Where the jitter comes from.

    Returns
    -------
    Ascent

    Raises
    ------
    ShapeError
        If start is no batch of images.
    ValueError
        If steps or lr is out of range, or bounds are none.

    Examples
    --------
    The image that a sum of products with (3, -1) likes best, if long vectors cost half of their squared length:

    >>> weight = np.array([3.0, -1.0]).reshape(1, 1, 1, 2)
    >>> found = ascend(lambda x: ((x * weight).sum((1, 2, 3)), weight), np.zeros((1, 1, 1, 2)),
    ...                regularizers=Regularizers(decay=0.5), steps=200, lr=0.1)
    >>> found.images.round(3)
    array([[[[ 3., -1.]]]])
    """
    check_rank("ascend", "start", start, "N C H W")
    check_count("ascend", "steps", steps)
    check_number("ascend", "warmup", warmup, below=1.0)
    check_bounds("ascend", bounds)
    images, history = np.array(start, order="C"), []
    adam, schedule, scale = Adam(lr, BETAS), cosine(lr, steps), _Scale(images) if rescale else None
    try:
        for step in range(steps):
            adam.lr = schedule(step)
            moved = images.copy()  # so that Ctrl-C finds an image that was reached
            value, direction = _jittered(objective, moved, regularizers.jitter, derive(seed, "jitter", step=step))
            direction = gaussian_blur(direction, regularizers.blur * _side(images) * (1 - step / steps))
            if scale is not None:
                direction /= scale(direction)
            share = min((step + 1) / (warmup * steps), 1.0) if warmup else 1.0
            slope = direction - share * regularizers.penalty(moved - background)[1]
            adam.step({"images": moved}, {"images": -slope})
            images = moved if bounds is None else moved.clip(*bounds)
            history.append(value)
    except KeyboardInterrupt:
        pass
    return Ascent(images, np.array(history, images.dtype).reshape(len(history), len(images)))


def _side(images: Array) -> int:
    """The shorter side of the images."""
    return int(min(images.shape[2:]))


def _jittered(objective: Objective, images: Array, jitter: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The objective of the images moved a little, and the direction for the images as they are."""
    reach = int(jitter * _side(images))
    shift = rng.integers(-reach, reach + 1, 2)
    value, direction = objective(np.roll(images, tuple(shift), (2, 3)))
    return value, np.roll(direction, tuple(-shift), (2, 3))


class _Scale:
    """The size of what the directions have in common: the root mean square of their running mean, for each image.

    Directions of jittered images differ, and what differs cancels in the end. So it is the mean that has to hold its
    own against the penalties.
    """

    def __init__(self, images: Array) -> None:
        self.mean, self.steps = np.zeros_like(images), 0

    def __call__(self, direction: Array) -> Array:
        self.steps += 1
        self.mean = MEMORY * self.mean + (1 - MEMORY) * direction
        mean = self.mean / (1 - MEMORY**self.steps)
        seen = np.maximum((mean != 0).sum((1, 2, 3), keepdims=True), 1)  # pixels that matter at all
        size = np.sqrt((mean**2).sum((1, 2, 3), keepdims=True) / seen)
        return np.where(size > 0, size, 1).astype(direction.dtype)


# --- what is common to everything that is found in this way ---------------------------------------------------------


def check_bounds(function: str, bounds: Bounds) -> None:
    """Raise unless bounds are None or two numbers, the smaller one first."""
    if bounds is not None and not (len(bounds) == 2 and -math.inf < bounds[0] < bounds[1] < math.inf):
        raise ValueError(f"{function}: bounds must be None or (low, high) with low < high, got {bounds!r}")


def background_of(function: str, channels: int, normalization: Normalization | None, bounds: Bounds) -> Array:
    """The colour of nothing, (C, 1, 1): the mean of the data, else the middle of the bounds, else 0."""
    if normalization is None:
        return np.full((channels, 1, 1), 0.0 if bounds is None else sum(bounds) / 2)
    if len(normalization.mean) != channels:
        raise ShapeError(
            f"{function}: normalization is for C={len(normalization.mean)} channels, images have {channels}"
        )
    return np.array(normalization.mean)[:, None, None]


def noise(shape: tuple[int, ...], background: Array, amount: float, bounds: Bounds, seed: int) -> Array:
    """Background + amount * a number in [-1/2, 1/2) for every pixel, within the bounds; the same for all images.

    So what is found for one image does not depend on which others are looked for at the same time.
    """
    N, C, H, W = shape
    width = 1.0 if bounds is None else bounds[1] - bounds[0]
    start: Array = background + amount * width * (derive(seed, "start").random((C, H, W)) - 0.5)
    return np.broadcast_to(start if bounds is None else start.clip(*bounds), shape)


def pull_back(
    model: Layer, images: Array, normalization: Normalization | None, dy_of: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """What the model gives for images, and the gradient by their pixels of what `dy_of` says of that output."""
    x = images if normalization is None else normalization.apply(images)
    y, cache = model.forward(in_fast_order(x.astype(model.dtype, copy=False)), Context())
    dx, _ = model.backward(dy_of(y), cache)
    assert dx is not None
    if normalization is not None:
        dx = dx / np.array(normalization.std, dx.dtype)[:, None, None]
    return np.ascontiguousarray(y), np.ascontiguousarray(dx)
