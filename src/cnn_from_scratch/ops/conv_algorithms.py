"""The ways to compute a convolution: what they are called, where each may be used, and which one "auto" takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from .utils import ConvGeometry

Algorithm: TypeAlias = Literal["auto", "loops", "im2col", "im2row"]
ALGORITHMS = ("auto", "loops", "im2col", "im2row")

Shape: TypeAlias = tuple[int, ...]

RULES: dict[str, tuple[str, Callable[[Shape, Shape, ConvGeometry, int], bool]]] = {}
"""What an algorithm needs, in words and as a test of (x_shape, weight_shape, geometry, groups); absent: nothing."""


def suits(algorithm: str, x_shape: Shape, weight_shape: Shape, geometry: ConvGeometry, groups: int) -> bool:
    """Whether this way can compute this convolution."""
    return algorithm not in RULES or RULES[algorithm][1](x_shape, weight_shape, geometry, groups)


def resolve_algorithm(
    algorithm: Algorithm,
    x_shape: Shape,
    weight_shape: Shape,
    geometry: ConvGeometry,
    groups: int,
    dtype: np.dtype[Any],
    *,
    function: str = "conv_forward",
) -> str:
    """The name of the way that will be taken: what "auto" picks, by shapes and dtype alone, or what was asked for.

    Raises
    ------
    ValueError
        If the name is unknown, or that way cannot compute this convolution; `function` is named in the error.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"{function}: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if algorithm == "auto":
        return _best(x_shape, weight_shape, geometry, groups, dtype)
    if not suits(algorithm, x_shape, weight_shape, geometry, groups):
        raise ValueError(
            f"{function}: algorithm {algorithm!r} needs {RULES[algorithm][0]}; got x {x_shape}, weight {weight_shape}, "
            f"stride {geometry.stride}, padding {geometry.padding}, dilation {geometry.dilation}, groups={groups}"
        )
    return algorithm


def _best(x_shape: Shape, weight_shape: Shape, geometry: ConvGeometry, groups: int, dtype: np.dtype[Any]) -> str:
    return "im2row" if groups == 1 else "im2col"
