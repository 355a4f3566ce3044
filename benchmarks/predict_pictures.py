"""How well are pictures read that do not look like MNIST: large, coloured, thick, thin, dark, noisy, saved as JPEG.

    python benchmarks/predict_pictures.py RUN --data-dir DIR

takes digits that the network has never seen (MNIST's test part), makes a picture file of each in every one of the ways
below, reads the files as `cnn predict` does, and prints the accuracy for each way, as a table and as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from cnn_from_scratch.cli.saved_run import Run, load_run
from cnn_from_scratch.data import load_mnist

Array = np.ndarray
FINE = 4  # strokes are made thicker and thinner at so many times the size


class Style(NamedTuple):
    """How one digit is drawn."""

    size: tuple[int, int]  # of the digit, (H, W)
    canvas: tuple[int, int]  # (H, W)
    ink: tuple[int, int, int] = (0, 0, 0)
    paper: tuple[int, int, int] = (255, 255, 255)


# --- strokes --------------------------------------------------------------------------------------------------------


def enlarged(digit: Array, size: tuple[int, int]) -> Array:
    """The ink in [0, 1], smoothly scaled to size (H, W)."""
    image = Image.fromarray(digit.astype(np.float32))
    return np.clip(np.asarray(image.resize(size[::-1], Resampling.BICUBIC)), 0, 1)


def fine_ink(digit: Array) -> Array:
    """The digit FINE times as large, black and white."""
    return enlarged(digit, tuple(FINE * n for n in digit.shape)) > 0.5


def dilated(ink: Array, radius: float) -> Array:
    """Every point that is at most `radius` from the ink."""
    reach = int(radius)
    padded = np.pad(ink, reach)
    H, W = ink.shape
    out = np.zeros_like(ink)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= radius * radius:
                out |= padded[reach + dy : reach + dy + H, reach + dx : reach + dx + W]
    return out


def skeleton(ink: Array) -> Array:
    """The strokes thinned to one pixel. Zhang, Suen: A fast parallel algorithm for thinning digital patterns (1984)."""
    ink = np.pad(ink, 1)
    while True:
        before = ink.copy()
        for first in (True, False):
            around = [np.roll(ink, shift, (0, 1)) for shift in _NEIGHBOURS]
            count = sum(n.astype(int) for n in around)
            rises = sum((~a & b).astype(int) for a, b in zip(around, around[1:] + around[:1], strict=True))
            north, east, south, west = around[::2]
            corner = ~(north & east & south) & ~(east & south & west)
            if not first:
                corner = ~(north & east & west) & ~(north & south & west)
            ink &= ~((count >= 2) & (count <= 6) & (rises == 1) & corner)
        if (ink == before).all():
            return ink[1:-1, 1:-1]


_NEIGHBOURS = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
"""Shifts that bring the neighbours north, north-east, east ... to a pixel."""


def thick(digit: Array) -> Array:
    """About one pixel of MNIST more on every side."""
    return dilated(np.pad(fine_ink(digit), FINE), FINE + 0.5).astype(np.float32)


def written_with(pen: float, digit: Array) -> Array:
    """The digit's lines drawn anew by a pen of so many pixels of MNIST."""
    return dilated(skeleton(fine_ink(digit)), pen * FINE / 2).astype(np.float32)


# --- pictures -------------------------------------------------------------------------------------------------------


def drawn(ink: Array, style: Style, rng: np.random.Generator) -> Array:
    """The ink, scaled, somewhere on the paper: (H, W, 3) in [0, 255]."""
    (H, W), (h, w) = style.canvas, style.size
    top, left = rng.integers(0, H - h, endpoint=True), rng.integers(0, W - w, endpoint=True)
    strength = np.zeros((H, W, 1))
    strength[top : top + h, left : left + w, 0] = enlarged(ink, (h, w))
    return strength * np.array(style.ink) + (1 - strength) * np.array(style.paper)


