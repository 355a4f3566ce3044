"""Make the pictures of this folder: python visuals/make_visuals.py [FOLDER]

Nothing in them is typed: the package computes every number, count and shape from the image and the filters below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cnn_from_scratch import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, load_digits
from cnn_from_scratch.insight import (
    draw_gradient_flow,
    draw_im2col,
    draw_overlaps,
    draw_product,
    draw_shapes,
    draw_sliding_window,
    save_figure,
)
from cnn_from_scratch.models import mnist_cnn

IMAGE = np.array([[1, 2, 0, 3], [4, 5, 1, 0], [2, 7, 6, 1], [0, 3, 8, 9]], float)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)  # answers to what gets lighter from left to right


def gradient_flow() -> Figure:
    """A small network on two digits."""
    data = load_digits().scaled()
    layers = {
        "conv": Conv2d(1, 8, 3, padding=1),
        "relu": ReLU(),
        "pool": MaxPool2d(2),
        "flatten": Flatten(),
        "linear": Linear(8 * 4 * 4, 10),
    }
    return draw_gradient_flow(Sequential(layers).initialize(0), data.train.x[:2], data.train.y[:2])


PICTURES: dict[str, Callable[[], Figure]] = {
    "sliding_window": lambda: draw_sliding_window(IMAGE, SOBEL, stride=2, padding=1),
    "im2col": lambda: draw_im2col(IMAGE, 3),
    "matrix_product": lambda: draw_product(IMAGE, np.stack([SOBEL, SOBEL.T])),
    "overlaps": lambda: draw_overlaps((7, 7), 3),
    "gradient_flow": gradient_flow,
    "shapes": lambda: draw_shapes(mnist_cnn(), (1, 28, 28)),
}


def main(folder: Path) -> None:
    """Write every picture, and say how large it is."""
    for name, draw in PICTURES.items():
        path = save_figure(draw(), folder / f"{name}.png")
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
