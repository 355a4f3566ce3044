"""The layers of a network: its shapes as a drawing, and what each layer holds and costs."""

from __future__ import annotations

import math

from ...layers import Sequential
from ...layers.summary import SummaryRow, readable_bytes
from .. import style
from ..diagrams.shapes import Stage, stages
from .markup import Html, joined, paragraph, table, tag
from .material import Material

MOST_STAGES, MOST_ROWS = 24, 80
"""So many shapes are drawn, and layers listed."""

TALLEST, SHEET = 62.0, 3.0
"""Pixels: side of the largest map, and from one map of a stack to the next."""


def architecture(material: Material) -> Html:
    """Shapes, parameters, multiply-adds and memory."""
    summary = material.summary
    flops, held = f"{summary.multiply_adds:,}", readable_bytes(summary.bytes)
    return joined(
        [
            paragraph(
                "Follow one image from left to right: each stack is the output of the layers named below it, as many "
                "sheets as it has maps (one more for each doubling), drawn to scale. Maps get smaller and more, until "
                "one number for each class is left."
            ),
            _drawing(material),
            paragraph(
                f"One image costs {flops} multiply-adds, and the outputs of all layers take {held}; for training "
                "that many times the batch. A convolution with few parameters can cost most of the time, for it uses "
                "each of them at every place."
            ),
            _table(material),
        ]
    )


def _table(material: Material) -> Html:
    summary = material.summary
    shown = summary.rows[:MOST_ROWS]
    head = ("layer", "what it does", "output", "parameters", "multiply-adds", "memory")
    rows: list[tuple[object, ...]] = [
        (
            row.key or "(model)",
            tag("code", style.short(row.layer, 90)),
            style.times(*row.output_shape),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            readable_bytes(row.bytes),
        )
        for row in shown
    ]
    if len(shown) < len(summary.rows):
        rows.append((f"and {len(summary.rows) - len(shown)} more layers", "", "", "", "", ""))
    total = f"{summary.parameters:,}", f"{summary.multiply_adds:,}", readable_bytes(summary.bytes)
    return table("Layers, for one image", head, [*rows, ("total", "", "", *total)], words=2, class_="total layers")


# --- the drawing ----------------------------------------------------------------------------------------------------


def _drawing(material: Material) -> Html:
    """Every shape on the way, side by side; on a narrow page in several rows."""
    found = _fewer(_stages(material))
    side = max((max(stage.shape[1:]) for stage in found if len(stage.shape) == 3), default=1)
    return tag("ol", *(_stage(stage, TALLEST / side) for stage in found), class_="shapes")


def _stages(material: Material) -> list[Stage]:
    """Of a Sequential its children; of anything else the layers."""
    if isinstance(material.model, Sequential) and len(material.model.children) > 1:
        return stages(material.model, material.input_shape)
    found = [Stage(["input"], 0, material.input_shape)]
    for row in material.summary.rows:
        found = _joined_to(found, row)
    return found


def _joined_to(found: list[Stage], row: SummaryRow) -> list[Stage]:
    """A layer that keeps the shape and learns nothing belongs to the one before."""
    last = found[-1]
    if row.output_shape == last.shape and not row.parameters and len(found) > 1:
        return [*found[:-1], last._replace(layers=[*last.layers, row.key])]
    return [*found, Stage([row.key], row.parameters, row.output_shape)]


def _fewer(found: list[Stage]) -> list[Stage]:
    """Where there are too many, neighbours of one shape become one; and of these the first and last are kept."""
    if len(found) <= MOST_STAGES:
        return found
    merged = found[:1]
    for stage in found[1:]:
        last = merged[-1]
        if stage.shape == last.shape and len(merged) > 1:
            merged[-1] = Stage([*last.layers, *stage.layers], last.parameters + stage.parameters, stage.shape)
        else:
            merged.append(stage)
    half = MOST_STAGES // 2
    return merged if len(merged) <= MOST_STAGES else [*merged[:half], *merged[-half:]]


def _stage(stage: Stage, scale: float) -> Html:
    names = stage.layers if len(stage.layers) <= 5 else [*stage.layers[:4], f"... {len(stage.layers) - 4} more"]
    learned = tag("span", f"{stage.parameters:,} parameters", class_="soft") if stage.parameters else ""
    words = joined([tag("span", style.short(name, 24)) for name in names])
    return tag("li", _stack(stage.shape, scale), tag("b", style.times(*stage.shape)), words, learned)


def _stack(shape: tuple[int, ...], scale: float) -> Html:
    """A stack of maps, or a bar, as an SVG that is only an ornament: the shape stands below in words."""
    if len(shape) != 3:
        return _svg(14, max(12 * math.log2(1 + math.prod(shape)), 8), [], bar=True)
    C, H, W = shape
    sheets = 1 + min(round(math.log2(C)), 7)
    width, height = max(W * scale, 4), max(H * scale, 4)
    offsets = [SHEET * i for i in range(sheets)]
    rects = [
        tag("rect", x=f"{1 + away:.1f}", y=f"{1 + offsets[-1] - away:.1f}", width=f"{width:.1f}",
            height=f"{height:.1f}")
        for away in reversed(offsets)
    ]  # fmt: skip
    return _svg(width + offsets[-1] + 2, height + offsets[-1] + 2, rects)


def _svg(width: float, height: float, inside: list[Html], *, bar: bool = False) -> Html:
    if bar:
        inside = [tag("rect", x=1, y=1, width=f"{width - 2:.1f}", height=f"{height - 2:.1f}", class_="bar")]
    size = {"width": f"{width:.1f}", "height": f"{height:.1f}", "viewBox": f"0 0 {width:.1f} {height:.1f}"}
    return tag("svg", *inside, **size, aria_hidden="true")
