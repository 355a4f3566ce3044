"""Terms as a small table that a person can add up."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .terms import Terms

MOST = 12
"""At most so many terms are written out: the largest, by amount."""


def table(terms: Terms, constant: float | None, total: float) -> list[str]:
    """Lines: each term with its factors and their product, what is left out, the bias, and the sum.

    Few terms stand in their own order; of many the largest come first.

    Examples
    --------
    >>> from .terms import Place, products
    >>> places = [Place("x", np.array([[0, 0], [0, 1]])), Place("weight", np.array([[2, 0], [2, 1]]))]
    >>> terms = products(places, x=np.array([0.5, 2.0]), weight=np.array([4.0, -3.0]))
    >>> for line in table(terms, 1.0, -3.0):
    ...     print(line)
                             x × weight =
    x[0, 0]  weight[2, 0]  0.5 ×      4 =  2
    x[0, 1]  weight[2, 1]    2 ×     -3 = -6
    bias                                   1
    sum                                   -3
    """
    shown = in_order(terms)
    head, *products = _products(terms, shown)
    lines = [("", head, "")] if head else []
    for name, product, term in zip(_names(terms, shown), products, shown, strict=True):
        lines.append((name, product, said(float(terms.amounts[term]))))
    if rest := _rest(terms, shown):
        lines.append(rest)
    if constant is not None:
        lines.append(("bias", "", said(constant)))
    return _aligned([*lines, ("sum", "", said(total))])


def _names(terms: Terms, shown: list[int]) -> list[str]:
    """Which terms they are; places in one array stand below each other."""
    if terms.labels:
        return [terms.labels[term] for term in shown]
    return _below([[place.text(term) for term in shown] for place in terms.places], "  ", str.ljust, len(shown))


def _products(terms: Terms, shown: list[int]) -> list[str]:
    """What the factors are, and those of each term, of one kind below each other; nothing where there is only one."""
    if len(terms.factors) < 2:
        return [""] * (1 + len(shown))
    columns = [[name, *(said(float(values[term])) for term in shown)] for name, values in terms.factors.items()]
    return [product + " =" for product in _below(columns, " × ", str.rjust, len(shown))]


def _below(columns: list[list[str]], sign: str, adjust: Callable[[str, int], str], count: int) -> list[str]:
    """Columns of words, each as wide as its widest, as lines."""
    wide = [[adjust(word, max(map(len, column))) for word in column] for column in columns if column]
    return [sign.join(row) for row in zip(*wide, strict=True)] if wide else [""] * count


def in_order(terms: Terms) -> list[int]:
    """Which terms are written, in which order."""
    count = len(terms.amounts)
    if count <= MOST:
        return list(range(count))
    return [int(t) for t in np.argsort(-np.abs(terms.amounts), kind="stable")[:MOST]]


def _rest(terms: Terms, shown: list[int]) -> tuple[str, str, str] | None:
    """What is not written, together."""
    left = np.delete(terms.amounts, shown)
    if not len(left):
        return None
    return f"and {len(left)} more, together", "", said(math.fsum(left) if np.isfinite(left).all() else left.sum())


def _aligned(lines: list[tuple[str, str, str]]) -> list[str]:
    """Three columns: names at the left, numbers at the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return [
        f"{name.ljust(widths[0])}  {product.rjust(widths[1])} {amount.rjust(widths[2])}".rstrip()
        for name, product, amount in lines
    ]


def said(number: float) -> str:
    """Five digits, which are enough to follow an addition.

    Examples
    --------
    >>> said(0.125), said(-2.0), said(1234567.0), said(1e-9)
    ('0.125', '-2', '1.2346e+06', '1e-09')
    """
    return f"{number + 0.0:.5g}"
