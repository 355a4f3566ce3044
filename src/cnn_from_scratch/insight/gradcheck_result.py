"""What a gradient check found: array by array, the worst element, and the likely cause in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class ArrayCheck(NamedTuple):
    """One array: how many of its elements were compared, and the one that is furthest off."""

    name: str
    shape: tuple[int, ...]
    checked: int  # elements compared on their own
    skipped: int  # elements at a kink or a tie, where there is no derivative to compare with
    failed: int
    directions: int  # random directions compared, each of which all elements take part in
    worst: tuple[int, ...] | None  # the place of the worst element
    analytic: float  # what backward says there
    numeric: float  # what central differences say
    error: float  # relative
    cause: str  # "" where nothing is wrong

    @property
    def size(self) -> int:
        """How many elements the array has."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and something was compared (an array without elements needs no comparison)."""
        return not self.cause

    def sentence(self) -> str:
        """The worst element and the cause."""
        if self.worst is None:
            return f"d{self.name}: {self.cause}"
        values = f"central differences {self.numeric:.6g}"
        if not math.isnan(self.analytic):
            values = f"backward says {self.analytic:.6g}, {values} (error {self.error:.2g})"
        return f"d{self.name}[{', '.join(map(str, self.worst))}]: {values}. Likely: {self.cause}"


class GradCheck:
    """The result of `gradcheck`. Print it, ask `ok`, `worst`, `to_frame()`, or let it raise.

    Attributes
    ----------
    target : str
        What was checked.
    arrays : dict
        Name to `ArrayCheck`.
    layers : dict
        For a model whose gradients are wrong: the checks of the layers that are wrong on their own, by key.
    remarks : list of str
        What else is wrong: arrays written that were borrowed, gradients that change from one pass to the next.
    """

    def __init__(
        self,
        target: str,
        arrays: dict[str, ArrayCheck],
        layers: dict[str, GradCheck] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.target, self.arrays, self.layers, self.remarks = target, arrays, layers or {}, list(remarks)
        self.searched_layers = layers is not None

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees, and nothing was written that is borrowed."""
        return not self.remarks and all(check.ok for check in self.arrays.values())

    @property
    def worst(self) -> ArrayCheck:
        """The array whose worst element is furthest off; one that is wrong before any that is right."""
        return max(self.arrays.values(), key=lambda check: (not check.ok, np.nan_to_num(check.error, posinf=1e300)))

    def to_frame(self) -> pd.DataFrame:
        """One row for each array."""
        import pandas as pd

        rows = [{**check._asdict(), "ok": check.ok} for check in self.arrays.values()]
        return pd.DataFrame(rows).set_index("name")

    def raise_if_bad(self) -> GradCheck:
        """The check itself, if everything agrees.

        Raises
        ------
        AssertionError
            Otherwise, with all that `print` shows: a gradient check mostly stands in a test.
        """
        if not self.ok:
            raise AssertionError(str(self))
        return self

    def __str__(self) -> str:
        head = f"gradcheck of {self.target}: {'all gradients agree' if self.ok else 'WRONG'}"
        return "\n".join([head, *_table(list(self.arrays.values())), *self._sentences()])

    __repr__ = __str__

    def _sentences(self) -> list[str]:
        """What is wrong, from the cause to what follows from it."""
        lines = [check.sentence() for check in self.arrays.values() if not check.ok] + self.remarks
        for key, check in self.layers.items():
            lines.append(f"layer {key!r} = {check.target} is wrong on its own:")
            lines += [f"  {line}" for line in check._sentences()]
        if self.searched_layers and not self.layers and not self.ok:
            lines.append("Every layer is right on its own: look at how they are joined (containers, loss).")
        return lines


def _table(checks: list[ArrayCheck]) -> list[str]:
    """Names, counts and errors in columns."""
    head = ("array", "shape", "compared", "skipped", "wrong", "worst error")
    rows = [head]
    for c in checks:
        compared = f"{c.checked}/{c.size}" + (f" + {c.directions} directions" if c.directions else "")
        rows.append((c.name, str(c.shape), compared, str(c.skipped), str(c.failed), f"{c.error:.1e}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
