"""Layer normalization: every example to mean 0 and variance 1 by itself, and the arithmetic that group norm shares.

Unlike batch normalization (batch_norm.py) these need neither a batch nor running statistics, so training and
evaluation are the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .checks import check_number
from .dtypes import float_op
from .memory import empty_like
from .utils import check_shape, is_hwnc, to_hwnc


class LayerNormCache(NamedTuple):
    """What `layer_norm_backward` needs."""

    xhat: Array  # (..., *normalized_shape)  x with mean 0 and variance 1
    inv_std: Array  # 1 / sqrt(variance + eps), in shape to meet xhat
    weight: Array | None  # normalized_shape           borrowed, never written
    has_bias: bool
    axes: tuple[int, ...]  # those that are normalized over


@float_op("x", "weight", "bias")
def layer_norm_forward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    normalized_shape: int | tuple[int, ...],
    eps: float = 1e-5,
) -> tuple[Array, LayerNormCache]:
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and variance over the last axes

    Parameters
    ----------
    x : (..., *normalized_shape)
        For images (N, C, H, W), `normalized_shape` is (C, H, W).
    weight, bias : normalized_shape, or None
        Scale and offset; None for 1 and 0.
    normalized_shape : int or tuple of int
        The last axes of x, which are normalized over together.
    eps : float
        Keeps the root away from 0; at least 0.

    Returns
    -------
    y : shape of x
        In the memory order of x.
    cache : LayerNormCache

    Raises
    ------
    ShapeError
        If x does not end in `normalized_shape`, or weight or bias have another shape.
    ValueError
        If eps is negative.
    TypeError
        If the arrays are not all float32 or all float64 (float16 computes in float32 and comes back float16).

    References
    ----------
    Ba, Kiros, Hinton: Layer Normalization (2016), equation 3. https://arxiv.org/abs/1607.06450

    Examples
    --------
    Mean 4 and variance (9 + 1 + 1 + 9) / 4 = 5, so that eps = 4 makes the root 3.

    >>> y, cache = layer_norm_forward(np.array([[1.0, 3.0, 5.0, 7.0]]), None, None, normalized_shape=4, eps=4.0)
    >>> y
    array([[-1.        , -0.33333333,  0.33333333,  1.        ]])
    """
    shape = _last_axes(x, normalized_shape)
    check_affine("layer_norm_forward", weight, bias, shape, eps)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    xhat = empty_like(x)
    inv_std = standardize(x, axes, eps, out=xhat)
    return scale_and_add(xhat, _lying_as(x, weight), _lying_as(x, bias)), LayerNormCache(
        xhat, inv_std, weight, bias is not None, axes
    )


@float_op("dy")
def layer_norm_backward(dy: Array, cache: LayerNormCache) -> tuple[Array, Array | None, Array | None]:
    """Gradients of sum(y * dy) by what `layer_norm_forward` was given.

    With means over the normalized axes and sums over all the others::

        dbias   = sum(dy)
        dweight = sum(dy * xhat)
        dx      = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(variance + eps)    where g = dy * weight

    Parameters
    ----------
    dy : shape of y
        Gradient that arrives from above.
    cache : LayerNormCache
        From `layer_norm_forward`; it is not changed.

    Returns
    -------
    dx : shape of x
        In the memory order of x.
    dweight, dbias : normalized_shape, or None
        None where there was no weight or bias.

    Raises
    ------
    ShapeError
        If dy has not the shape of y.

    Examples
    --------
    >>> y, cache = layer_norm_forward(np.array([[1.0, 3.0]]), None, np.zeros(2), normalized_shape=2)
    >>> dx, dweight, dbias = layer_norm_backward(np.array([[5.0, 5.0]]), cache)  # the mean takes back what all get
    >>> dx, dweight, dbias
    (array([[0., 0.]]), None, array([5., 5.]))
    """
    xhat, weight = cache.xhat, cache.weight
    check_shape("layer_norm_backward", "dy", dy, xhat.shape)
    others = tuple(range(cache.axes[0]))
    dbias = dy.sum(others, dtype=np.float64).astype(dy.dtype) if cache.has_bias else None
    dweight = (
        np.multiply(dy, xhat, out=empty_like(xhat)).sum(others, dtype=np.float64).astype(dy.dtype)
        if weight is not None
        else None
    )
    dx = empty_like(xhat)
    g = scale_and_add(dy, _lying_as(dy, weight), None)
    standardize_backward(g, xhat, cache.inv_std, cache.axes, out=dx)
    return dx, dweight, dbias


