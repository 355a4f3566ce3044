"""The paths that optimizers take over a surface of two parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...errors import LimitError
from ...ops.utils import check_shape
from ...optim import Optimizer
from ...typing import Array
from .. import style
from .path_names import name_paths

COLOURS, MARKERS, MOST_PATHS = (style.BLUE, style.ORANGE, style.GREEN, style.PINK), "osD^", 4

Function = Callable[[Array], Array]
"""Of points (..., 2)."""


def optimizer_path(optimizer: Optimizer, gradient: Function, start: Array, steps: int) -> Array:
    """Where an optimizer is after 0, 1, 2 ... steps from a starting point.

    Parameters
    ----------
    optimizer : Optimizer
        As it stands; a copy of it takes the steps.
    gradient : callable
        ``gradient(point)`` gives the slope at a point, both (2,).
    start : (2,)
        Where it begins.
    steps : int
        How many steps, at least 0.

    Returns
    -------
    path : (steps + 1, 2)
        In float64.

    Raises
    ------
    ShapeError
        If start is not (2,).

    Examples
    --------
    On the bowl (a^2 + b^2) / 2 the gradient is the point itself, and each step halves it.

    >>> from cnn_from_scratch.optim import SGD
    >>> optimizer_path(SGD(0.5), lambda point: point, np.array([4.0, -8.0]), 2)
    array([[ 4., -8.],
           [ 2., -4.],
           [ 1., -2.]])
    """
    check_shape("optimizer_path", "start", start, (2,))
    walker, params = copy.deepcopy(optimizer), {"point": start.astype(np.float64)}
    path = [params["point"].copy()]
    for _ in range(steps):
        walker.step(params, {"point": gradient(path[-1].copy())})
        path.append(params["point"].copy())
    return np.stack(path)


def draw_optimizer_paths(
    value: Function,
    gradient: Function,
    optimizers: Mapping[str, Optimizer],
    start: Array,
    *,
    steps: int = 30,
) -> Figure:
    """Contour lines of a surface with the path of each optimizer over it, and the height by step below.

    Parameters
    ----------
    value : callable
        ``value(points)`` gives the height of the surface, positive, at points (..., 2).
    gradient : callable
        Its gradient, of the shape of one point.
    optimizers : mapping of name to Optimizer
        At most four; copies of them take the steps.
    start : (2,)
        Where they begin.
    steps : int
        How many steps each takes.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If start is not (2,).
    LimitError
        If there are no optimizers, or more than four.

    References
    ----------
    Polyak: Some methods of speeding up the convergence of iteration methods (1964).
    Kingma, Ba: Adam: A Method for Stochastic Optimization (2015). https://arxiv.org/abs/1412.6980

    Examples
    --------
    >>> from cnn_from_scratch.optim import SGD
    >>> bowl = lambda points: (points**2).sum(-1) / 2
    >>> draw_optimizer_paths(bowl, lambda p: p, {"SGD": SGD(0.5)}, np.array([4.0, -8.0])).get_suptitle()
    'One surface, one start: the path of SGD in 30 steps'
    """
    if not 1 <= len(optimizers) <= MOST_PATHS:
        raise LimitError(f"draw_optimizer_paths: takes 1 to {MOST_PATHS} optimizers, got {len(optimizers)}")
    paths = {name: optimizer_path(optimizer, gradient, start, steps) for name, optimizer in optimizers.items()}
    rates = _listed([f"{name} {optimizer.lr:g}" for name, optimizer in optimizers.items()])
    figure, (plane, heights) = style.stack(
        f"One surface, one start: the path of {_listed(list(paths))} in {steps} steps",
        f"Ring: the start. Each mark is a step, each grey line one height. Learning rates: {rates}.",
        [_height(paths), 1.7],
        width=WIDTH,
        left=0.7,
        gap=0.75,
        foot=0.5,
    )
    _draw_plane(plane, value, paths)
    _draw_heights(heights, value, paths)
    return figure


WIDTH, LOWEST, TALLEST = 6.6, 2.2, 4.4
"""Inches of the surface: across, and down."""


def _limits(paths: Mapping[str, Array]) -> tuple[Array, Array]:
    """The corners (2,) of what all paths need, with some room around."""
    points = np.concatenate(list(paths.values()))
    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.12 * (high - low).max() or 1.0
    return low - room, high + room


def _height(paths: Mapping[str, Array]) -> float:
    """Inches of the surface, if both parameters are to have one scale."""
    low, high = _limits(paths)
    across, down = high - low
    return float(np.clip(WIDTH * down / across, LOWEST, TALLEST))


def _draw_plane(ax: Axes, value: Function, paths: Mapping[str, Array]) -> None:
    """Contour lines, paths, and their names where there is room."""
    style.chart(ax, "", xlabel="first parameter")
    ax.set_ylabel("second parameter", fontsize=9, color=style.SOFT)
    low, high = _limits(paths)
    scale = max((high - low) / (WIDTH, _height(paths)))  # of the parameters in an inch
    middle, reach = (low + high) / 2, scale * np.array([WIDTH, _height(paths)]) / 2
    a, b = (np.linspace(m - r, m + r, 241) for m, r in zip(middle, reach, strict=True))
    surface = value(np.stack(np.meshgrid(a, b), axis=-1))
    levels = np.unique(np.quantile(surface, np.linspace(0.01, 0.95, 14)))
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(8, prune="upper"))  # the last one would reach over the margin
    ax.contour(a, b, surface, levels=levels, colors="#c3cad1", linewidths=0.8)
    for path, colour, marker in zip(paths.values(), COLOURS, MARKERS, strict=False):
        ax.plot(*path.T, color=colour, marker=marker, markersize=3.2, linewidth=1.5, clip_on=False)
    start = next(iter(paths.values()))[0]
    ax.plot(*start, marker="o", markersize=10, color=style.INK, fillstyle="none")
    name_paths(ax, paths, COLOURS, corners=(middle - reach, middle + reach), scale=scale)


def _draw_heights(ax: Axes, value: Function, paths: Mapping[str, Array]) -> None:
    """How high each optimizer is after each step."""
    style.chart(ax, "height", xlabel="step")
    ax.set_yscale("log")
    ax.minorticks_off()
    ax.set_xlim(0, max(1, *(len(path) - 1 for path in paths.values())))
    for path, colour, marker in zip(paths.values(), COLOURS, MARKERS, strict=False):
        ax.plot(value(path), color=colour, marker=marker, markersize=2.6, linewidth=1.4)
    words = {"labelcolor": style.INK, "fontsize": 9, "ncols": MOST_PATHS, "frameon": False, "borderpad": 0}
    ax.legend(list(paths), loc="lower right", bbox_to_anchor=(1, 0.98), **words)


def _listed(names: list[str]) -> str:
    """Names as a sentence has them.

    Examples
    --------
    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
