"""An attribution as a picture: the image, and beside it the map over a faint trace of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from ..errors import ShapeError
from ..layers import Layer
from ..ops import softmax_forward
from ..ops.utils import check_rank
from ..typing import Array
from . import style
from .targets import Target, as_classifier_input, target_classes

INCHES = 2.5
"""Width of each of the two pictures."""

STRONGEST = 99.5
"""Percentile of the absolute values at which colours are full, so that a few outliers do not bleach the rest."""

TRACE = 0.25
"""How dark the trace of the image is at its darkest."""

Extent = tuple[float, float, float, float]


class Subject(NamedTuple):
    """What is explained: one image and one score."""

    image: Array  # (C, H, W) in [0, 1]
    target: int
    name: str  # of the class
    says: str  # what the model takes the image for
    score: str


def plot_attribution(
    image: Array,
    attribution: Array,
    *,
    title: str = "",
    caption: str = "",
    signed: bool = True,
    labels: tuple[str, str] = ("image", "attribution"),
) -> Figure:
    """An image, and beside it an attribution over a faint trace of the image.

    The trace is what differs from the image's median tone. Colours are full at the 99.5th percentile of the absolute
    values; white is 0.

    Parameters
    ----------
    image : (C, H, W)
        In [0, 1]; other numbers are stretched to it.
    attribution : (C, H, W) or (H, W)
        Of any method. Channels are added up if `signed`; otherwise the largest absolute one counts.
    title, caption : str
    signed : bool
        Whether there are two sides, blue above zero and orange below. Otherwise absolute values, the largest dark.
    labels : (str, str)
        Above the two pictures.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If the shapes are others, or do not fit each other.

    Examples
    --------
    >>> figure = plot_attribution(np.zeros((3, 8, 8)), np.ones((3, 8, 8)), title="Everything counts")
    >>> figure.get_suptitle(), [ax.get_title() for ax in figure.axes]
    ('Everything counts', ['image', 'attribution', ''])
    """
    check_rank("plot_attribution", "image", image, "C H W")
    if attribution.shape not in (image.shape, image.shape[1:]):
        raise ShapeError(
            f"plot_attribution: attribution must be {image.shape} or {image.shape[1:]}, got {attribution.shape}"
        )
    shown = as_map(attribution, signed=signed) if attribution.ndim == 3 else attribution
    height = INCHES * float(np.clip(image.shape[1] / image.shape[2], 0.3, 2.0))
    words = 0.75 + 0.2 * (len(title) > 50) + 0.16 * -(-len(caption) // 80)
    figure = style.new_figure(2 * INCHES + 0.9, height + words, title, caption)
    left, right = figure.subplots(1, 2)
    style.draw_image(left, stretched(image))
    drawn = draw_map(right, stretched(image), shown, signed=signed)
    style.scale_bar(figure, right, drawn)
    for ax, label in zip((left, right), labels, strict=True):
        ax.set_title(label, fontsize=9, color=style.SOFT, parse_math=False)
    return figure


def as_map(attribution: Array, *, signed: bool) -> Array:
    """(..., C, H, W) as (..., H, W): the sum over the channels, or the largest absolute value of them.

    Examples
    --------
    >>> rgb = np.array([1.0, -3.0, 1.0]).reshape(3, 1, 1)
    >>> as_map(rgb, signed=True), as_map(rgb, signed=False)
    (array([[-1.]]), array([[3.]]))
    """
    shown: Array = attribution.sum(-3) if signed else np.abs(attribution).max(-3)
    return shown


def draw_map(ax: Axes, image: Array, shown: Array, *, signed: bool, extent: Extent | None = None) -> AxesImage:
    """A map (H, W) in colours, and over it the trace of the image (C, H, W)."""
    largest = _full_at(shown)
    cmap, low = (style.SIGNED, -largest) if signed else (style.RIGHT, 0.0)
    drawn = ax.imshow(shown, cmap=cmap, vmin=low, vmax=largest, interpolation="nearest", extent=extent)
    ax.imshow(_trace(image), interpolation="nearest", extent=extent)
    left, right, bottom, top = drawn.get_extent()
    ax.add_patch(
        Rectangle(
            (left, bottom), right - left, top - bottom, fill=False, edgecolor=style.FAINT, linewidth=0.8, clip_on=False
        )
    )
    ax.set_axis_off()
    return drawn


def map_pixels(image: Array, shown: Array) -> Array:
    """What `draw_map` draws of a map (H, W) without a sign, as bytes (H, W, 3).

    Examples
    --------
    >>> map_pixels(np.zeros((1, 1, 2)), np.array([[0.0, 1.0]]))[0].tolist()  # white, and the darkest blue
    [[255, 255, 255], [0, 80, 125]]
    """
    colours, ink = style.RIGHT(shown / _full_at(shown))[..., :3], _trace(image)
    mixed = ink[..., :3] * ink[..., 3:] + colours * (1 - ink[..., 3:])
    pixels: Array = np.rint(255 * mixed).astype(np.uint8)
    return pixels


def _full_at(shown: Array) -> float:
    """Where colours are full."""
    return float(np.percentile(np.abs(shown), STRONGEST)) or float(np.abs(shown).max()) or 1.0


def _trace(image: Array) -> Array:
    """(H, W, 4): ink, the more opaque the more a pixel differs from the median of the image."""
    tone = image.mean(0)
    apart = np.abs(tone - np.median(tone))
    ink = np.empty((*tone.shape, 4))
    ink[..., :3] = to_rgb(style.INK)
    ink[..., 3] = TRACE * apart / (apart.max() or 1.0)
    return ink


def stretched(image: Array) -> Array:
    """Numbers in [0, 1] as they are, others stretched to it.

    Examples
    --------
    >>> stretched(np.array([0.0, 0.5])), stretched(np.array([-1.0, 3.0]))
    (array([0. , 0.5]), array([0., 1.]))
    """
    low, high = float(image.min()), float(image.max())
    return image if low >= 0 and high <= 1 else (image - low) / (high - low or 1.0)


# --- for the plot beside each method --------------------------------------------------------------------------------


def subject(
    function: str, model: Layer, x: Array, target: Target, image: Array | None, classes: Sequence[str] | None
) -> Subject:
    """The one image of a batch, the class that is asked about, and what the model says."""
    check_rank(function, "x", x, "N C H W")
    if len(x) != 1:
        raise ShapeError(f"{function}: x must be a batch of one image (1, C, H, W), got shape {x.shape}")
    x = as_classifier_input(function, model, x)
    number = int(target_classes(function, model, x, target)[0])
    scores = model.predict(x)[0]
    names = [str(k) if classes is None else classes[k] for k in (number, int(scores.argmax()))]
    sure = style.percent(float(softmax_forward(scores)[0].max()), 1)
    says = f"read as {style.short(names[1], 14)} · {sure}"
    shown = x[0] if image is None else image
    return Subject(
        shown, number, style.short(names[0], 24), says, f"score of {style.short(names[0], 14)}: {scores[number]:.2f}"
    )


def draw_one(of: Subject, shown: Array, title: str, caption: str, *, signed: bool = True) -> Figure:
    """`plot_attribution` of a subject."""
    return plot_attribution(of.image, shown, title=title, caption=caption, signed=signed, labels=(of.says, of.score))
