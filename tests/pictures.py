"""What the tests of pictures share: a small trained network, and a look at whether a figure is tidy."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cnn_from_scratch.insight.tidiness import untidy
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


def assert_tidy(figure: Figure):
    """Labels, cells, frames and arrows keep out of one another's way; what does not is named."""
    faults = untidy(figure)
    assert not faults, "; ".join(faults)
