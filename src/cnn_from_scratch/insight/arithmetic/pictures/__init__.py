"""Explanations and blames as pictures: factor times factor is their product, cell by cell, or the largest terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from .cells import MOST_CELLS
from .positions import factors_of_positions, plot_positions
from .term_bars import plot_terms
from .window import factors_of_window, plot_window

if TYPE_CHECKING:
    from ...blame import Blame
    from ...explain import Explanation


def plot_explanation(explanation: Explanation) -> Figure:
    """The image and what is seen of it; with it the window and patch times filter, or the largest terms."""
    window = explanation.window
    factors = [] if window is None else factors_of_window(window, explanation.terms)
    if window is None or not factors or max(factors[0].arrays["x"].shape) > MOST_CELLS:
        return plot_terms(explanation, explanation.image, explanation.image_field)
    return plot_window(explanation, window, factors)


def plot_blame(blame: Blame) -> Figure:
    """Where the gradient comes from: dy times what it met, position by position, or the largest terms."""
    factors = factors_of_positions(blame.terms)
    return plot_positions(blame, factors) if factors else plot_terms(blame)


__all__ = ["plot_blame", "plot_explanation"]
