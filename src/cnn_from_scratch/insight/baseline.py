"""An image without content, to compare with: what integrated gradients start from and occlusion covers with."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..errors import ShapeError
from ..typing import Array

Baseline: TypeAlias = float | Array | None
"""A number, an array that broadcasts to x, or None for the darkest colour of each image."""


def as_baseline(function: str, x: Array, baseline: Baseline) -> Array:
    """The baseline in shape and dtype of x; None is, for each image, the smallest number of each of its channels.

    Whether black is 0 or -0.42 depends on how the images were normalized, which x does not say. Its darkest pixel
    does, wherever some of the image is dark. For x that are no images, None is 0.

    Examples
    --------
    >>> x = np.array([[-0.4, 2.0], [1.0, 3.0]]).reshape(2, 1, 1, 2)
    >>> as_baseline("example", x, None)[:, 0, 0]
    array([[-0.4, -0.4],
           [ 1. ,  1. ]])
    """
    if baseline is None:
        value = x.min((2, 3), keepdims=True, initial=np.inf) if x.ndim == 4 else np.zeros((), x.dtype)
    else:
        value = np.asarray(baseline)
    if value.dtype.kind not in "fui":
        raise TypeError(f"{function}: baseline must be a number, an array or None, got {baseline!r}")
    try:
        return np.broadcast_to(value.astype(x.dtype), x.shape)
    except ValueError:
        raise ShapeError(f"{function}: baseline {value.shape} does not broadcast to x {x.shape}") from None
