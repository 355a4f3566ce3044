"""What the tests of pictures share: a small trained network, and a look at whether a figure is tidy."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.training import Evaluation


def network(channels=1, classes=10, seed=0):
    """For images of 8x8."""
    return Sequential(
        Conv2d(channels, 6, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(6, 4, 3), ReLU(), Flatten(), Linear(16, classes)
    ).initialize(seed)


def images(count, channels=1, seed=0):
    return np.random.default_rng(seed).random((count, channels, 8, 8), dtype=np.float32)


def evaluation(count, classes, wrong, seed=0):
    """So many examples, of which the first `wrong` are taken for the next class, ever less surely."""
    targets = np.arange(count) % classes
    predicted = np.where(np.arange(count) < wrong, (targets + 1) % classes, targets)
    logits = np.random.default_rng(seed).random((count, classes)).astype(np.float32)
    logits[np.arange(count), predicted] += 5 - 3 * np.arange(count, dtype=np.float32) / count
    return Evaluation.of(logits, targets, loss=0.5)


def texts_of(figure: Figure):
    """Every text that is drawn."""
    found = list(figure.texts)
    for ax in figure.axes:
        found += ax.texts
        if not ax.axison:
            found += [ax.title]
            continue
        found += [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            found += [label for place, label in ticks if low <= place <= high]
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def assert_tidy(figure: Figure):
    """Every text lies within the figure, and no two lie upon each other."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts_of(figure)]
    for text, box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, f"{text!r} is cut off"
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        across = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
        down = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        assert across <= 1 or down <= 1, f"{a!r} lies upon {b!r}"
