"""Numbers that add up: each term with its factors, and with the places where these stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ...typing import Array

AXES = {
    "x": {2: "n i", 3: "n c l", 4: "n c h w"},
    "y": {2: "n o", 3: "n c l", 4: "n f oh ow"},
    "weight": {1: "c", 2: "o i", 3: "c h w", 4: "f c kh kw"},
    "bias": {1: "f"},
}
"""How the axes of an array are called, by their number."""


class Place(NamedTuple):
    """Where in one array the terms find a factor.

    Examples
    --------
    >>> Place("x", np.array([[0, 0, 2, 3]])).columns
    ['x_n', 'x_c', 'x_h', 'x_w']
    """

    name: str  # of the array: "x", "weight", "y"
    indices: Array  # (T, axes) int64

    @property
    def columns(self) -> list[str]:
        """A name for each axis."""
        return [f"{self.name}_{axis}" for axis in axis_names(self.name, self.indices.shape[1])]

    def text(self, term: int) -> str:
        """As it is written in Python, ``x[0, 0, 2, 3]``."""
        return said_at(self.name, self.indices[term])


class Terms(NamedTuple):
    """One amount for each term, the product of its factors, in float64: there a product of two float32 is exact.

    Examples
    --------
    >>> terms = products((), x=np.array([1.0, 2.0]), weight=np.array([3.0, -5.0]))
    >>> terms.amounts
    array([  3., -10.])
    """

    amounts: Array  # (T,)
    factors: dict[str, Array]  # each (T,)
    places: tuple[Place, ...] = ()
    labels: tuple[str, ...] = ()  # what the terms are, where a place does not say it
    beside: Mapping[str, Array] = MappingProxyType({})  # each (T,): what is good to know and no factor

    @property
    def scale(self) -> float:
        """The sum of all amounts without their signs: rounding goes with it."""
        return math.fsum(np.abs(self.amounts))

    def place(self, name: str) -> Place | None:
        """The place in the array of this name, if the terms have one."""
        return next((place for place in self.places if place.name == name), None)

    def text(self, term: int) -> str:
        """Which term it is."""
        if self.labels:
            return self.labels[term]
        return "  ".join(place.text(term) for place in self.places)


def products(places: Sequence[Place], labels: Sequence[str] = (), **factors: Array) -> Terms:
    """Terms that are the products of their factors."""
    wide = {name: np.asarray(values, np.float64).ravel() for name, values in factors.items()}
    with np.errstate(over="ignore", invalid="ignore"):  # a trace may hold infinities: they go on
        amounts = np.prod(list(wide.values()), axis=0)  # (T,)
    return Terms(amounts, wide, tuple(places), tuple(labels))


def chosen(places: Sequence[Place], wins: Array, **values: Array) -> Terms:
    """Terms of which those count whose `wins` is 1, and all others are 0, even where they are infinite."""
    ((name, numbers),) = values.items()
    wide = np.asarray(numbers, np.float64)
    return Terms(np.where(wins == 1, wide, 0.0), {name: wide, "wins": wins}, tuple(places))


def axis_names(name: str, rank: int) -> list[str]:
    """Names of the axes of an array; numbers where it has an unusual number of them."""
    known = AXES.get(name.removeprefix("d"), {}).get(rank)
    return known.split() if known else [str(axis) for axis in range(rank)]


def said_at(name: str, index: Sequence[int] | Array) -> str:
    """A name and an index as Python writes them.

    Examples
    --------
    >>> said_at("y", (0, 2)), said_at("loss", ())
    ('y[0, 2]', 'loss')
    """
    inside = ", ".join(str(int(i)) for i in index)
    return f"{name}[{inside}]" if len(index) else name


def grid(*axes: Array | int) -> Array:
    """Every combination of the numbers along the axes, the last fastest: (T, axes).

    Examples
    --------
    >>> grid(7, np.array([0, 1]))
    array([[7, 0],
           [7, 1]])
    """
    full = np.meshgrid(*(np.atleast_1d(np.asarray(axis, np.int64)) for axis in axes), indexing="ij")
    return np.stack([axis.ravel() for axis in full], axis=1)


def at(array: Array, indices: Array) -> Array:
    """The numbers of an array at (T, axes) indices."""
    found: Array = array[tuple(indices.T)]
    return found
