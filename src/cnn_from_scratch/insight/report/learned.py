"""What a network has learned to look for, and what it makes of one image."""

from __future__ import annotations

import numpy as np

from ...layers import Conv2d
from ...ops import softmax_forward
from ...typing import Array
from .. import style
from ..feature_picture import SAME_NUMBERS, evenly_chosen
from ..filters import MOST_FILTERS, MOST_SLICES, filter_grid
from ..tiles import tile
from .drawings import coloured, grey_or_colour, pixel_image, signed_colours
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart

LATER = 3
"""So many later convolutions are shown, in small: the largest."""

IN_ROW, MOST_MAPS, WIDE_VECTOR, MAP_WIDTH = 8, 16, 64, 2.65
"""Maps side by side, maps of a layer, numbers of a vector side by side, and how wide a map is, in rem."""

FINE = 28
"""Pixels of a map, at least."""

MOST_CLASSES = 10


SIGNED_WORDS = (
    "White is a weight of zero, blue above, orange below, full colour for the layer's largest weight. A blue side "
    "beside an orange one finds an edge."
)
IN_COLOUR = "Filters of the first layer have the colours that they look for; grey is a weight of zero."
LATER_WORDS = (
    "Later filters look at the maps of the layer before, not at pixels: each row is a filter, each column a channel "
    "that it looks at. White is a weight of zero, blue above, orange below."
)


# --- filters --------------------------------------------------------------------------------------------------------


def filters(material: Material) -> Html:
    """The first convolution in large, the largest later ones in small."""
    found = {key: layer for key, layer in material.layers.items() if isinstance(layer, Conv2d)}
    if not found:
        raise MissingPart("The network has no convolution.")
    first, *later = found
    large = sorted(later, key=lambda key: -found[key].params["weight"].size)
    large = [key for key in later if key in large[:LATER] and min(found[key].params["weight"].shape[2:]) > 1]
    return joined(
        [
            paragraph(
                "A filter slides over its input and answers most where the input looks like the filter itself. "
                + (IN_COLOUR if found[first].params["weight"].shape[1] == 3 else SIGNED_WORDS)
                + " Noise without form is a filter that has not learned much."
            ),
            _grid(first, found[first], first=True),
            paragraph(LATER_WORDS) if large else "",
            tag("div", *(_grid(key, found[key], first=False) for key in large), class_="pair") if large else "",
        ]
    )


def _grid(key: str, layer: Conv2d, *, first: bool) -> Html:
    weight = layer.params["weight"]
    F, C, KH, KW = weight.shape
    colour = first and C == 3
    grid = filter_grid(weight, colour=colour)
    pixels = np.rint(255 * grid.clip(0, 1)).astype(np.uint8) if colour else signed_colours(grid)
    rows = F if C > 1 and not colour else 0
    said = f"{key or 'model'}: {F} filters of {KH} × {KW} on {C} channel{'s' * (C > 1)}"
    if F > (MOST_SLICES if rows else MOST_FILTERS) or (rows and C > MOST_SLICES):
        most = f"{min(F, MOST_SLICES)} × {min(C, MOST_SLICES)}" if rows else str(MOST_FILTERS)
        said += f"; the first {most} are shown"
    if colour:
        said += ", in red, green and blue; grey is zero"
    return tag("figure", tag("div", pixel_image(pixels, f"Filters of {said}"), class_="card"), tag("figcaption", said))


# --- feature maps ---------------------------------------------------------------------------------------------------


def maps(material: Material) -> Html:
    """One image on its way: what each layer makes of it."""
    if material.tried is None:
        raise MissingPart(material.missing)
    seen, layers = material.seen, material.layers
    keys = [
        key
        for key, layer in layers.items()
        if type(layer).__name__ not in SAME_NUMBERS and seen[key].output.ndim in (2, 4) and seen[key].output[0].size
    ]
    rows = [_row(f"{key} {type(layers[key]).__name__}", seen[key].output[0]) for key in evenly_chosen(keys)]
    shown = _input(material.image)
    return joined(
        [
            paragraph(
                f"Test image {material.tried.shown} goes through the network. Each row is a layer, each square one of "
                "its maps: blue where its filter answers, orange where it answers with the opposite sign, white where "
                "it is silent. Early maps still look like the image; later ones say that something is there, and "
                "hardly where."
            ),
            tag("div", shown, *rows, class_="maps"),
            _probabilities(material),
        ]
    )


def _input(image: Array) -> Html:
    return _beside("input", image.shape, [pixel_image(grey_or_colour(image), "The image", class_="pixels one")])


def _row(name: str, values: Array) -> Html:
    """What a layer gives: the first of its maps."""
    return _beside(name, values.shape, _pictures(name, values))


def _beside(name: str, shape: tuple[int, ...], pictures: list[Html]) -> Html:
    """A name and a shape, and the pictures at their right, or on a narrow page below."""
    size = style.times(*shape)
    label = tag("div", tag("b", style.short(name, 40)), tag("span", size, class_="soft"), class_="label")
    return tag("div", label, tag("div", *pictures, class_="strips"), class_="row")


def _pictures(name: str, values: Array) -> list[Html]:
    """Strips of some maps each, so that a narrow page can set them below each other."""
    if values.ndim == 1:
        rows = -(-len(values) // WIDE_VECTOR)
        block = np.full(max(rows * WIDE_VECTOR, 1) if rows > 1 else len(values), np.nan, np.float64)
        block[: len(values)] = values
        pixels = signed_colours(block.reshape(rows, -1))
        return [
            pixel_image(
                pixels, f"{name}: {len(values)} numbers", class_="pixels vector" if rows > 1 else "pixels strip"
            )
        ]
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    shown = values[:MOST_MAPS] / scale
    strips = [shown[start : start + IN_ROW] for start in range(0, len(shown), IN_ROW)]
    finer = -(-FINE // values.shape[2])  # so that the line between two maps is thin, however few pixels they have
    return [
        pixel_image(
            coloured(style.SIGNED, 0.5 + tile(strip.repeat(finer, 1).repeat(finer, 2), len(strip)) / 2),
            f"{name}: maps {IN_ROW * i} to {IN_ROW * i + len(strip) - 1}",
            style=f"width:{MAP_WIDTH * len(strip):g}rem",
        )
        for i, strip in enumerate(strips)
    ]


def _probabilities(material: Material) -> Html:
    """What the network says in the end."""
    probabilities = softmax_forward(material.seen.logits[0].astype(np.float64))[0]
    best = np.argsort(-probabilities, kind="stable")[:MOST_CLASSES]
    assert material.tried is not None
    right = int(material.tried.evaluation.targets[material.tried.shown])
    rows = [
        (
            tag("b", material.classes[k]) if k == right else material.classes[k],
            tag("td", tag("div", class_="meter", style=f"width:{100 * probabilities[k]:.1f}%"), class_="w wide"),
            style.percent(float(probabilities[k]), 1),
        )
        for k in best
    ]
    caption = f"What the network takes it for; right is {material.classes[right]}"
    return table(caption, ("class", "", "probability"), rows, words=2)