def scaled_style(rng: np.random.Generator, *, low: float = 1.5, high: float = 4.0, room: float = 1.3) -> Style:
    """The 28 x 28 pixels of MNIST times a factor, with some room around."""
    side = round(28 * rng.uniform(low, high))
    return Style((side, side), (round(side * rng.uniform(1, room)), round(side * rng.uniform(1, room))))


def random_colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Two colours that can be told apart: at least a third of the way from black to white between them."""
    while True:
        ink, paper = rng.integers(0, 256, (2, 3))
        if np.linalg.norm(ink - paper) > 255 * 3**0.5 / 3:
            return tuple(ink.tolist()), tuple(paper.tolist())


def as_it_is(digit: Array, rng: np.random.Generator) -> Array:
    return np.repeat(digit[:, :, None] * 255, 3, axis=2)


def inverted(digit: Array, rng: np.random.Generator) -> Array:
    return 255 - as_it_is(digit, rng)


def shifted(digit: Array, rng: np.random.Generator) -> Array:
    return drawn(digit, Style((28, 28), (48, 48), (255, 255, 255), (0, 0, 0)), rng)


def scaled(digit: Array, rng: np.random.Generator) -> Array:
    return drawn(digit, scaled_style(rng, low=0.5, high=3.0), rng)


def stretched(digit: Array, rng: np.random.Generator) -> Array:
    style = scaled_style(rng)
    h, w = round(style.size[0] * rng.uniform(0.8, 1)), round(style.size[1] * rng.uniform(0.8, 1))
    return drawn(digit, style._replace(size=(h, w)), rng)


def cut_tight(digit: Array, rng: np.random.Generator) -> Array:
    """No margin: the strokes touch all four borders."""
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    return inverted(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], rng)


def large_canvas(digit: Array, rng: np.random.Generator) -> Array:
    return drawn(digit, scaled_style(rng)._replace(canvas=(300, 400)), rng)


def coloured(digit: Array, rng: np.random.Generator) -> Array:
    ink, paper = random_colours(rng)
    return drawn(digit, scaled_style(rng)._replace(ink=ink, paper=paper), rng)


def thick_strokes(digit: Array, rng: np.random.Generator) -> Array:
    return drawn(thick(digit), scaled_style(rng), rng)


def thin_strokes(digit: Array, rng: np.random.Generator) -> Array:
    return drawn(written_with(1.25, digit), scaled_style(rng), rng)


def hair_lines(digit: Array, rng: np.random.Generator) -> Array:
    """A large drawing with a pen of half a pixel of MNIST."""
    return drawn(written_with(0.5, digit), scaled_style(rng, low=4, high=8), rng)


def shaded(digit: Array, rng: np.random.Generator) -> Array:
    """As under a lamp: brightness falls by up to a half across the picture."""
    picture = drawn(digit, scaled_style(rng)._replace(ink=(40, 40, 60), paper=(230, 225, 215)), rng)
    H, W, _ = picture.shape
    slope = rng.uniform(-0.5, 0.5, 2)
    light = 1 + slope[0] * np.linspace(-0.5, 0.5, H)[:, None] + slope[1] * np.linspace(-0.5, 0.5, W)
    return picture * (light / light.max())[:, :, None]


def noisy(digit: Array, rng: np.random.Generator) -> Array:
    """As from a camera in the dark: grain, and a pencil on grey paper."""
    picture = drawn(digit, scaled_style(rng)._replace(ink=(70, 70, 70), paper=(190, 190, 190)), rng)
    return picture + rng.normal(0, 12, picture.shape)


def photographed(digit: Array, rng: np.random.Generator) -> Array:
    """Large, shaded, coloured, noisy and off the middle, all at once."""
    style = Style((200, 180), (420, 560), (60, 50, 120), (215, 205, 190))
    picture = drawn(digit, style, rng)
    light = np.linspace(*rng.uniform(0.65, 1, 2), picture.shape[1])
    return picture * light[None, :, None] + rng.normal(0, 5, picture.shape)


def transparent(digit: Array, rng: np.random.Generator) -> Array:
    """Black or white ink on nothing: (H, W, 4)."""
    strength = drawn(digit, scaled_style(rng)._replace(ink=(255, 255, 255), paper=(0, 0, 0)), rng)[:, :, :1]
    return np.concatenate([np.full((*strength.shape[:2], 3), rng.choice([0, 255])), strength], axis=2)


WAYS: tuple[Callable[[Array, np.random.Generator], Array], ...] = (
    as_it_is, inverted, shifted, scaled, stretched, cut_tight, large_canvas, coloured, thick_strokes, thin_strokes,
    hair_lines, shaded, noisy, photographed, transparent,
)  # fmt: skip


def save_picture(picture: Array, path: Path, rng: np.random.Generator) -> Path:
    """As PNG, or as JPEG of middling quality, by chance; what is transparent always as PNG."""
    image = Image.fromarray(np.clip(picture, 0, 255).round().astype(np.uint8))
    if image.mode == "RGBA" or rng.random() < 0.5:
        image.save(path.with_suffix(".png"))
        return path.with_suffix(".png")
    image.save(path.with_suffix(".jpg"), quality=int(rng.integers(60, 95)))
    return path.with_suffix(".jpg")


# --- reading them ---------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """How one way went."""

    way: str
    pictures: int
    accuracy: float
    mistakes: list[str]  # file names


def measure(run: Run, digits: Array, labels: Array, folder: Path, seed: int) -> list[Score]:
    """Make, save, read and judge a picture of every digit in every way."""
    scores = []
    for number, way in enumerate(WAYS):
        mistakes = []
        for i, (digit, label) in enumerate(zip(digits, labels, strict=True)):
            rng = np.random.default_rng([seed, number, i])
            path = save_picture(way(digit, rng), folder / f"{label}-{way.__name__}-{i}", rng)
            if read(run, path) != label:
                mistakes.append(path.name)
        scores.append(Score(way.__name__, len(digits), 1 - len(mistakes) / len(digits), mistakes))
        print(f"{way.__name__:>14}  {scores[-1].accuracy:.4f}", flush=True)
    return scores


def read(run: Run, path: Path) -> int:
    """What `cnn predict` names first; -1 where it finds nothing to read."""
    try:
        return int(run.predict(run.prepare(path)[None])[0].argmax())
    except ValueError:
        return -1


def choose(data_dir: Path, part: str, count: int, seed: int) -> tuple[Array, Array]:
    """So many digits, by chance, with their labels."""
    examples = getattr(load_mnist(data_dir), part)
    chosen = np.random.default_rng(seed).permutation(len(examples.x))[:count]
    return examples.x[chosen, 0].astype(np.float32) / 255, examples.y[chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies")
    parser.add_argument("--digits", type=int, default=1000, help="how many digits, each drawn in every way")
    parser.add_argument("--part", choices=["test", "train"], default="test", help="train: to choose constants by")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave the pictures in this folder")
    parser.add_argument("--json", type=Path, help="write the result here, too")
    arguments = parser.parse_args()

    run, start = load_run(arguments.run), time.perf_counter()
    digits, labels = choose(arguments.data_dir, arguments.part, arguments.digits, arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        scores = measure(run, digits, labels, folder, arguments.seed)
    overall = float(np.mean([score.accuracy for score in scores]))
    print(f"{'overall':>14}  {overall:.4f}")
    result = {
        "command": f"predict_pictures.py RUN --digits {arguments.digits} --part {arguments.part}",
        "part": arguments.part,
        "digits": len(digits),
        "pictures": sum(score.pictures for score in scores),
        "overall": overall,
        "ways": {score.way: round(score.accuracy, 4) for score in scores},
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(result))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
