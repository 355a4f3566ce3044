"""A data set: images, labels and the names of the classes; and what is done to pixels before a network sees them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops.checks import check_number, plain_array
from ..ops.utils import check_rank
from ..typing import Array


class Examples(NamedTuple):
    """Images and their labels. As a pair of arrays it is what `fit` and `evaluate` take as `data`."""

    x: Array  # (N, C, H, W)  uint8 as loaded, float32 once scaled
    y: Array  # (N,)          int64, an index into the classes


class Dataset(NamedTuple):
    """What every loader of this room returns.

    Examples
    --------
    >>> black, white = np.zeros((1, 1, 2, 2), np.uint8), np.full((1, 1, 2, 2), 255, np.uint8)
    >>> data = Dataset("two", Examples(black, np.array([0])), Examples(white, np.array([1])), ("black", "white"))
    >>> print(data)
    two: 1 training and 1 test images of shape (1, 2, 2), uint8, 2 classes
    >>> data.scaled().test.x.max()
    np.float32(1.0)
    """

    name: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]
    maximum: int = 255  # the value of a white pixel

    def __str__(self) -> str:
        x = self.train.x
        return (
            f"{self.name}: {len(x)} training and {len(self.test.x)} test images of shape {x.shape[1:]}, "
            f"{x.dtype}, {len(self.classes)} classes"
        )

    def scaled(self) -> Dataset:
        """The same data set with float32 images in [0, 1]."""
        train = self.train._replace(x=scale(self.train.x, maximum=self.maximum))
        test = self.test._replace(x=scale(self.test.x, maximum=self.maximum))
        return self._replace(train=train, test=test, maximum=1)


def scale(x: Array, *, maximum: int = 255) -> Array:
    """y = x / maximum, float32 in [0, 1]

    Parameters
    ----------
    x : integers in 0..maximum, of any shape
        Images as they are stored.
    maximum : int
        The value of a white pixel: 255 for 8 bits, 16 for the digits.

    Raises
    ------
    TypeError
        If x holds floats: it may have been scaled before.
    ValueError
        If a pixel lies outside 0..maximum, or maximum is not above 0.

    Examples
    --------
    >>> scale(np.array([0, 51, 255], np.uint8))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    plain_array("scale", "x", x)
    check_number("scale", "maximum", maximum)
    if maximum <= 0:
        raise ValueError(f"scale: maximum must be above 0, got {maximum!r}")
    if x.dtype.kind not in "ui":
        raise TypeError(f"scale: x has dtype {x.dtype}; expected integers (it may have been scaled before)")
    if x.size and (x.min() < 0 or x.max() > maximum):
        raise ValueError(f"scale: x must lie in 0..{maximum}, got values in {x.min()}..{x.max()}")
    return np.divide(x, maximum, dtype=np.float32)


class Normalization(NamedTuple):
    """y[n, c, h, w] = (x[n, c, h, w] - mean[c]) / std[c], with the statistics of the training images.

    Test images, and those that come after, are normalized by the numbers of the training images: the network must
    see them through the same eyes. Plain floats, so ``json.dumps(n)`` works and ``Normalization(*json.loads(text))``
    comes back.

    Examples
    --------
    >>> train = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> n = Normalization.of(train)
    >>> n
    Normalization(mean=(2.0,), std=(1.0,))
    >>> n.apply(train).ravel()
    array([-1.,  1.])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, x: Array) -> Normalization:
        """Mean and standard deviation of each channel of (N, C, H, W); 1 for the deviation of a constant channel.

        Raises
        ------
        TypeError
            If x holds integers: scale them first, as the images will be when they are normalized.
        ValueError
            If there is no image.
        """
        check_rank("Normalization.of", "x", x, "N C H W")
        if x.dtype.kind != "f":
            raise TypeError(f"Normalization.of: x has dtype {x.dtype}; expected floats (scale(x) makes them)")
        if x.size == 0:
            raise ValueError(f"Normalization.of: there is no pixel to take the mean of, got shape {x.shape}")
        count = x.size // x.shape[1]
        mean = np.sum(x, axis=(0, 2, 3), dtype=np.float64) / count  # (C,)
        parts = np.array_split(x, max(1, x.size >> 20))  # a megapixel at a time keeps the float64 copy small
        squares = sum(np.sum((part - mean[:, None, None]) ** 2, axis=(0, 2, 3)) for part in parts)
        std = np.sqrt(squares / count)
        constant = std <= 1e-6 * np.abs(mean)  # what is left is the rounding of the mean
        return cls(tuple(mean.tolist()), tuple(np.where(constant, 1.0, std).tolist()))

    def apply(self, x: Array) -> Array:
        """(x - mean) / std, in the dtype of x."""
        mean, std = self._columns("apply", x)
        y: Array = (x - mean) / std
        return y

    def undo(self, y: Array) -> Array:
        """y * std + mean: images that can be looked at again."""
        mean, std = self._columns("undo", y)
        x: Array = y * std + mean
        return x

    def _columns(self, method: str, x: Array) -> tuple[Array, Array]:
        """Mean and deviation as (C, 1, 1), in the dtype of x."""
        check_rank(f"Normalization.{method}", "the argument", x, "N C H W")
        if x.dtype.kind != "f":
            raise TypeError(f"Normalization.{method}: got dtype {x.dtype}; expected floats (scale(x) makes them)")
        if x.shape[1] != len(self.mean):
            raise ShapeError(f"Normalization.{method}: made for C={len(self.mean)} channels, got shape {x.shape}")
        dtype = x.dtype.newbyteorder("=")
        return np.array(self.mean, dtype)[:, None, None], np.array(self.std, dtype)[:, None, None]


def check_finite(name: str, x: Array) -> None:
    """Raise ValueError, saying how many and where the first is, if `x` holds NaN or infinity; integers never do.

    Examples
    --------
    >>> check_finite("photo.tif", np.array([[0.5, np.nan]]))
    Traceback (most recent call last):
        ...
    ValueError: photo.tif: 1 NaN and 0 infinite values among 2, the first at (0, 1)
    """
    plain_array("check_finite", "x", x)
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        nan = int(np.isnan(x).sum())
        raise ValueError(
            f"{name}: {nan} NaN and {int(bad.sum()) - nan} infinite values among {x.size}, the first at {first}"
        )
