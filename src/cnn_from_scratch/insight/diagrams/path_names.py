"""Names beside lines, where there is room for them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ...typing import Array


def name_paths(
    ax: Axes, paths: Mapping[str, Array], colours: Sequence[str], *, corners: tuple[Array, Array], scale: float
) -> None:
    """Write each name beside its path (steps, 2), where it is farthest from all that is drawn already.

    `corners` are the lowest and the highest place of the axes, `scale` is how much of its numbers lies in an inch.
    """
    low, high = (corner / scale + way for corner, way in zip(corners, (0.05, -0.05), strict=True))
    drawn = np.concatenate([_close(path, scale / 25) for path in paths.values()]) / scale  # in inches
    for (name, path), colour in zip(paths.items(), colours, strict=False):
        half = np.array([0.042 * len(name) + 0.03, 0.1])
        places = [at / scale + way * (half + 0.07) for at in _close(path, scale / 5) for way in AROUND]
        inside = [place for place in places if ((place - half > low) & (place + half < high)).all()]
        best = max(inside or places, key=lambda place: _clearance(place, half, drawn))
        ax.text(
            best[0] * scale,
            best[1] * scale,
            name,
            color=colour,
            fontsize=9.5,
            fontweight="bold",
            ha="center",
            va="center",
        )
        box = best + half * np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 2), axis=-1).reshape(-1, 2)
        drawn = np.concatenate([drawn, box])


AROUND = np.array([[0, 1], [0, -1], [1, 0], [-1, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]], float)
"""The sides of a point where its name may stand."""


def _clearance(place: Array, half: Array, drawn: Array) -> float:
    """Inches from a box to the nearest thing drawn, as far as they matter: more than a fifth is no better."""
    away = np.maximum(np.abs(drawn - place) - half, 0)
    return float(min(np.hypot(*away.T).min(), 0.2))


def _close(path: Array, spacing: float) -> Array:
    """Points along a path, at most so far from one another."""
    legs = [
        np.linspace(a, b, 2 + int(np.hypot(*(b - a)) / spacing), endpoint=False) for a, b in itertools.pairwise(path)
    ]
    return np.concatenate([*legs, path[-1:]])
