"""Training images kept as bytes: each batch is scaled, changed and normalized when it is needed."""

from __future__ import annotations

import numpy as np

from ..data import Augment, Examples, Normalization, scale
from ..typing import Array


class PixelSource:
    """Integer images as a source of batches for `fit` and `evaluate`.

    A data set of floats would take four times the memory, and once more when it is normalized. Augmentation comes
    before normalization, so that what enters at the border is black and not the mean grey.

    Parameters
    ----------
    examples : Examples
        Integer images in 0..maximum, and labels.
    maximum : int
        The value of white.
    normalization : Normalization
        For images in [0, 1].
    augment : callable, optional
        ``augment(x, rng) -> x``, for images in [0, 1].

    Examples
    --------
    >>> examples = Examples(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), np.array([7, 8]))
    >>> source = PixelSource(examples, 255, Normalization((0.5,), (0.5,)))
    >>> x, y = source.batch(np.array([1, 0]), np.random.default_rng(0))
    >>> x.ravel(), y
    (array([ 1., -1.], dtype=float32), array([8, 7]))
    """

    def __init__(
        self, examples: Examples, maximum: int, normalization: Normalization, augment: Augment | None = None
    ) -> None:
        self.examples, self.maximum, self.normalization, self.augment = examples, maximum, normalization, augment

    def __len__(self) -> int:
        return len(self.examples.x)

    def batch(self, indices: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """The images at these indices, as the model takes them, and their labels."""
        x = scale(self.examples.x[indices], maximum=self.maximum)
        if self.augment is not None:
            x = self.augment(x, rng)
        return self.normalization.apply(x), self.examples.y[indices]


def normalization_of(examples: Examples, maximum: int) -> Normalization:
    """Mean and deviation of images that are scaled to [0, 1], from counts of their values: no float copy is made.

    Examples
    --------
    >>> normalization_of(Examples(np.array([0, 16], np.uint8).reshape(2, 1, 1, 1), np.array([0, 1])), 16)
    Normalization(mean=(0.5,), std=(0.5,))
    """
    values = np.arange(maximum + 1) / maximum
    mean, std = [], []
    for c in range(examples.x.shape[1]):
        share = np.bincount(examples.x[:, c].ravel(), minlength=maximum + 1) / examples.x[:, c].size
        mean.append(float(share @ values))
        std.append(float(np.sqrt(share @ (values - mean[-1]) ** 2)) or 1.0)
    return Normalization(tuple(mean), tuple(std))
