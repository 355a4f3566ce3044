"""Make the pictures of this folder, or compare them with what the code makes now.

    python visuals/make_visuals.py             every picture, as SVG and PNG
    python visuals/make_visuals.py --check     which ones differ: SVG byte for byte, PNG and GIF by pixels

A picture is a function that returns a figure, under its name in PICTURES. Nothing in them is typed: the package
computes every number, count and shape.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib
import numpy as np
from comparing import differences, pinned
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
from cnn_from_scratch.insight.style import on_card
from cnn_from_scratch.models import mnist_cnn

HERE = Path(__file__).resolve().parent

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


def main(*arguments: str) -> int:
    """Write every picture, or compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE, help="where to write (default: this folder)")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=PICTURES, choices=PICTURES, help="these alone")
    parser.add_argument("--check", action="store_true", help="write nothing: compare with what is there")
    options = parser.parse_args(arguments)
    return check() if options.check else write(options.folder, options.only)


def write(folder: Path, names: Iterable[str]) -> int:
    """SVG and PNG of every picture, and how large they are."""
    for name in names:
        figure = on_card(PICTURES[name]())
        for suffix in (".svg", ".png"):
            path = save_figure(figure, folder / f"{name}{suffix}")
            print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


def check() -> int:
    """Say which pictures of this folder are not what the code makes now."""
    version = pinned("matplotlib", HERE.parent / "pyproject.toml")
    if matplotlib.__version__ != version:
        print(f"pictures are compared under Matplotlib {version} (pyproject.toml, dev), not {matplotlib.__version__}")
        return 2
    with TemporaryDirectory() as folder, redirect_stdout(None):
        write(Path(folder), PICTURES)
        found = differences(Path(folder), HERE)
    print("\n".join(found) or f"{len(PICTURES)} pictures are what the code makes")
    if found:
        print("python visuals/make_visuals.py makes them again")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
