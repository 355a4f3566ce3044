"""The pictures of a run: what was learned, and how well, in five files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..layers import Conv2d, Layer
from ..training import Evaluation, History
from ..typing import Array
from .confusion import plot_confusion
from .feature_picture import plot_feature_maps
from .filters import plot_filters
from .history import plot_history
from .mistakes import most_confident_mistakes, plot_mistakes
from .saving import save_figure


def save_run_pictures(
    *,
    folder: str | os.PathLike[str],
    model: Layer,
    history: History,
    evaluation: Evaluation,
    x: Array,
    y: Array,
    classes: Sequence[str],
    prepare: Callable[[Array], Array],
) -> list[Path]:
    """Write history.png, filters.png, feature_maps.png, confusion.png and mistakes.png into a folder.

    A picture with nothing to show is left out: of a history without epochs, of a model without convolution, of targets
    that are no classes.

    Parameters
    ----------
    folder : path
        Must exist.
    model : Layer
        As trained.
    history : History
        What `fit` returned.
    evaluation : Evaluation
        What `evaluate` returned for these images.
    x : (N, C, H, W)
        The test images in [0, 1].
    y : (N,)
        Their classes.
    classes : sequence of str
        Names of the classes.
    prepare : callable
        ``prepare(x)`` makes of such images what the model takes.

    Returns
    -------
    list of Path
        The files, each written whole or not at all.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    pictures: dict[str, Callable[[], Figure]] = {}
    if len(history):
        pictures["history"] = lambda: plot_history(history)
    if any(isinstance(layer, Conv2d) for _, layer in model.layers()):
        pictures["filters"] = lambda: plot_filters(model)
    example = _well_read(evaluation)
    image = x[example : example + 1]
    pictures["feature_maps"] = lambda: plot_feature_maps(model, prepare(image), image=image[0], classes=classes)
    if evaluation.classifies:
        pictures["confusion"] = lambda: plot_confusion(evaluation, classes)
        pictures["mistakes"] = lambda: plot_mistakes(x, most_confident_mistakes(evaluation, classes))
    return [save_figure(plot(), Path(folder) / f"{name}.png") for name, plot in pictures.items()]


def _well_read(evaluation: Evaluation) -> int:
    """The place of the first example that the model gets right; 0 if there is none."""
    if not evaluation.classifies:
        return 0
    return int((evaluation.predictions == evaluation.targets).argmax())