def _last_axes(x: Array, normalized_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, tuple | list) else (normalized_shape,)
    if not shape or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in shape):
        raise ShapeError(
            f"layer_norm_forward: normalized_shape must be an int >= 1 or several of them, got {normalized_shape!r}"
        )
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(f"layer_norm_forward: x must end in normalized_shape {shape}, got x {x.shape}")
    return shape


def _lying_as(x: Array, vector: Array | None) -> Array | None:
    """A weight of (C, H, W) in the memory order of the images, for numbers in different orders are slow to combine."""
    if vector is None or vector.ndim != 3 or not is_hwnc(x):
        return vector
    reordered: Array = to_hwnc(vector[None])[0]
    return reordered


# --- shared with group_norm.py ---------------------------------------------------------------------------------------


def standardize(x: Array, axes: tuple[int, ...], eps: float, *, out: Array) -> Array:
    """out = (x - mean) * inv_std over `axes`, and return inv_std = 1 / sqrt(variance + eps).

    Where sums or squares are beyond float32, all is done in float64. A variance of 0 without eps gives NaN.
    """
    with np.errstate(over="raise", divide="ignore", invalid="ignore"):
        try:
            return _standardize(x, axes, eps, out=out)
        except FloatingPointError:
            wide = x.astype(np.float64)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        inv_std = _standardize(wide, axes, eps, out=wide)
        out[...] = wide
    return inv_std.astype(x.dtype)


def _standardize(x: Array, axes: tuple[int, ...], eps: float, *, out: Array) -> Array:
    np.subtract(x, _mean(x, axes), out=out)
    out -= _mean(out, axes)  # 0 on paper: what rounding left of a mean far above the spread
    inv_std = (1 / np.sqrt(_mean(np.square(out, out=empty_like(out)), axes) + eps)).astype(x.dtype)
    out *= inv_std
    return inv_std


def standardize_backward(g: Array, xhat: Array, inv_std: Array, axes: tuple[int, ...], *, out: Array) -> None:
    """out = inv_std * (g - mean(g) - xhat * mean(g * xhat)) over `axes`."""
    np.multiply(g, xhat, out=out)
    np.multiply(xhat, -_mean(out, axes), out=out)
    out += g
    out -= _mean(g, axes)
    out *= inv_std


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    """The mean over `axes`, in shape to meet x: each axis is 1 long, but for the first of several, which stays.

    Several axes are added up in two steps, the first of them last, in float64, and the mean is repeated along it: so
    all steps run over long stretches of memory whether channels come first there or last.
    """
    count = max(math.prod(x.shape[axis] for axis in axes), 1)
    if len(axes) == 1:
        repeats = 1
    else:
        repeats, x = x.shape[axes[0]], x.sum(axes[1:], keepdims=True)
    total: Array = x.sum(axes[0], keepdims=True, dtype=np.float64)
    return np.repeat((total / count).astype(x.dtype), repeats, axis=axes[0])


def scale_and_add(x: Array, weight: Array | None, bias: Array | None) -> Array:
    """x*weight + bias as a new array in the memory order of x."""
    y: Array = empty_like(x)
    np.multiply(x, 1 if weight is None else weight, out=y)
    if bias is not None:
        y += bias
    return y


def check_affine(function: str, weight: Array | None, bias: Array | None, shape: tuple[int, ...], eps: float) -> None:
    """Raise unless weight and bias, where they are given, have this shape, and eps is at least 0."""
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None:
            check_shape(function, name, vector, shape)
    check_number(function, "eps", eps)
    if not eps >= 0:
        raise ValueError(f"{function}: eps must be at least 0, got {eps!r}")
