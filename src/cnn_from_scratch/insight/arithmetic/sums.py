"""A number and the terms that add up to it: what `explain` and `blame` give has this in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...typing import Array
from .rule import Index, Parts
from .terms import Terms, said_at
from .words import MOST, table


@dataclass(frozen=True, eq=False, repr=False)
class Sum:
    """One number of a trace, taken apart.

    Attributes
    ----------
    key : str
        Of the layer; ``"loss"`` for the loss.
    layer : str
        The layer as it is written.
    name : str
        Of the array that the number is in: ``"y"``, ``"dweight"``, ``"dbias"``, ``"dx"``, ``"loss"``, ``"dlogits"``.
    index : tuple of int
        Where in that array.
    value : float
        The number itself, as the model computed it.
    dtype : dtype
        In which it was computed.
    parts : Parts
        Formula, terms, bias and remarks.
    """

    key: str
    layer: str
    name: str
    index: Index
    value: float
    dtype: np.dtype[Any]
    parts: Parts

    @property
    def terms(self) -> Terms:
        """All terms, with ``terms.amounts`` in float64, ``terms.factors`` and ``terms.places``."""
        return self.parts.terms

    @property
    def amounts(self) -> Array:
        """What each term adds, in float64; the constant (a bias) is not among them."""
        return self.terms.amounts

    @property
    def constant(self) -> float | None:
        """What is added besides the terms: the bias; None where there is none."""
        return self.parts.constant

    @property
    def total(self) -> float:
        """The constant and all amounts, added up without rounding in between."""
        constant = 0.0 if self.constant is None else self.constant
        if not (math.isfinite(constant) and np.isfinite(self.amounts).all()):
            with np.errstate(invalid="ignore"):
                return float(self.amounts.sum() + constant)
        return math.fsum([constant, *self.amounts])

    @property
    def bound(self) -> float:
        """How far rounding may lead `value` away from `total`.

        A sum of T products differs in floating point by at most T + 1 unit roundoffs of the sum of their absolute
        values, in whatever order it is computed (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
        equation 3.5); 16 more are for what is computed inside a factor. Winograd's transforms state a bound of their
        own: 10 unit roundoffs for 2x2 tiles and 300 for 4x4, of the largest input times a filter's absolute sum.
        """
        scale = self.terms.scale if self.parts.scale is None else max(self.parts.scale, self.terms.scale)
        plain = (len(self.amounts) + 16) * (scale + abs(self.constant or 0.0))
        return plain * float(np.finfo(self.dtype).eps) / 2 + (self.parts.bound or 0.0)

    @property
    def adds_up(self) -> bool:
        """Whether `total` is `value`, but for rounding."""
        if not (math.isfinite(self.value) and math.isfinite(self.total)):
            return self.value == self.total or (math.isnan(self.value) and math.isnan(self.total))
        return abs(self.value - self.total) <= self.bound

    def to_frame(self) -> pd.DataFrame:
        """One row for each term: where its factors stand, what they are, and their product as ``amount``.

        The columns of places are called by array and axis, as ``x_h``. The constant is not among the rows.
        """
        columns: dict[str, object] = {"label": self.terms.labels} if self.terms.labels else {}
        for place in self.terms.places:
            columns |= dict(zip(place.columns, place.indices.T, strict=True))
        return pd.DataFrame(columns | dict(self.terms.beside) | self.terms.factors | {"amount": self.amounts})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({said_at(self.name, self.index)} = {self.value:.6g} of {self.where})"

    @property
    def where(self) -> str:
        """The layer, with its key."""
        return f"{self.key!r} = {self.layer}" if self.key else self.layer

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", *table(self.terms, self.constant, self.total), *self._tail()])

    def _head(self) -> list[str]:
        """The number, and its formula."""
        constant = "" if self.constant is None else f"bias {self.constant:.6g} + "
        zeros = int(np.count_nonzero(self.amounts == 0))
        some = f", of which {zeros} are 0" if zeros and len(self.amounts) > MOST else ""
        return [
            f"{said_at(self.name, self.index)} = {self.value:.6g}   in {self.where}",
            f"  = {constant}{self.count}{some}",
            f"  {self.parts.formula}",
        ]

    @property
    def count(self) -> str:
        """How many terms there are, and what they are: ``"9 products"``."""
        number, unit = len(self.amounts), "product" if len(self.terms.factors) > 1 else "term"
        return f"{number} {unit}{'s' * (number != 1)}"

    def _tail(self) -> list[str]:
        """Remarks below the table."""
        verdict = "the sum is the traced number" if self.adds_up else f"NOT the traced number {self.value:.9g}"
        away = abs(self.value - self.total)
        rounding = f", but for rounding in {self.dtype}: {away:.1g}" if self.adds_up and away > 0 else ""
        return ["", verdict + rounding, *self.parts.notes]
