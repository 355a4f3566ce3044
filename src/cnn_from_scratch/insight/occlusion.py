"""Occlusion: cover a part of the image and see what the score loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..errors import ShapeError
from ..layers import Layer
from ..ops.utils import check_rank, pair
from ..typing import Array, Pair
from .attribution_picture import draw_one, subject
from .baseline import Baseline, as_baseline
from .input_gradient import BATCH
from .targets import Target, as_classifier_input, batches, target_classes


def occlusion(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    patch: Pair | None = None,
    stride: Pair | None = None,
    baseline: Baseline = None,
    batch_size: int = BATCH,
) -> Array:
    """drop[n, h, w] = mean of score(x[n]) - score(x[n] with the patch covered) over the patches that cover (h, w)

    No gradient is needed: the model is asked again, once for each place of the patch. Where covering changes nothing,
    black on black, nothing is lost, and the model is not asked.

    Parameters
    ----------
    model : Layer
        Gives (N, K): a score for each class.
    x : (N, C, H, W)
        What the model takes; floating.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model predicts for x uncovered.
    patch : int or (PH, PW), optional
        Size of what is covered, at most the image; a sixth of its sides if not given.
    stride : int or (SH, SW), optional
        From one place to the next, at most the patch, so that every pixel is covered; a quarter of the patch if not
        given. The last place ends at the edge, whatever the stride.
    baseline : float, array that broadcasts to x, or None
        What covers: None is the darkest colour of each image, the smallest number of each of its channels.
    batch_size : int
        How many covered images run at a time; at least 1.

    Returns
    -------
    drop : (N, H, W)
        Positive where the score lives on what was covered, negative where that speaks against the class.

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `input_gradient`; ShapeError also if patch or stride are out of range.

    References
    ----------
    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2013), section 4.2.
    https://arxiv.org/abs/1311.2901

    Examples
    --------
    score = 1*x0 + 2*x1 + 3*x2, of (1, 1, 1). Covering the first two costs 3, the last two 5; the middle is the mean.

    >>> from cnn_from_scratch.layers import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(3, 1, bias=False))
    >>> model.params["1.weight"] = np.array([[1.0, 2.0, 3.0]], np.float32)
    >>> occlusion(model, np.ones((1, 1, 1, 3), np.float32), patch=(1, 2), stride=1, baseline=0)[0]
    array([[3., 4., 5.]], dtype=float32)
    """
    check_rank("occlusion", "x", x, "N C H W")
    x = as_classifier_input("occlusion", model, x)
    cover = as_baseline("occlusion", x, baseline)
    places = list(_places(x.shape[2:], patch, stride))
    classes = target_classes("occlusion", model, x, target)
    scores = model.predict(x)[np.arange(len(x)), classes]
    drop, count = np.zeros((len(x), *x.shape[2:]), x.dtype), np.zeros(x.shape[2:], x.dtype)
    for rows, columns in places:
        count[rows, columns] += 1
    for n in range(len(x)):
        seen = [place for place in places if not np.array_equal(x[n][:, *place], cover[n][:, *place])]
        for some in batches("occlusion", len(seen), batch_size):
            losses = scores[n] - model.predict(_covered(x[n], cover[n], seen[some]))[:, classes[n]]
            for loss, (rows, columns) in zip(losses, seen[some], strict=True):
                drop[n, rows, columns] += loss
    return drop / count


def _covered(image: Array, cover: Array, places: Sequence[tuple[slice, slice]]) -> Array:
    """The image (C, H, W) once for each place, covered there."""
    copies = np.repeat(image[None], len(places), axis=0)
    for one, (rows, columns) in zip(copies, places, strict=True):
        one[:, rows, columns] = cover[:, rows, columns]
    return copies


def _places(size: tuple[int, ...], patch: Pair | None, stride: Pair | None) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the patch at each of its places."""
    lengths = pair("occlusion", "patch", tuple(-(-s // 6) for s in size) if patch is None else patch, minimum=1)  # type: ignore[arg-type]
    steps = pair("occlusion", "stride", tuple(max(p // 4, 1) for p in lengths) if stride is None else stride, minimum=1)  # type: ignore[arg-type]
    if any(p > s for p, s in zip(lengths, size, strict=True)):
        raise ShapeError(f"occlusion: patch {lengths} is larger than the image {tuple(size)}")
    if any(step > p for step, p in zip(steps, lengths, strict=True)):
        raise ShapeError(f"occlusion: stride {steps} must not exceed the patch {lengths}, or pixels are left out")
    for row in _starts(size[0], lengths[0], steps[0]):
        for column in _starts(size[1], lengths[1], steps[1]):
            yield slice(row, row + lengths[0]), slice(column, column + lengths[1])


def _starts(size: int, length: int, step: int) -> list[int]:
    """Where windows begin, the last one at the edge.

    Examples
    --------
    >>> _starts(8, 3, 2)
    [0, 2, 4, 5]
    """
    return [*range(0, size - length, step), size - length]


def plot_occlusion(
    model: Layer,
    x: Array,
    target: Target = None,
    *,
    patch: Pair | None = None,
    stride: Pair | None = None,
    baseline: Baseline = None,
    image: Array | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image and what the score loses where it is covered.

    Parameters
    ----------
    model, x, target, image, classes
        As in `plot_saliency`.
    patch, stride, baseline
        As in `occlusion`.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If x is not a batch of one image.
    """
    of = subject("plot_occlusion", model, x, target, image, classes)
    shown = occlusion(model, x, of.target, patch=patch, stride=stride, baseline=baseline)[0]
    return draw_one(of, shown, f"Occlusion: where the score of {of.name} comes from", CAPTION)


CAPTION = "Blue: covering this place lowers the score. Orange: covering it raises the score."
