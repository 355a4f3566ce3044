"""One number of the network, down to the products that it is the sum of."""

from __future__ import annotations

import numpy as np

from ...layers import Conv2d, Linear
from ..explain import Explanation, explain
from ..style import times
from .drawings import figure_image
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart

MOST_TERMS = 25
"""Rows of the table: all terms, or the largest."""


def one_number(material: Material) -> Html:
    """The largest number that the first convolution gives for the image."""
    if material.tried is None:
        raise MissingPart(material.missing)
    told = _told(material)
    place = f"{told.name}[{', '.join(map(str, told.index))}]"
    return joined(
        [
            paragraph(
                f"There is nothing else in a network than this, many times: {place} is the largest number that "
                f"{told.key or 'the model'} gives for test image {material.tried.shown}. A patch of the input is laid "
                "on the filter, number on number; the products, and the bias where there is one, are added up. In the "
                "picture, dark pixels are large."
            ),
            figure_image(told.plot(), f"Picture: the window, the filter, their products, and the sum {told.total:.6g}"),
            tag("pre", told.parts.formula),
            _table(told, place),
            paragraph(f"The sum is {told.total:.6g}: {_verdict(told)}."),
        ]
    )


def _verdict(told: Explanation) -> str:
    away = abs(told.value - told.total)
    if not told.adds_up:
        return f"NOT the {told.value:.9g} of the network"
    return f"the number that the network computed{f', but for rounding of {away:.1g}' if away else ''}"


def _told(material: Material) -> Explanation:
    for kind in (Conv2d, Linear):
        for key, layer in material.layers.items():
            if isinstance(layer, kind):
                output = material.seen[key].output
                index = np.unravel_index(int(output[0].argmax()), output[0].shape)
                return explain(material.seen, key, (0, *map(int, index)))
    raise MissingPart("The network has neither a convolution nor a linear layer.")


def _table(told: Explanation, place: str) -> Html:
    """The terms as rows."""
    terms, count = told.terms, len(told.amounts)
    order = range(count) if count <= MOST_TERMS else np.argsort(-np.abs(told.amounts), kind="stable")[:MOST_TERMS]
    names = list(terms.factors)
    rows: list[list[object]] = [
        [terms.text(term), *(f"{float(terms.factors[name][term]):.4g}" for name in names), f"{told.amounts[term]:.4g}"]
        for term in map(int, order)
    ]
    blank = [""] * len(names)
    if count > MOST_TERMS:
        rest = float(told.amounts.sum() - sum(told.amounts[term] for term in order))
        rows.append([f"and {count - MOST_TERMS} smaller ones", *blank, f"{rest:.4g}"])
    if told.constant is not None:
        rows.append(["bias", *blank, f"{told.constant:.4g}"])
    rows.append(["sum", *blank, f"{told.total:.6g}"])
    caption = f"{place}, {told.count}, of {times(*told.image.shape)} pixels"
    return table(caption, ("where", *names, "product"), rows, class_="total")
