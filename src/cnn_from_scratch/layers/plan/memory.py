"""Where the numbers of a plan lie: activations with zeros around them, and scratch.

Images lie as (H, W, n, C). A convolution wants zeros around its input, and copying an image into a padded one costs as
much as a pooling layer. Here the layer before writes straight into the inside of a larger array, whose borders were
set to zero once, when the plan was made ::

    0 0 0 0 0
    0 x x x 0      full    (H + top + bottom, W + left + right, n, C)
    0 x x x 0      inside  (H, W, n, C), a view of it
    0 0 0 0 0

Memory is used again as soon as all that read it have run: an activation's by the next one of the same size and borders
(so that borders stay zero), scratch by every stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...ops.utils import HWNC
from ...typing import Array, Sides
from ..base import Shape

NO_BORDER: Sides = ((0, 0), (0, 0))


class Buffer:
    """One activation: `full` with the borders, `inside` without; the same for what is no image, (n, ...)."""

    def __init__(self, full: Array, border: Sides = NO_BORDER) -> None:
        self.full, self.border = full, border
        (top, bottom), (left, right) = border
        bare = border == NO_BORDER
        self.inside = full if bare else full[top : len(full) - bottom, left : full.shape[1] - right]

    @property
    def logical(self) -> Array:
        """The inside as a layer sees it: (n, C, H, W), or (n, ...)."""
        return self.inside.transpose(HWNC) if self.inside.ndim == 4 else self.inside

    def padded(self, padding: Sides) -> Array:
        """The inside with this much zeros at the top and left, and whatever is there at the bottom and right."""
        (top, _), (left, _) = self.border
        (pad_top, _), (pad_left, _) = padding
        return self.full[top - pad_top :, left - pad_left :]


def widest(borders: Iterable[Sides]) -> Sides:
    """The smallest border that holds all of them."""
    sides = list(borders)
    (top, bottom), (left, right) = (tuple(max(s[a][b] for s in sides) for b in (0, 1)) for a in (0, 1))
    return (top, bottom), (left, right)


class Memory:
    """Gives out activations and scratch for `n` examples at a time."""

    def __init__(self, n: int, dtype: np.dtype[Any], scratch_sizes: dict[str, int] | None = None) -> None:
        self.n, self.dtype = n, dtype
        self.scratch_sizes: dict[str, int] = {}
        self._scratch = {name: np.zeros(size, dtype) for name, size in (scratch_sizes or {}).items()}
        self._free: dict[tuple[Shape, Sides], list[Array]] = {}

    def activation(self, shape: Shape, border: Sides = NO_BORDER) -> Buffer:
        """A buffer for `n` results of this shape, an image's with zeros around it."""
        (top, bottom), (left, right) = border
        full = (self.n, *shape)
        if len(shape) == 3:
            C, H, W = shape
            full = (top + H + bottom, left + W + right, self.n, C)
        waiting = self._free.get((full, border))
        return Buffer(waiting.pop() if waiting else np.zeros(full, self.dtype), border)

    def release(self, buffer: Buffer) -> None:
        """Nobody reads it any more: the next activation that looks the same may lie there."""
        if buffer.full.base is None:
            self._free.setdefault((buffer.full.shape, buffer.border), []).append(buffer.full)

    def scratch(self, name: str, shape: Shape) -> Array:
        """Room that a stage may write as it likes; the next stage that asks for the name gets the same."""
        size = math.prod(shape)
        self.scratch_sizes[name] = max(size, self.scratch_sizes.get(name, 0))
        if name not in self._scratch or self._scratch[name].size < size:
            return np.zeros(shape, self.dtype)  # while measuring: see `build`
        return self._scratch[name][:size].reshape(shape)
