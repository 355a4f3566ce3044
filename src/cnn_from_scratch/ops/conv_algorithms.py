"""The ways to compute a convolution: what they are called, where each may be used, and which one "auto" takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from . import conv_depthwise, conv_winograd
from .conv_first import suits_first
from .conv_pointwise import suits_pointwise
from .utils import ConvGeometry

Algorithm: TypeAlias = Literal[
    "auto", "loops", "im2col", "im2row", "pointwise", "first", "winograd2", "winograd4", "depthwise"
]
ALGORITHMS = get_args(Algorithm)

ENOUGH = 8
"""Channels and filters from which on Winograd's saved multiplications outweigh its transforms: with 8 and 16 of them it
takes a third of im2row's time."""

Shape: TypeAlias = tuple[int, ...]

WINOGRAD = "a 3x3 kernel, stride 1, dilation 1, padding 0 or 1 on each side and no groups"
RULES: dict[str, tuple[str, Callable[[Shape, Shape, ConvGeometry, int], bool]]] = {
    "pointwise": ("a 1x1 kernel, no padding and no groups", lambda x, w, geometry, G: suits_pointwise(w, geometry, G)),
    "first": ("at most 4 channels and no groups", lambda x, w, geometry, G: suits_first(w, G)),
    "winograd2": (WINOGRAD, lambda x, w, geometry, G: conv_winograd.suits(geometry, G)),
    "winograd4": (WINOGRAD, lambda x, w, geometry, G: conv_winograd.suits(geometry, G)),
    "depthwise": (
        "one channel in each of several groups",
        lambda x, w, geometry, G: conv_depthwise.suits(x[1], w, geometry, G),
    ),
}
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
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
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
    """The fastest way that suits; in float64 only ways that add up the same products as the loops."""
    for name in ("pointwise", "first", "depthwise"):
        if suits(name, x_shape, weight_shape, geometry, groups):
            return name
    enough = min(weight_shape[:2]) >= ENOUGH
    if dtype == np.float32 and enough and suits("winograd4", x_shape, weight_shape, geometry, groups):
        return _fewest_products(geometry)
    return "im2row"


def _fewest_products(geometry: ConvGeometry) -> str:
    """The way with the fewest multiplications for each channel and filter; among equals the more exact one.

    A tile of m x m outputs takes (m + 2)^2 of them, whether the image needs all of it or not; the definition takes 9
    for each output.
    """
    OH, OW = geometry.output
    products = {"im2row": 9 * OH * OW}
    for m in (2, 4):
        products[f"winograd{m}"] = (m + 2) ** 2 * -(-OH // m) * -(-OW // m)
    return min(products, key=lambda name: products[name])
