"""What batch norm consists of once the sums are there. All that fuses with it (ReLU, convolution) shares this.

Batch norm is three steps, forward and backward alike: sums over every channel, a little arithmetic on one number per
channel, and one pass over the images. Here is the middle one; fusing changes where the sums are taken and what else the
pass does, but never this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..typing import Array
from .channel_sums import ChannelSums, moments_of
from .channels import Affine, channel_rows, far_means, pieces, scratch, spread_channels
from .checks import check_number, plain_array
from .group import Group, check_group, group_sum
from .utils import check_shape, empty_nchw


class BatchNormCache(NamedTuple):
    """What `batch_norm_backward` needs, and the new running statistics, for the caller to keep."""

    x: Array  # (N, C, ...)  borrowed, never written
    weight: Array | None  # (C,)         borrowed, never written
    has_bias: bool
    mean: Array  # (C,) float64: the batch's in training, the running one in evaluation
    inv_std: Array  # (C,) float64: 1 / sqrt(variance + eps), likewise
    scale: Array  # (C,) float64: weight * inv_std
    shift: Array  # (C,) what is subtracted from x before anything else, see `far_means`
    n: float  # values per channel in the whole batch; 0 in evaluation, where none are counted
    running_mean: Array | None  # (C,) new; None in evaluation, or where there was none
    running_var: Array | None  # (C,) new, likewise
    group: Group | None


# --- forward ---------------------------------------------------------------------------------------------------------


def normalization(
    function: str,
    x: Array,
    sums: ChannelSums | None,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    momentum: float,
    eps: float,
    group: Group | None,
) -> BatchNormCache:
    """Mean, spread and new running statistics from sum(x) and sum(x*x); without sums, the running ones (evaluation)."""
    if sums is None:
        mean, var, n = *_as_they_are(function, running_mean, running_var), 0.0
        new_mean = new_var = None
    else:
        check_group(function, group)
        mean, var, n = moments_of(sums, x, group)
        new_mean = _follow(running_mean, mean, momentum, n)
        new_var = _follow(running_var, _unbiased(function, var, n, x), momentum, n)
    with np.errstate(divide="ignore", invalid="ignore"):  # a variance of 0 without eps gives NaN
        inv_std = 1 / np.sqrt(var + eps)
        scale, shift = inv_std if weight is None else inv_std * weight, far_means(mean, inv_std, x.dtype)
    return BatchNormCache(x, weight, bias is not None, mean, inv_std, scale, shift, n, new_mean, new_var, group)


def affine_of(norm: BatchNormCache, bias: Array | None, rows: Array) -> Affine:
    """(x - mean)*scale + bias, for pieces of `rows`, as (x - shift)*scale + offset."""
    offset = (norm.shift - norm.mean) * norm.scale + (0 if bias is None else bias)
    return Affine(rows, shift=norm.shift, scale=norm.scale, offset=offset)


def normalize(norm: BatchNormCache, bias: Array | None) -> Array:
    """(x - mean)*scale + bias as a new array, in the memory order of x."""
    x = norm.x
    y = empty_nchw(x.shape, x.dtype, like=x)
    rows, y_rows = channel_rows(x, like=x), channel_rows(y, like=x)
    with np.errstate(over="ignore", invalid="ignore"):
        affine = affine_of(norm, bias, rows)
        for piece in pieces(rows):
            affine(rows[piece], y_rows[piece])
    return y


# --- backward --------------------------------------------------------------------------------------------------------


class GradientTerms(NamedTuple):
    """dx = A*(dy + B*(x - shift) + D), one of each per channel; in evaluation B and D are None, for dx = A*dy."""

    A: Array | None  # None for 1, where somebody else multiplies
    B: Array | None
    D: Array | None


def gradient_terms(sums: ChannelSums, norm: BatchNormCache) -> tuple[GradientTerms, Array | None, Array | None]:
    """What dx consists of, and dweight and dbias of this shard, all from sum(dy) and sum(dy * (x - shift))."""
    mean, inv_std, n, shift = norm.mean, norm.inv_std, norm.n, norm.shift
    sum_dy, sum_dy_x = sums.total, sums.products - (mean - shift) * sums.total  # now of dy * (x - mean)
    dbias = sum_dy.astype(norm.x.dtype) if norm.has_bias else None
    dweight = (sum_dy_x * inv_std).astype(norm.x.dtype) if norm.weight is not None else None
    if not n:  # evaluation: mean and variance do not depend on x
        return GradientTerms(norm.scale, None, None), dweight, dbias
    sum_dy, sum_dy_x = group_sum(norm.group, [sum_dy, sum_dy_x])
    B = -(inv_std**2) * sum_dy_x / n
    D = -sum_dy / n + (shift - mean) * B
    return GradientTerms(norm.scale, B, D), dweight, dbias


def combine_terms(dy: Array, norm: BatchNormCache, terms: GradientTerms, *, out: Array) -> None:
    """out = A*(dy + B*(x - shift) + D), in the memory order of x; `out` may be `dy` itself."""
    rows, dy_rows, out_rows = (channel_rows(images, like=norm.x) for images in (norm.x, dy, out))
    through_statistics, room = _affine_part(norm, terms, rows), scratch(rows)
    A = None if terms.A is None else spread_channels(terms.A, rows)
    for piece in pieces(rows):
        direct, result, rest = dy_rows[piece], out_rows[piece], room[: len(rows[piece])]
        if A is not None:
            direct = np.multiply(direct, A, out=result)
        if through_statistics is None:
            result[...] = direct
        else:
            through_statistics(rows[piece], rest)
            np.add(direct, rest, out=result)


def _affine_part(norm: BatchNormCache, terms: GradientTerms, rows: Array) -> Affine | None:
    """A*B*(x - shift) + A*D, which reaches x through mean and variance."""
    if terms.B is None or terms.D is None:
        return None
    A = 1 if terms.A is None else terms.A
    return Affine(rows, shift=norm.shift, scale=A * terms.B, offset=A * terms.D)


# --- running statistics ----------------------------------------------------------------------------------------------


def _unbiased(function: str, var: Array, n: float, x: Array) -> Array:
    """The variance that divides by n - 1; an empty batch has none."""
    if n == 1:
        raise ValueError(f"{function}: training needs more than one value per channel, got x {x.shape}")
    return var * (n / max(n - 1, 1))


def _follow(running: Array | None, batch: Array, momentum: float, n: float) -> Array | None:
    """(1 - momentum) * running + momentum * batch, as a new array; an empty batch changes nothing.

    What is beyond the dtype, such as the variance of numbers about 1e20 in float32, is kept as infinity.
    """
    if running is None:
        return None
    share = momentum if n else 0.0
    new = (1 - share) * np.asarray(running, np.float64) + share * batch
    with np.errstate(over="ignore"):
        return new.astype(running.dtype.newbyteorder("="))


def _as_they_are(function: str, running_mean: Array | None, running_var: Array | None) -> tuple[Array, Array]:
    if running_mean is None or running_var is None:
        raise ValueError(f"{function}: evaluation needs running_mean and running_var, got None")
    return np.asarray(running_mean, np.float64), np.asarray(running_var, np.float64)


# --- checks ----------------------------------------------------------------------------------------------------------


def check_batch(function: str, x: Array) -> None:
    """Raise unless x has channels."""
    if x.ndim < 2:
        raise ShapeError(f"{function}: x must have at least 2 axes (N, C, ...), got shape {x.shape}")


def check_settings(function: str, C: int, vectors: dict[str, Array | None], momentum: float, eps: float) -> None:
    """Raise unless the vectors, where they are given, have one float per channel, and the numbers are in range."""
    for name, vector in vectors.items():
        if vector is None:
            continue
        if not isinstance(vector, np.ndarray) or vector.dtype.kind != "f":
            given = getattr(vector, "dtype", type(vector).__name__)
            raise TypeError(f"{function}: {name} must be a NumPy array of floats, got {given}")
        check_shape(function, name, plain_array(function, name, vector), (C,))
    check_number(function, "momentum", momentum)
    if not 0 <= momentum <= 1:
        raise ValueError(f"{function}: momentum must be between 0 and 1, got {momentum!r}")
    check_number(function, "eps", eps)
    if not eps >= 0:
        raise ValueError(f"{function}: eps must be at least 0, got {eps!r}")
