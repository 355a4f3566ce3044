"""What is known of one kind of layer: how a number comes about, whom a gradient comes from, what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ...layers import Layer
from ...typing import Array
from .terms import Terms
from .window import Window

if TYPE_CHECKING:
    from ..trace import LayerTrace

Index: TypeAlias = tuple[int, ...]
Shape: TypeAlias = tuple[int, ...]


class Parts(NamedTuple):
    """One number, taken apart."""

    formula: str
    terms: Terms
    constant: float | None = None  # what is added besides the terms: the bias
    notes: tuple[str, ...] = ()
    window: Window | None = None
    scale: float | None = None  # what rounding goes with, where sums inside a term are larger than the term
    bound: float | None = None  # how far rounding may lead away, where the algorithm states it


Take: TypeAlias = "Callable[[LayerTrace, Index], Parts]"
Field: TypeAlias = Callable[[Layer, Shape, Array], Array]
"""field(layer, input_shape, seen) -> seen: which numbers of one example's input the marked ones of its output see."""


class Rule(NamedTuple):
    """The four questions that can be asked of a layer, and the field of view."""

    explain: Take
    input: Take
    field: Field
    weight: Take | None = None
    bias: Take | None = None
