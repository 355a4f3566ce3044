"""Where the windows of an exercise stand, and sums written out: for the lines that show how a number comes about."""

from __future__ import annotations

import math

import numpy as np

from ...insight.arithmetic.rule import Parts
from ...insight.arithmetic.window import Axis, axes_of
from ...insight.arithmetic.words import table
from ...ops.utils import conv_geometry


def window_axes(
    image: tuple[int, int], kernel_size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Axis, Axis]:
    """Rows and columns of the windows on an image (H, W)."""
    return axes_of(conv_geometry("exercise", image, kernel_size, stride, padding, dilation))


def written_sum(parts: Parts) -> list[str]:
    """The formula, the terms with their factors, their sum, and what else is to be said."""
    total = math.fsum([parts.constant or 0.0, *np.asarray(parts.terms.amounts)])
    return [parts.formula, *table(parts.terms, parts.constant, total), *parts.notes]
