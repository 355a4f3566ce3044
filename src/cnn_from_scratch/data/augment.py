"""Changes that leave the label as it is: shift, turn, flip, crop and cover images, each by its own random amount.

An augmentation is called with a batch and a generator, and draws from nothing else. The batch is not written; the
result has its dtype, its range of values and its memory order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ShapeError
from ..ops.checks import check_generator, check_number, check_numeric
from ..ops.utils import check_rank, is_hwnc, pad_sides, pair, to_hwnc
from ..typing import Array, Pair
from .batches import Augment


class Compose:
    """One augmentation after the other.

    Examples
    --------
    >>> augment = Compose(RandomFlip(), RandomCrop(4), Cutout(8))
    >>> augment(np.ones((2, 3, 32, 32), np.float32), np.random.default_rng(0)).shape
    (2, 3, 32, 32)
    """

    def __init__(self, *augments: Augment) -> None:
        for augment in augments:
            if not callable(augment):
                raise TypeError(f"Compose: an augmentation must be callable, got {augment!r}")
        self.augments = augments

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Apply all to `x`, in order."""
        for augment in self.augments:
            x = augment(x, rng)
        return x

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.augments))})"


@dataclass(frozen=True)
class RandomFlip:
    """y[n, c, h, w] = x[n, c, h, W-1-w] with probability p: left and right change places.

    Not for digits or letters, whose mirror images are others.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> RandomFlip(p=1.0)(x, np.random.default_rng(0)).ravel()
    array([3., 2., 1.])
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_number("RandomFlip", "p", self.p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"RandomFlip: p must lie in [0, 1], got {self.p!r}")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Flip some of the images."""
        check_rank("RandomFlip", "x", x, "N C H W")
        check_numeric("RandomFlip", "x", x, "biuf")
        check_generator("RandomFlip", rng)
        chosen = rng.random(len(x)) < self.p  # (N,)
        y = x.astype(x.dtype.newbyteorder("="), order="K")
        np.copyto(y, x[..., ::-1], where=chosen[:, None, None, None])
        return y


@dataclass(frozen=True)
class RandomCrop:
    """Pad by `padding` pixels of `fill` on all sides, then cut out a window of `size` anywhere in it.

    Without `size` the window is as large as the image was, so that objects move by up to `padding` pixels.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning (2016), section 4.2: padding 4 for CIFAR-10. https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    >>> RandomCrop(1)(x, np.random.default_rng(2))[0, 0]
    array([[0., 3.],
           [0., 0.]])
    """

    padding: Pair = 0
    size: Pair | None = None
    fill: float = 0.0

    def __post_init__(self) -> None:
        pair("RandomCrop", "padding", self.padding, minimum=0)
        check_number("RandomCrop", "fill", self.fill, finite=False)
        if self.size is not None:
            pair("RandomCrop", "size", self.size, minimum=1)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Cut a window out of each image."""
        check_rank("RandomCrop", "x", x, "N C H W")
        check_numeric("RandomCrop", "x", x, "biuf")
        check_generator("RandomCrop", rng)
        N, C, H, W = x.shape
        OH, OW = (H, W) if self.size is None else pair("RandomCrop", "size", self.size, minimum=1)
        ph, pw = pair("RandomCrop", "padding", self.padding, minimum=0)
        down, right = H + 2 * ph - OH, W + 2 * pw - OW  # how far the window can go
        if down < 0 or right < 0:
            raise ShapeError(f"RandomCrop: size ({OH}, {OW}) does not fit into {H} x {W} padded by {self.padding}")
        padded = pad_sides(x, ((ph, ph), (pw, pw)), self.fill)
        top, left = rng.integers(0, down, (N,), endpoint=True), rng.integers(0, right, (N,), endpoint=True)
        return _windows(padded, top, left, (OH, OW))


def _windows(x: Array, top: Array, left: Array, size: tuple[int, int]) -> Array:
    """y[n] = x[n, :, top[n] : top[n] + OH, left[n] : left[n] + OW]"""
    everywhere = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))  # (N, C, tops, lefts, OH, OW)
    y: Array = everywhere[np.arange(len(x)), :, top, left]  # (N, C, OH, OW)
    y = y.astype(y.dtype.newbyteorder("="), copy=False)
    return to_hwnc(y) if is_hwnc(x) else np.ascontiguousarray(y)


@dataclass(frozen=True)
class RandomShift:
    """Move each image by up to `pixels` whole pixels along both axes; what comes in at the border is `fill`.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> RandomShift((0, 2))(x, np.random.default_rng(0))[0, 0]
    array([[3., 0., 0.]])
    """

    pixels: Pair = 1
    fill: float = 0.0

    def __post_init__(self) -> None:
        pair("RandomShift", "pixels", self.pixels, minimum=0)
        check_number("RandomShift", "fill", self.fill, finite=False)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Shift each image: a crop as large as the image out of the padded image."""
        return RandomCrop(self.pixels, fill=self.fill)(x, rng)


@dataclass(frozen=True)
class Cutout:
    """Cover one square of size x size pixels, centred anywhere in the image, by `fill`; it may stick out.

    References
    ----------
    DeVries, Taylor: Improved Regularization of CNNs with Cutout (2017). https://arxiv.org/abs/1708.04552

    Examples
    --------
    >>> Cutout(2)(np.ones((1, 1, 3, 4)), np.random.default_rng(3))[0, 0]
    array([[1., 1., 1., 1.],
           [0., 1., 1., 1.],
           [0., 1., 1., 1.]])
    """

    size: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        pair("Cutout", "size", self.size, minimum=1)
        check_number("Cutout", "fill", self.fill, finite=False)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """Cover one square of each image."""
        check_rank("Cutout", "x", x, "N C H W")
        check_numeric("Cutout", "x", x, "biuf")
        check_generator("Cutout", rng)
        N, C, H, W = x.shape
        height, width = pair("Cutout", "size", self.size, minimum=1)
        rows = _run(H, rng.integers(0, max(H, 1), (N,)) - height // 2, height)  # (N, H)
        columns = _run(W, rng.integers(0, max(W, 1), (N,)) - width // 2, width)  # (N, W)
        y = x.astype(x.dtype.newbyteorder("="), order="K")
        np.copyto(y, np.asarray(self.fill, x.dtype), where=(rows[:, :, None] & columns[:, None, :])[:, None])
        return y


def _run(length: int, first: Array, count: int) -> Array:
    """mask[n, i] = first[n] <= i < first[n] + count"""
    i = np.arange(length)
    mask: Array = (i >= first[:, None]) & (i < first[:, None] + count)
    return mask
