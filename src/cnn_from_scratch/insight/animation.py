"""A figure that changes step by step, as SVG that moves by itself and as GIF.

In the SVG the motion is CSS inside of the file, so it also moves as an image of a page. Whoever has asked the system
for less motion sees the last step, where nothing is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ..formats import replacing
from ..typing import Array
from .saving import svg_of

GLIDE = 0.3
"""The share of a step in which what moves is on its way to the next place."""

HOLD = 3
"""How many steps long the last one is seen."""

GIF_DPI, COLOURS = 110, 128


class Animation:
    """A figure, and what of it is seen when.

    Parameters
    ----------
    figure : Figure
    steps : int
        How many states it has.
    seconds : float
        How long each is seen; the last one three times as long.

    Examples
    --------
    >>> from cnn_from_scratch.insight.diagrams.grids import board, write
    >>> figure, ax = board(9, 2, "Counting", "")
    >>> animation = Animation(figure, 3, seconds=0.5)
    >>> for step in range(3):
    ...     with animation.during(ax, step, step):
    ...         write(ax, 1, 1, str(step))
    >>> animation.show(1)
    >>> [text.get_text() for text in ax.texts if text.get_visible()]
    ['1']
    """

    def __init__(self, figure: Figure, steps: int, seconds: float = 1.5) -> None:
        self.figure, self.steps, self.seconds = figure, steps, seconds
        self.spans: list[tuple[Artist, int, int]] = []
        self.paths: list[tuple[Rectangle, Array]] = []

    @contextmanager
    def during(self, ax: Axes, first: int, last: int | None = None) -> Iterator[None]:
        """Whatever is drawn on `ax` in the with statement is seen from step `first` to `last`, or to the end."""
        before = set(map(id, ax.get_children()))
        yield
        until = self.steps - 1 if last is None else last
        self.spans += [(artist, first, until) for artist in ax.get_children() if id(artist) not in before]

    def slide(self, frame: Rectangle, corners: Sequence[tuple[float, float]]) -> None:
        """Move a rectangle: its corner in each step, in the units of its axes."""
        self.paths.append((frame, np.array(corners, float)))

    def show(self, step: float) -> None:
        """Put the figure into the state of a step; between two of them, what slides is on its way."""
        now, part = int(step), step % 1
        for artist, first, last in self.spans:
            artist.set_visible(first <= now <= last)
        for frame, corners in self.paths:
            after = corners[min(now + 1, self.steps - 1)]
            frame.set_xy(tuple((1 - part) * corners[now] + part * after))


def save_animation(animation: Animation, path: str | os.PathLike[str]) -> Path:
    """Write an animation as GIF if `path` ends in .gif, otherwise as SVG, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; an older one is untouched.
    """
    with replacing(path) as part:
        if Path(path).suffix == ".gif":
            _write_gif(animation, part)
        else:
            part.write_text(moving_svg(animation), encoding="utf-8", newline="\n")
    return Path(path)


# --- SVG ------------------------------------------------------------------------------------------------------------


def moving_svg(animation: Animation) -> str:
    """The figure with the rules by which a browser moves it; without them, and with less motion, its last step."""
    animation.show(animation.steps - 1)
    for i, (artist, first, last) in enumerate(animation.spans):
        artist.set_visible(True)
        artist.set_gid(f"seen-{first}-{last}.{i}")
    for i, (frame, _) in enumerate(animation.paths):
        frame.set_gid(f"slide-{i}.")
    drawn = svg_of(animation.figure)
    animation.show(animation.steps - 1)
    drawing = re.sub(r'id="(seen-\d+-\d+|slide-\d+)\.\d*"', r'class="\1"', drawn)
    return drawing.replace("</style>", f"{_rules(animation)}</style>", 1)


def _rules(animation: Animation) -> str:
    """Still first; then what moves, for those who have not asked for less of it."""
    spans = sorted({(first, last) for _, first, last in animation.spans})
    still = [f".seen-{first}-{last}{{opacity:0}}" for first, last in spans if last < animation.steps - 1]
    frames = {f"seen-{first}-{last}": _seen(animation, first, last) for first, last in spans}
    frames |= {f"slide-{i}": _slides(animation, *path) for i, path in enumerate(animation.paths)}
    length = f"{animation.seconds * (animation.steps - 1 + HOLD):g}s"
    moving = []
    for name, keyframes in frames.items():
        pace = "step-end" if name.startswith("seen") else "linear"
        moving.append(f".{name}{{animation:{name} {length} {pace} infinite}}@keyframes {name}{{{keyframes}}}")
    return "\n".join(["", *still, "@media (prefers-reduced-motion: no-preference){", *moving, "}", ""])


def _time(animation: Animation, step: float) -> str:
    """When a step begins, as CSS says it: a share of the whole."""
    return f"{100 * step / (animation.steps - 1 + HOLD):.3f}".rstrip("0").rstrip(".") + "%"


def _seen(animation: Animation, first: int, last: int) -> str:
    """Keyframes of what is seen from one step to another."""
    states = {0: 0, first: 1} | ({last + 1: 0} if last < animation.steps - 1 else {})
    return "".join(f"{_time(animation, step)}{{opacity:{seen}}}" for step, seen in states.items())


def _slides(animation: Animation, frame: Rectangle, corners: Array) -> str:
    """Keyframes of what moves, in points from where it is at the end."""
    places = frame.axes.transData.transform(corners) * 72 / animation.figure.dpi  # type: ignore[union-attr]
    away = places - places[-1]
    said = []
    for step, (x, y) in enumerate(away):
        stay = (step, min(step + 1 - GLIDE, animation.steps - 1))
        times = ",".join(dict.fromkeys(_time(animation, time) for time in stay))
        said.append(f"{times}{{transform:translate({x + 0:.2f}px,{0 - y:.2f}px)}}")
    return "".join(said)


# --- GIF ------------------------------------------------------------------------------------------------------------


def _write_gif(animation: Animation, path: Path) -> None:
    """Each step, and what slides in three frames on its way to the next."""
    between = [1 - GLIDE + GLIDE * part for part in (0.25, 0.5, 0.75)] if animation.paths else []
    times = [step + part for step in range(animation.steps - 1) for part in (0.0, *between)]
    glides = [(time % 1 - 1 + GLIDE) / GLIDE if time % 1 else 0 for time in times]
    still = round(1000 * animation.seconds * (1 - GLIDE if between else 1))
    way = round(1000 * animation.seconds * GLIDE / 3)
    frames = [_frame(animation, int(time) + part) for time, part in zip(times, glides, strict=True)]
    frames.append(_frame(animation, animation.steps - 1))
    durations = [way if part else still for part in glides] + [round(1000 * animation.seconds * HOLD)]
    pictures = _in_few_colours(frames)
    options: dict[str, Any] = {"duration": durations, "loop": 0, "optimize": True, "disposal": 1}
    pictures[0].save(path, format="GIF", save_all=True, append_images=pictures[1:], **options)


def _frame(animation: Animation, step: float) -> Image.Image:
    """The figure at a step, on white."""
    animation.show(step)
    figure, dpi = animation.figure, animation.figure.dpi
    figure.set_dpi(GIF_DPI)
    try:
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    finally:
        figure.set_dpi(dpi)
    return Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")


def _in_few_colours(frames: list[Image.Image]) -> list[Image.Image]:
    """With a palette of the colours that fill most of the frames, exactly; others become the nearest of them."""
    pixels = np.stack([np.asarray(frame, np.int32) for frame in frames])  # (frames, H, W, 3)
    numbers = pixels @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    colours = found[:, None] >> np.array([16, 8, 0]) & 255  # (colours, 3)
    palette = colours[np.argsort(-counts, kind="stable")[:COLOURS]]
    nearest = ((colours[:, None] - palette) ** 2).sum(-1).argmin(1).astype(np.uint8)
    pictures = [Image.fromarray(indices) for indices in nearest[place.reshape(numbers.shape)]]
    for picture in pictures:
        picture.putpalette(palette.astype(np.uint8).tobytes())
    return pictures
