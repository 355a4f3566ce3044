"""The pictures of single ideas, and the small inputs from which they are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from cnn_from_scratch import BatchNorm2d, Conv2d, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.insight import (
    draw_batch_norm,
    draw_cross_entropy,
    draw_filter_step,
    draw_optimizer_paths,
    draw_pooling,
    draw_receptive_fields,
    draw_winograd,
    draw_winograd_row,
    landscape,
)
from cnn_from_scratch.layers import Context
from cnn_from_scratch.ops import conv_forward
from cnn_from_scratch.ops.utils import initialize_filters
from cnn_from_scratch.optim import SGD, Adam

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)


def pooling() -> Figure:
    """In one of the windows the maximum stands twice."""
    x = np.array([[1, 2, 5, 0], [4, 5, 1, 2], [7, 2, 3, 0], [0, 3, 3, 2]], float)
    return draw_pooling(x, 2, dy=np.array([[4, 8], [-4, 12]], float))


def cross_entropy() -> Figure:
    """The same scores twice: once they are right, once they are wrong."""
    logits = np.array([[2.5, 1, 0.5, -1]]).repeat(2, axis=0)
    return draw_cross_entropy(logits, np.array([0, 2]), ["cat", "dog", "fox", "owl"])


def batch_norm() -> Figure:
    """A layer that has seen many places of a landscape is given sixteen of its lowest third: water and grass."""
    image, rng = landscape(), np.random.default_rng(0)
    norm, weight = BatchNorm2d(3).astype(np.float64), initialize_filters(3, 3, 5, 5, rng=7, dtype=np.float64)

    def places(highest: int) -> np.ndarray:
        corners = zip(rng.integers(highest, 108, 16), rng.integers(0, 164, 16), strict=True)
        cut = np.stack([image[:, row : row + 12, column : column + 12] for row, column in corners])
        return conv_forward(cut.astype(np.float64), weight)[0]

    for _ in range(60):
        norm.commit(norm.forward(places(0), Context(train=True))[1])
    return draw_batch_norm(norm, places(70))


def optimizers() -> Figure:
    """A valley thirty times as steep across as along."""
    steepness = np.array([1.0, 30.0])
    return draw_optimizer_paths(
        lambda points: (steepness * points**2).sum(axis=-1) / 2,
        lambda point: steepness * point,
        {"SGD": SGD(0.058), "momentum": SGD(0.04, momentum=0.7), "Adam": Adam(0.4, betas=(0.8, 0.99))},
        np.array([-6, 1.4]),
        steps=40,
    )


def receptive_fields() -> Figure:
    """Two blocks of two convolutions and a pool."""
    layers = {
        "conv1": Conv2d(1, 8, 3, padding=1),
        "relu1": ReLU(),
        "conv2": Conv2d(8, 8, 3, padding=1),
        "relu2": ReLU(),
        "pool1": MaxPool2d(2),
        "conv3": Conv2d(8, 16, 3, padding=1),
        "relu3": ReLU(),
        "conv4": Conv2d(16, 16, 3, padding=1),
        "relu4": ReLU(),
        "pool2": MaxPool2d(2),
    }
    return draw_receptive_fields(Sequential(layers), (1, 28, 28))


def winograd() -> Figure:
    """Twice the filter that answers to points and edges of any direction."""
    rows = "120310 451021 276130 038942 105761 210324".split()
    return draw_winograd(
        np.array([list(row) for row in rows], float), np.array([[0, 2, 0], [2, -8, 2], [0, 2, 0]], float)
    )


def filter_step() -> Figure:
    """A filter on its way to the one that made the target."""
    x = np.array([[0, 0, 2, 1], [0, 1, 1, 0], [2, 0, 2, 0], [0, 0, 2, 0]], float)
    weight = np.array([[-1, 0, 1], [0, 0, 0], [-1, 1, 0]], float)
    target = conv_forward(x[None, None], SOBEL[None, None])[0][0, 0]
    return draw_filter_step(x, weight, target, lr=0.1)


IDEAS: dict[str, Callable[[], Figure]] = {
    "pooling": pooling,
    "cross_entropy": cross_entropy,
    "batch_norm": batch_norm,
    "optimizers": optimizers,
    "receptive_fields": receptive_fields,
    "winograd_row": lambda: draw_winograd_row(np.array([1.0, 5, 2, 4]), np.array([2.0, -1, 3])),
    "winograd": winograd,
    "filter_step": filter_step,
}
