"""The top of a report: what it is, how good, and how to make it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...layers.summary import readable_bytes
from .. import style
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart

RECIPE = (
    "model", "dataset", "epochs", "batch_size", "optimizer", "lr", "schedule", "augment", "dropout", "label_smoothing",
    "weight_decay", "average", "validation", "best_weights", "early_stopping", "seed", "shards", "train_images",
    "test_images",
)  # fmt: skip
"""What metrics.json says of the order, in this order."""


def head(material: Material) -> Html:
    """Title, figures, and what the run says of itself."""
    C, H, W = material.input_shape
    classes = f"{len(material.classes)} classes: " + ", ".join(style.short(str(k), 30) for k in material.classes[:10])
    more = " and so on" if len(material.classes) > 10 else ""
    size = style.times(C, H, W).replace(" ", "\N{NO-BREAK SPACE}")
    what = f"A network that sorts images of {size} into {classes}{more}."
    return tag(
        "header",
        tag("p", "Report of a run", class_="soft"),
        tag("h1", material.name),
        paragraph(what, class_="lead"),
        tag(
            "dl",
            *(tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(material)),
            class_="figures",
        ),
        *(paragraph(note, class_="note") for note in material.notes),
    )


def _figures(material: Material) -> list[tuple[str, str]]:
    """The large figures; those that the run has recorded, otherwise those of now."""
    accuracy, loss = measured(material)
    summary = material.summary
    size = readable_bytes(sum(array.nbytes for array in material.model.params.values()))
    found = [
        ("test accuracy", "-" if accuracy is None else style.percent(accuracy, 2)),
        ("test loss", "-" if loss is None else f"{loss:.4f}"),
        ("parameters", large(summary.parameters)),
        ("weights", size),
        ("multiply-adds", large(summary.multiply_adds)),
    ]
    seconds = finite(material.recorded.get("seconds"))
    epochs = finite(material.recorded.get("epochs"))
    if seconds is not None and epochs is not None:
        found.append((f"{epochs:.0f} epoch{'s' * (epochs != 1)}", f"{seconds:.1f} s"))
    return found


def large(count: int) -> str:
    """A count in at most seven characters.

    Examples
    --------
    >>> large(75_434), large(1_503_232), large(1_819_066_408)
    ('75,434', '1.50 M', '1.82 G')
    """
    if count < 1_000_000:
        return f"{count:,}"
    return f"{count / 1e6:.2f} M" if count < 999_500_000 else f"{count / 1e9:.2f} G"


def measured(material: Material) -> tuple[float | None, float | None]:
    """Accuracy and loss on the test images: as recorded; of a run without record, as found now."""
    accuracy, loss = (finite(material.recorded.get(f"test_{name}")) for name in ("accuracy", "loss"))
    if accuracy is None and material.tried is not None:
        return material.tried.evaluation.accuracy, material.tried.evaluation.loss
    return accuracy, loss


def finite(value: Any) -> float | None:
    """A finite number out of a file, or None.

    Examples
    --------
    >>> finite(2), finite(float("inf")), finite("2"), finite(True)
    (2.0, None, None, None)
    """
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def again(material: Material) -> Html:
    """The command that makes the run again, its order and its environment."""
    if not (material.command or material.environment):
        raise MissingPart("Nothing is known of how this model was trained.")
    recorded = material.recorded
    order = [
        (name.replace("_", " "), _said(recorded[name]))
        for name in RECIPE
        if recorded.get(name) or (name == "seed" and name in recorded)
    ]
    command = (
        joined(
            [
                paragraph(
                    "This command does all of it again. With the same versions, on the same machine and with as many "
                    "shards, the weights come out the same, bit by bit; elsewhere the last digits differ."
                ),
                tag("pre", material.command, tabindex=0),
            ]
        )
        if material.command
        else paragraph("The command that trained this model is not known: it was imported, or its record is gone.")
    )
    tables = [table("The order", ("", ""), order, words=2)] if order else []
    tables += [table("The environment", ("", ""), list(_rows(material.environment)), words=2)]
    return joined([command, tag("div", *tables, class_="pair")])


def _rows(values: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in values.items()]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
