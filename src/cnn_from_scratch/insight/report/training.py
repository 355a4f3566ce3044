"""How the training went: loss, accuracy and learning rate, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import style
from ..history import best_epoch, plot_quantity
from .drawings import figure_image
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart

MOST_EPOCHS = 12
"""Rows of the table: some epochs from the first to the last."""


def curves(material: Material) -> Html:
    """Loss and accuracy."""
    history = _kept(material)
    charts = [
        figure_image(plot_quantity(history, name), f"Chart: {name} by epoch. {_course(history.rows, name)}")
        for name in ("loss", "accuracy")
        if any(name in row for row in history.rows)
    ]
    return joined(
        [
            paragraph(
                "The loss should fall steeply, then ever more slowly. Blue is measured on the training batches, while "
                "they are learned from"
                + (
                    "; orange on images kept apart. Where orange stops falling while blue goes on, the network begins "
                    "to learn its training images by heart."
                    if "val_loss" in history.rows[-1]
                    else ", and often made harder (augmentation, dropout): it may well be worse than the test figures. "
                    "No images were kept apart for validation."
                )
            ),
            tag("div", *charts, class_="charts"),
            paragraph(_best(material)) if _best(material) else "",
            _table(history.rows),
        ]
    )


def learning_rate(material: Material) -> Html:
    """The size of the steps."""
    history = _kept(material)
    if not any("lr" in row for row in history.rows):
        raise MissingPart("The history has no learning rate.")
    chart = figure_image(plot_quantity(history, "lr"), f"Chart: learning rate. {_course(history.rows, 'lr')}")
    schedule, optimizer = (material.recorded.get(name) for name in ("schedule", "optimizer"))
    said = f" Here: {optimizer}, schedule {schedule}." if schedule and optimizer else ""
    words = (
        "Each step goes against the gradient, as far as the learning rate says. Large steps at first find the way, "
        "small ones at the end settle." + said
    )
    return joined([paragraph(words), tag("div", chart, class_="charts")])


def _kept(material: Material) -> Any:
    if not len(material.history):
        raise MissingPart(
            "There is no history: no epoch was finished, or the model was trained elsewhere and came without one."
        )
    return material.history


def _course(rows: Sequence[dict[str, Any]], name: str) -> str:
    """In words, for those who cannot see the chart."""
    values = [float(row[name]) for row in rows if name in row and math.isfinite(float(row[name]))]
    if not values:
        return "No finite number."
    course = f"From {values[0]:.4g} over {len(rows)} epochs to {values[-1]:.4g}"
    return f"{course}; lowest {min(values):.4g}, highest {max(values):.4g}."


def _best(material: Material) -> str:
    """The epoch with a ring."""
    frame = material.history.to_frame()
    best = best_epoch(frame)
    if best is None:
        return ""
    row = frame.iloc[best]
    return f"Lowest validation loss: {row['val_loss']:.4g}, after epoch {row['epoch']:.0f} (ring)."


COLUMNS = {
    "epoch": "epoch",
    "loss": "loss",
    "accuracy": "accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "lr": "learning rate",
    "seconds": "seconds",
}


def _table(rows: Sequence[dict[str, Any]]) -> Html:
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    count = len(rows)
    places = sorted(
        {round(i * (count - 1) / max(min(count, MOST_EPOCHS) - 1, 1)) for i in range(min(count, MOST_EPOCHS))}
    )
    some = "Some epochs" if len(places) < count else "Epochs"
    body = [[_said(name, rows[place].get(name)) for name in columns] for place in places]
    return table(some, [COLUMNS[name] for name in columns], body)


def _said(column: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if column == "epoch":
        return str(int(value))
    if column.endswith("accuracy"):
        return style.percent(float(value), 2)
    return f"{float(value):.4g}"
