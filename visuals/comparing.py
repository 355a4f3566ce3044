"""Whether two pictures are the same: SVG byte for byte, PNG and GIF pixel by pixel with a little tolerance."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

LEVELS, PIXELS = 32, 10
"""A pixel differs if a channel does by more than so many of 255; so many may, for another machine's rounding."""

SUFFIXES = (".svg", ".png", ".gif")


def pinned(package: str, pyproject: Path) -> str:
    """The version of a package that the dev extra asks for."""
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    (version,) = (line.split("==")[1] for line in extras["dev"] if line.startswith(f"{package}=="))
    return version


def differences(made: Path, kept: Path) -> list[str]:
    """What the pictures of two folders differ in, a sentence each; none if they are the same."""
    names = {path.name for folder in (made, kept) for path in folder.iterdir() if path.suffix in SUFFIXES}
    found = [(name, _difference(made / name, kept / name)) for name in sorted(names)]
    return [f"{name}: {what}" for name, what in found if what]


def _difference(made: Path, kept: Path) -> str:
    """What two files differ in; nothing if they are the same."""
    if not made.exists():
        return "is kept, but no longer made"
    if not kept.exists():
        return "is made, but not kept"
    if made.suffix == ".svg":
        return "" if made.read_bytes() == kept.read_bytes() else "other bytes"
    (times, frames), (kept_times, kept_frames) = _frames(made), _frames(kept)
    if times != kept_times:
        return f"{len(times)} frames of {times} ms instead of {len(kept_times)} of {kept_times} ms"
    return next((what for pair in zip(frames, kept_frames, strict=True) if (what := _pixels(*pair))), "")


def _frames(path: Path) -> tuple[list[int], Sequence[np.ndarray]]:
    """How long each frame is seen, in milliseconds, and its pixels, (H, W, 4)."""
    with Image.open(path) as picture:
        frames = [
            (frame.info.get("duration", 0), np.array(frame.convert("RGBA")))
            for frame in ImageSequence.Iterator(picture)
        ]
    return [time for time, _ in frames], [pixels for _, pixels in frames]


def _pixels(made: np.ndarray, kept: np.ndarray) -> str:
    """What two frames differ in."""
    if made.shape != kept.shape:
        return f"{made.shape[1]}×{made.shape[0]} pixels instead of {kept.shape[1]}×{kept.shape[0]}"
    far = np.abs(made.astype(np.int16) - kept).max(axis=-1) > LEVELS  # (H, W)
    return f"{int(far.sum())} pixels differ" if far.sum() > PIXELS else ""
