"""How much of the image a number of each layer sees."""

from __future__ import annotations

import numpy as np

from ...errors import CnnError
from ...typing import Array
from .. import style
from ..arithmetic.receptive_field import Field, layer_field
from ..feature_picture import evenly_chosen
from ..until import model_until
from .drawings import grey_or_colour, pixel_image
from .markup import Html, joined, paragraph, tag
from .material import Material, MissingPart

DIMMED = 0.8
"""How much of the image's tone is lost outside the field."""


def fields(material: Material) -> Html:
    """The field of the middle number of each layer with maps, where it grows."""
    found = _growing(material)
    if not found:
        raise MissingPart("No layer gives maps.")
    widest, last = next(reversed(found.items()))
    share = "all of it" if last.mask.all() else f"{style.percent(float(last.mask.mean()))} of the image"
    cards = [_card(material.image, key, field) for key, field in found.items()]
    return joined(
        [
            paragraph(
                "What the middle number of a layer can depend on, whatever the weights are; the rest of the image is "
                f"dimmed. What is larger than its field, a layer cannot see as a whole. Of these layers, {widest} sees "
                f"most: {share}."
            ),
            tag("ul", *cards, class_="cards small"),
        ]
    )


def _growing(material: Material) -> dict[str, Field]:
    """By layer, the first of each size."""
    rows = [row for row in material.summary.rows if len(row.output_shape) == 3]
    shapes = {row.key: row.output_shape for row in rows}
    found: dict[str, Field] = {}
    before = 1
    for key in evenly_chosen(_with_windows(material, list(shapes))):
        seen = np.zeros(shapes[key], bool)
        seen[:, shapes[key][1] // 2, shapes[key][2] // 2] = True
        try:
            field = layer_field(model_until(material.model, key), material.input_shape, seen)
        except (CnnError, ValueError):  # within a container whose wiring is not known
            continue
        if not field.unknown and int(field.mask.sum()) > before:
            before = int(field.mask.sum())
            found[key] = field
    return found


def _with_windows(material: Material, keys: list[str]) -> list[str]:
    """Convolutions and pools: only these see more than the layer before."""
    names = ("Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d")
    return [key for key in keys if type(material.layers.get(key)).__name__ in names]


def _card(image: Array, key: str, field: Field) -> Html:
    mask = field.mask
    rows, columns = field.box
    size = f"{rows.stop - rows.start} × {columns.stop - columns.start}"
    said = f"{key or 'model'} sees {size}"
    return tag(
        "li",
        pixel_image(_dimmed(image, mask), f"{said} pixels of the image"),
        tag("b", key or "(model)"),
        tag("span", f"sees {size}", class_="soft"),
        tag("span", f"{style.percent(float(mask.mean()))} of the image", class_="soft"),
    )


def _dimmed(image: Array, mask: Array) -> Array:
    """The image, nearly white where the mask is not."""
    pixels = grey_or_colour(image).astype(np.float64)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, 2)
    tint = np.array([169, 207, 230])  # a light blue, so that what is dimmed is told from what is grey
    mixed = np.where(mask[..., None], pixels, (1 - DIMMED) * pixels + DIMMED * tint)
    return np.rint(mixed).astype(np.uint8)
