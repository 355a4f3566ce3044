"""How good the network is: which class is taken for which, and where it was sure and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import PowerNorm, to_hex

from ...errors import CnnError
from ...ops import softmax_forward
from ...typing import Array
from .. import style
from ..attribution_picture import map_pixels
from ..confusion import MOST_WITH_COUNTS, most_confused, plot_confusion
from ..gradcam import gradcam
from ..mistakes import most_confident_mistakes
from ..spatial_layers import last_spatial_layer
from .drawings import figure_image, grey_or_colour, pixel_image
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart, Tried

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 100
"""Rows of the table of classes; with more, the ones that are found least often."""


# --- classes --------------------------------------------------------------------------------------------------------


def classes(material: Material) -> Html:
    """Confusion, and precision and recall of each class."""
    tried = _tried(material)
    evaluation, names = tried.evaluation, list(material.classes)
    right = int((evaluation.predictions == evaluation.targets).sum())
    words = (
        f"{right:,} of {evaluation.examples:,} test images are read right. Each row is what an image is, each column "
        "what it was taken for: blue, on the diagonal, is right; every orange cell is a kind of mistake. Two cells "
        "that mirror each other are two classes that look alike to the network."
    )
    counts = evaluation.confusion(names)
    if len(names) <= MOST_WITH_COUNTS:
        picture = _cells(counts)
    else:
        figure = plot_confusion(evaluation, names)
        picture = figure_image(figure, f"Confusion of {len(names)} classes; the most frequent are in the table below.")
    most = most_confused(evaluation, names, limit=8)
    often = [
        (row["true"], row["predicted"], f"{row['count']}", style.percent(row["share"], 1)) for _, row in most.iterrows()
    ]
    return joined(
        [
            paragraph(words),
            picture,
            table("Most often confused", ("is", "taken for", "times", "of its class"), often, words=2) if often else "",
            paragraph(
                "Recall: of the images of a class, the share that was found. Precision: of the images taken for it, "
                "the share that is of it. F1 is their harmonic mean, low as soon as one of them is."
            ),
            _per_class(tried, names),
        ]
    )


def _cells(counts: pd.DataFrame) -> Html:
    """Counts as a table whose cells are coloured by their share of the row, on a scale that shows small shares."""
    table_of, names = counts.to_numpy(), [str(name) for name in counts.index]
    totals = table_of.sum(1)
    head = tag(
        "tr", tag("td", "is \\ said", class_="w soft"), *(tag("th", style.short(n, 14), scope="col") for n in names)
    )
    rows = [
        tag(
            "tr",
            tag("th", style.short(name, 20), scope="row", class_="w"),
            *(_cell(int(n), n / max(totals[i], 1), i == j) for j, n in enumerate(table_of[i])),
        )
        for i, name in enumerate(names)
    ]
    caption = tag("caption", tag("span", "Confusion: rows are the classes, columns what they were taken for"))
    whole = tag("table", caption, tag("thead", head), tag("tbody", *rows), class_="confusion")
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label="Table: confusion")


def _cell(count: int, share: float, right: bool) -> Html:
    if not count:
        return tag("td", "", class_="empty")
    colour = (style.RIGHT if right else style.WRONG)(float(PowerNorm(0.5, 0, 1)(share)))
    r, g, b = (int(255 * part) for part in colour[:3])
    ink = "#fff" if _contrast((r, g, b)) > 4.5 else "#000"
    return tag("td", f"{count:,}", style=f"background:{to_hex(colour)};color:{ink}")


def _contrast(rgb: tuple[int, int, int]) -> float:
    """Of white on this colour, as WCAG 2 defines it: 1 to 21."""
    linear = [(c / 255 + 0.055) ** 2.4 / 1.055**2.4 if c > 10 else c / 255 / 12.92 for c in rgb]
    return 1.05 / (0.05 + 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


def _per_class(tried: Tried, names: list[str]) -> Html:
    frame = tried.evaluation.per_class(names)
    caption = "Every class"
    if len(frame) > MOST_CLASSES:
        frame = frame.sort_values("recall", kind="stable").head(MOST_CLASSES)
        caption = f"The {MOST_CLASSES} classes that are found least often"
    rows = [
        (str(name), *(f"{row[column]:.4f}" for column in ("precision", "recall", "f1")), f"{int(row['examples']):,}")
        for name, row in zip(frame.index, frame.to_dict("records"), strict=True)
    ]
    return table(caption, ("class", "precision", "recall", "F1", "images"), rows)


# --- mistakes -------------------------------------------------------------------------------------------------------


def mistakes(material: Material) -> Html:
    """The surest mistakes, each with Grad-CAM for what was said."""
    tried = _tried(material)
    found = most_confident_mistakes(tried.evaluation, list(material.classes), limit=material.mistakes)
    if not len(found):
        return paragraph(f"There is no mistake among {tried.evaluation.examples:,} test images.")
    places = found["example"].to_numpy()
    images = tried.images(places)
    maps, layer = _where(material, images, tried.evaluation.predictions[places])
    cards = [_card(row, images[i], None if maps is None else maps[i]) for i, row in enumerate(found.to_dict("records"))]
    beside = (
        f"Beside each image, Grad-CAM on the maps of {layer}: the darker the blue, the more this place spoke for what "
        "was said. Where all is white, Grad-CAM found no place that spoke for it."
        if maps is not None
        else f"There is no Grad-CAM: {layer}."
    )
    return joined(
        [
            paragraph(
                "The images that the network gets wrong, the ones it is surest of first. Look for three kinds: images "
                "that nobody could read, labels that are wrong, and images that are easy for you. Only the last are "
                f"worth another training. {beside}"
            ),
            tag("ul", *cards, class_="cards"),
        ]
    )


def _where(material: Material, images: Array, said: Array) -> tuple[Array | None, str]:
    """Grad-CAM for each image and the layer it looked at; or why there is none."""
    try:
        key = last_spatial_layer(material.model, material.input_shape)
        return gradcam(material.model, material.prepare(images), said, key=key), key
    except (CnnError, ValueError) as error:
        return None, str(error)


def _card(row: dict[Any, Any], image: Array, cam: Array | None) -> Html:
    said, sure = str(row["predicted"]), style.percent(row["probability"], 1)
    true, other = str(row["true"]), style.percent(row["probability_of_true"], 1)
    pictures = [pixel_image(grey_or_colour(image), f"Test image {row['example']}: {true}, taken for {said}")]
    if cam is not None:
        pictures.append(pixel_image(map_pixels(image, cam), f"Grad-CAM: where it speaks for {said}"))
    words = (
        tag("span", "said ", tag("b", said), f" {sure}", class_="wrong"),
        tag("span", "is ", tag("b", true), f" {other}", class_="right"),
        tag("span", f"test image {row['example']}", class_="soft"),
    )
    return tag("li", tag("div", *pictures, class_="two"), *words)


def well_read(logits: Array, targets: Array, sure: float = 0.9999) -> int:
    """The first example that is read right without being all too sure of it; 0 if none is read right.

    Examples
    --------
    >>> well_read(np.array([[0.0, 9.0], [30.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 0]))
    2
    """
    right = logits.argmax(1) == targets
    unsure = right & (softmax_forward(logits.astype(np.float64))[0].max(1) <= sure)
    return int((unsure if unsure.any() else right).argmax())


def _tried(material: Material) -> Tried:
    if material.tried is None:
        raise MissingPart(material.missing)
    return material.tried
