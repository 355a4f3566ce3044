"""Global pooling: one number for each image and channel, which is adaptive pooling with a single cell."""

from __future__ import annotations

from ..typing import Array
from .adaptive_pooling import (
    AdaptiveAvgPoolCache,
    AdaptiveMaxPoolCache,
    cell_counts,
    cell_maxima,
    cell_maxima_backward,
    cell_means,
    cell_means_backward,
)
from .dtypes import float_op


@float_op("x")
def global_avg_pool_forward(x: Array) -> tuple[Array, AdaptiveAvgPoolCache]:
    """y[n, c, 0, 0] = mean_{h, w} x[n, c, h, w]

    Parameters
    ----------
    x : (N, C, H, W)
        Images of at least one pixel.

    Returns
    -------
    y : (N, C, 1, 1)
        In the memory order of x.
    cache : AdaptiveAvgPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d or has no pixel.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Lin, Chen, Yan: Network In Network (2014), section 3.2. https://arxiv.org/abs/1312.4400

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = global_avg_pool_forward(np.array([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 1, 2, 2))
    >>> y.item()
    3.0
    """
    return cell_means(x, cell_counts("global_avg_pool_forward", x, 1))


@float_op("dy")
def global_avg_pool_backward(dy: Array, cache: AdaptiveAvgPoolCache) -> Array:
    """dx[n, c, h, w] = dy[n, c, 0, 0] / (H*W)

    Parameters
    ----------
    dy : (N, C, 1, 1)
        Gradient that arrives from above.
    cache : AdaptiveAvgPoolCache
        From `global_avg_pool_forward`; it is not changed.

    Returns
    -------
    dx : (N, C, H, W)
        In the memory order of x.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.
    TypeError
        If cache is none of this operation's, or dy has not the dtype of x.

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = global_avg_pool_forward(np.array([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 1, 2, 2))
    >>> global_avg_pool_backward(np.full((1, 1, 1, 1), 8.0), cache)[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    return cell_means_backward("global_avg_pool_backward", dy, cache)


@float_op("x")
def global_max_pool_forward(x: Array) -> tuple[Array, AdaptiveMaxPoolCache]:
    """y[n, c, 0, 0] = max_{h, w} x[n, c, h, w]

    Parameters
    ----------
    x : (N, C, H, W)
        Images of at least one pixel.

    Returns
    -------
    y : (N, C, 1, 1)
        In the memory order of x. NaN where a plane holds a NaN.
    cache : AdaptiveMaxPoolCache

    Raises
    ------
    ShapeError
        If x is not 4-d or has no pixel.
    TypeError
        If x is not float32 or float64 (float16 computes in float32 and comes back float16).

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = global_max_pool_forward(np.array([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 1, 2, 2))
    >>> y.item()
    6.0
    """
    return cell_maxima(x, cell_counts("global_max_pool_forward", x, 1))


@float_op("dy")
def global_max_pool_backward(dy: Array, cache: AdaptiveMaxPoolCache) -> Array:
    """dx[n, c, h, w] = dy[n, c, 0, 0] where (h, w) is the first maximum of the plane in scan order, else 0

    Parameters
    ----------
    dy : (N, C, 1, 1)
        Gradient that arrives from above.
    cache : AdaptiveMaxPoolCache
        From `global_max_pool_forward`; it is not changed.

    Returns
    -------
    dx : (N, C, H, W)
        In the memory order of x.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.
    TypeError
        If cache is none of this operation's, or dy has not the dtype of x.

    Examples
    --------
    >>> import numpy as np
    >>> y, cache = global_max_pool_forward(np.array([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 1, 2, 2))
    >>> global_max_pool_backward(np.full((1, 1, 1, 1), 8.0), cache)[0, 0]
    array([[0., 0.],
           [0., 8.]])
    """
    return cell_maxima_backward("global_max_pool_backward", dy, cache)
