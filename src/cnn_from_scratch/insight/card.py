"""Pictures for pages of any colour."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from . import style


def on_card(figure: Figure, margin: float = 0.14) -> Figure:
    """Put a finished figure on a white card with round corners, so that it is read on any page, white or dark.

    The figure itself is returned; `margin` are the inches that the card is larger on each side.

    Examples
    --------
    >>> on_card(style.new_figure(4, 3), 0.5).get_size_inches().tolist()
    [5.0, 4.0]
    """
    figure.draw_without_rendering()  # now every axes has its place
    figure.set_layout_engine("none")
    across, down = (float(inches) for inches in figure.get_size_inches())
    wide, high = across + 2 * margin, down + 2 * margin

    def moved(x: float, y: float) -> tuple[float, float]:
        return (x * across + margin) / wide, (y * down + margin) / high

    for ax in figure.axes:
        place = ax.get_position()
        ax.set_position((*moved(place.x0, place.y0), place.width * across / wide, place.height * down / high))
    for text in figure.texts:
        text.set_position(moved(*text.get_position()))
    figure.set_size_inches(wide, high)
    figure.patch.set_alpha(0)
    half = 0.5 / 72  # of the line's width
    card = FancyBboxPatch(
        (half, half),
        wide - 2 * half,
        high - 2 * half,
        "round,pad=0,rounding_size=0.12",
        facecolor="white",
        edgecolor=style.FAINT,
        linewidth=1,
        transform=figure.dpi_scale_trans,
        zorder=-10,
    )
    figure.add_artist(card)
    return figure
