"""Gradients kept within bounds: all together by their length, or each number by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..typing import Array
from .checks import check_floats, check_mapping, check_number, check_switch, some

_PIECE = 1 << 16
"""Numbers that are widened to float64 at a time."""


def clip_grad_norm(
    grads: Mapping[str, Array], max_norm: float, *, error_if_nonfinite: bool = False
) -> tuple[float, dict[str, Array]]:
    """grads * min(1, max_norm / (norm + 1e-6)), where norm is the length of all gradients as one vector

    The direction stays, only the length is bounded. The squares are added in float64 whatever the dtype: those of
    float32 do not overflow, and a million small ones do not get lost; in units of the largest number where float64
    could not hold them.

    Parameters
    ----------
    grads : dict of Array
        float32 or float64; they are not written.
    max_norm : float
        At least 0; ``math.inf`` only measures.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite. Otherwise, as in PyTorch, a NaN among the gradients makes all of them NaN,
        and an infinity makes itself NaN and all others 0.

    Returns
    -------
    norm : float
        Before clipping.
    grads : dict of Array
        The same arrays where there was nothing to clip, else new ones.

    Raises
    ------
    ValueError
        If max_norm is negative or NaN.
    FloatingPointError
        If error_if_nonfinite, and the norm is NaN or infinite.
    TypeError
        If a gradient is neither float32 nor float64.

    References
    ----------
    Pascanu, Mikolov, Bengio: On the difficulty of training Recurrent Neural Networks (2012), algorithm 1.
    https://arxiv.org/abs/1211.5063 -- ``torch.nn.utils.clip_grad_norm_``

    Examples
    --------
    The length of (3, 4) is 5; a fifth of it has length 1.

    >>> norm, grads = clip_grad_norm({"weight": np.array([3.0]), "bias": np.array([4.0])}, 1.0)
    >>> norm, grads["weight"].round(4), grads["bias"].round(4)
    (5.0, array([0.6]), array([0.8]))
    """
    if not isinstance(max_norm, float) or max_norm != math.inf:
        check_number("clip_grad_norm", "max_norm", max_norm)
    check_switch("clip_grad_norm", "error_if_nonfinite", error_if_nonfinite)
    check_mapping("clip_grad_norm", "grads", grads)
    for key, grad in grads.items():
        check_floats("clip_grad_norm", f"grads[{key!r}]", grad)
    norm = _norm(grads)
    if error_if_nonfinite and not math.isfinite(norm):
        bad = [key for key, grad in grads.items() if not np.isfinite(grad).all()]
        raise FloatingPointError(f"clip_grad_norm: the norm of the gradients is {norm}; not finite are {some(bad)}")
    scale = float(max_norm) / (norm + 1e-6)
    if scale >= 1 or max_norm == math.inf:
        return norm, dict(grads)
    with np.errstate(invalid="ignore"):  # inf * 0
        return norm, {key: grad * scale for key, grad in grads.items()}


def clip_grad_value(grads: Mapping[str, Array], clip_value: float) -> dict[str, Array]:
    """min(max(grad, -clip_value), clip_value), number by number; NaN stays NaN

    Parameters
    ----------
    grads : dict of Array
        float32 or float64; they are not written.
    clip_value : float
        At least 0.

    Returns
    -------
    grads : dict of Array
        The same arrays where there was nothing to clip, else new ones.

    Raises
    ------
    ValueError
        If clip_value is negative or not finite.
    TypeError
        If a gradient is neither float32 nor float64.

    References
    ----------
    ``torch.nn.utils.clip_grad_value_``

    Examples
    --------
    >>> clip_grad_value({"weight": np.array([-3.0, 0.5, 2.0])}, 1.0)
    {'weight': array([-1. ,  0.5,  1. ])}
    """
    check_number("clip_grad_value", "clip_value", clip_value)
    check_mapping("clip_grad_value", "grads", grads)
    for key, grad in grads.items():
        check_floats("clip_grad_value", f"grads[{key!r}]", grad)
    bound = float(clip_value)
    return {key: grad if _within(grad, bound) else np.clip(grad, -bound, bound) for key, grad in grads.items()}


def _norm(grads: Mapping[str, Array]) -> float:
    """The length of all gradients as one vector; in units of the largest number where squares are beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(sum(_sum_of_squares(grad) for grad in grads.values()))
    if 0 < norm < math.inf or math.isnan(norm):
        return norm
    largest = max((float(np.abs(grad).max(initial=0.0)) for grad in grads.values()), default=0.0)
    if not 0 < largest < math.inf:
        return norm
    return largest * math.sqrt(sum(_sum_of_squares(grad / largest) for grad in grads.values()))


def _sum_of_squares(grad: Array) -> float:
    """sum(grad^2), added in float64."""
    flat, total = grad.ravel(order="K"), 0.0
    for first in range(0, flat.size, _PIECE):
        piece = flat[first : first + _PIECE].astype(np.float64)
        total += float(piece @ piece)
    return total


def _within(grad: Array, bound: float) -> bool:
    return bool(grad.max(initial=0.0) <= bound and grad.min(initial=0.0) >= -bound)
