"""Make the pictures of this folder, or compare them with what the code makes now.

    python visuals/make_visuals.py             every picture, as SVG and PNG; what moves, as GIF too
    python visuals/make_visuals.py --check     which ones differ: SVG byte for byte, PNG and GIF by pixels

A picture is a function that returns a figure, under its name in PICTURES; one that moves returns an animation, in
ANIMATIONS. Nothing in them is typed: the package computes every number, count and shape.
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
from ideas import IDEAS
from matplotlib.figure import Figure

from cnn_from_scratch import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, load_digits
from cnn_from_scratch.insight import (
    Animation,
    animate_sliding_window,
    draw_col2im,
    draw_convolution_options,
    draw_gradient_flow,
    draw_im2col,
    draw_memory_order,
    draw_overlaps,
    draw_product,
    draw_shapes,
    draw_sliding_window,
    save_animation,
    save_figure,
    untidy,
)
from cnn_from_scratch.insight.card import on_card
from cnn_from_scratch.models import mnist_cnn

HERE = Path(__file__).resolve().parent

IMAGE = np.array([[1, 2, 0, 3], [4, 5, 1, 0], [2, 7, 6, 1], [0, 3, 8, 9]], float)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)  # answers to what gets lighter from left to right


def col2im_of_a_gradient() -> Figure:
    """Backward through a convolution: the gradient of its columns is weight.T @ dy."""
    weight, dy = np.array([[1, 2, 1, 0, 3, -1, 2, 1, 1]], float), np.array([[1, 2, -1, 3]], float)
    return draw_col2im(weight.T @ dy, (4, 4), 3)


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
    "convolution_options": draw_convolution_options,
    "col2im": col2im_of_a_gradient,
    "overlaps": lambda: draw_overlaps((7, 7), 3),
    "memory_order": lambda: draw_memory_order(np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)),
    "gradient_flow": gradient_flow,
    "shapes": lambda: draw_shapes(mnist_cnn(), (1, 28, 28)),
    **IDEAS,
}

LARGER_IMAGE = np.array([[1, 2, 0, 3, 1], [4, 5, 1, 0, 2], [2, 7, 6, 1, 0], [0, 3, 8, 9, 4], [1, 0, 2, 5, 3]], float)

ANIMATIONS: dict[str, Callable[[], Animation]] = {
    "sliding_filter": lambda: animate_sliding_window(LARGER_IMAGE, SOBEL),
}


def main(*arguments: str) -> int:
    """Write every picture, or compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE, help="where to write (default: this folder)")
    names = [*PICTURES, *ANIMATIONS]
    parser.add_argument("--only", nargs="+", metavar="NAME", default=names, choices=names, help="these alone")
    parser.add_argument("--check", action="store_true", help="write nothing: compare with what is there")
    options = parser.parse_args(arguments)
    return check() if options.check else write(options.folder, options.only)


def write(folder: Path, names: Iterable[str]) -> int:
    """The files of every picture, how large they are, and what is not tidy in them."""
    faults = 0
    for name in names:
        paths, found = write_picture(folder, name) if name in PICTURES else write_animation(folder, name)
        faults += len(found)
        print(*(f"{path}  {path.stat().st_size / 1000:.0f} kB" for path in paths), sep="\n")
        print(*(f"{name}: {fault}\n" for fault in dict.fromkeys(found)), sep="", end="", file=sys.stderr)
    return 1 if faults else 0


def write_picture(folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """A picture as SVG and PNG; the files, and what is not tidy."""
    figure = on_card(PICTURES[name]())
    return [save_figure(figure, folder / f"{name}{suffix}") for suffix in (".svg", ".png")], untidy(figure)


def write_animation(folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """What moves, as SVG and GIF, and its last step as PNG; the files, and what is not tidy in any step."""
    animation = ANIMATIONS[name]()
    on_card(animation.figure)
    found = []
    for step in range(animation.steps):
        animation.show(step)
        found += untidy(animation.figure)
    paths = [save_animation(animation, folder / f"{name}{suffix}") for suffix in (".svg", ".gif")]
    animation.show(animation.steps - 1)
    return [*paths, save_figure(animation.figure, folder / f"{name}.png")], found


def check() -> int:
    """Say which pictures of this folder are not what the code makes now, or are not tidy."""
    version = pinned("matplotlib", HERE.parent / "pyproject.toml")
    if matplotlib.__version__ != version:
        print(f"pictures are compared under Matplotlib {version} (pyproject.toml, dev), not {matplotlib.__version__}")
        return 2
    with TemporaryDirectory() as folder:
        with redirect_stdout(None):
            faults = write(Path(folder), [*PICTURES, *ANIMATIONS])
        found = differences(Path(folder), HERE)
    if found:
        print(*found, "python visuals/make_visuals.py makes them again", sep="\n")
    elif not faults:
        print(f"{len(PICTURES) + len(ANIMATIONS)} pictures are what the code makes")
    return 1 if found or faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
