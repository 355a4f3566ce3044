"""One window: where it stands, and what it shows times the filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....typing import Array
from ... import style
from ..terms import Terms
from ..window import Window
from .cells import IMAGE, MOST_SLICES, Factors, caption_of, cell_board, draw_factors, draw_framed

if TYPE_CHECKING:
    from ...explain import Explanation


def plot_window(explanation: Explanation, window: Window, factors: list[Factors]) -> Figure:
    """The image, the channel that adds most, and for up to three channels patch times filter is product."""
    KH, KW = factors[0].arrays["x"].shape
    shown, step = factors[:MOST_SLICES], KH + 1.5
    rows = max(IMAGE + 1.2, len(shown) * step + 0.4)
    first = explanation.input.shape == explanation.image.shape and np.array_equal(explanation.input, explanation.image)
    left = (1 if first else 2) * (IMAGE + 0.9) + 0.3
    caption = caption_of(explanation, len(factors), "channels")
    figure, ax = cell_board(left + 3 * (KW + 1) + 2.4, rows, explanation, caption)
    _draw_images(ax, explanation, shown[0], (rows - IMAGE) / 2 + 0.3, alone=first)
    for row, part in enumerate(shown):
        middle = rows / 2 + 0.3 + (row - (len(shown) - 1) / 2) * step
        draw_factors(ax, part, left, middle - KH / 2)
    return figure


def _draw_images(ax: Axes, explanation: Explanation, part: Factors, top: float, *, alone: bool) -> None:
    """The model's input with what the number sees of it, and the channel of the layer's input with the window."""
    field, window = explanation.field, explanation.window
    assert window is not None
    box = tuple(slice(int(side[0]), int(side[-1]) + 1) for side in (window.rows, window.columns))
    if alone:
        draw_framed(ax, explanation.image, 0, top, "image", field.mask, box, style.BLUE)
        return
    seen = explanation.image_field
    draw_framed(ax, explanation.image, 0, top, "image", seen.mask, seen.box, style.GREEN)
    plane = explanation.input[part.slice][None]
    draw_framed(ax, plane, IMAGE + 0.9, top, f"layer's input, {part.name}", field.mask, box, style.BLUE)


def factors_of_window(window: Window, terms: Terms) -> list[Factors]:
    """For each channel patch, filter and products; the channels that add most come first."""
    inside, found = window.inside, list[Factors]()
    for c, patch in zip(window.channels, window.patch.astype(np.float64), strict=True):
        name, other = _other(window, len(found), inside, terms)
        shown = np.where(np.isfinite(patch), patch, np.nan)
        product = np.where(inside & (other != 0), np.nan_to_num(shown) * other, 0.0)
        arrays = {"x": shown, name: other, "product": product}
        found.append(Factors(f"channel {c}", arrays, float(product.sum()), int(c), ~inside))
    return sorted(found, key=lambda part: -abs(part.total))


def _other(window: Window, channel: int, inside: Array, terms: Terms) -> tuple[str, Array]:
    """What the patch is multiplied with: the filter, or a pooling's share: 1 for the winner, or the same for all."""
    if window.filter is not None:
        return "weight", window.filter[channel].astype(np.float64)
    name, values = list(terms.factors.items())[-1]
    shares = np.zeros(inside.shape)
    shares[inside] = values
    return name, shares
