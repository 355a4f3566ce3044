"""What excites a channel most among real images: the patches of a data set on which it is largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..data import Normalization
from ..errors import ShapeError
from ..layers import Layer
from ..layers.predict import as_model_input
from ..ops.utils import check_rank
from ..optim.checks import check_count
from ..typing import Array
from .picture_grid import Panel, draw_panels, shown
from .receptive_windows import ReceptiveWindows, receptive_windows
from .until import model_until


class TopPatches(NamedTuple):
    """For each of F channels the k places where it is largest, the largest first."""

    examples: Array  # (F, k): which image
    positions: Array  # (F, k, 2): (oh, ow) in the layer's output
    activations: Array  # (F, k)
    patches: Array  # (F, k, C, height, width): what this position sees of the image, NaN beyond its edge
    channels: tuple[int, ...]
    key: str  # of the layer; "" for the model's own output


def top_patches(
    model: Layer,
    images: Array,
    channels: int | Sequence[int],
    key: str | None = None,
    *,
    k: int = 9,
    distinct: bool = True,
    normalization: Normalization | None = None,
    batch_size: int = 256,
) -> TopPatches:
    """The k largest y[n, channel, oh, ow] over all images n and positions, and the patches that gave rise to them

    A patch is the whole receptive field of its position, through all earlier layers (`receptive_windows`): the number
    depends on these pixels and on no others. Of equals the first counts, by image and then by position.

    Parameters
    ----------
    model : Layer
    images : (N, C, H, W)
        Floating; at least one.
    channels : int or sequence of int
        Of the layer's output. Of a layer that gives (N, features), a feature, which sees the whole image.
    key : str, optional
        Which layer, as ``"conv2"``; the model's own output if not given.
    k : int
        How many patches of each channel; fewer where there are not so many.
    distinct : bool
        Take only the best position of each image: its neighbours would show the same again.
    normalization : Normalization, optional
        What is done to images before the model sees them. Without it the model takes the images as they are.
    batch_size : int
        How many images run at a time.

    Returns
    -------
    TopPatches

    Raises
    ------
    TypeError
        If images are not floating.
    ShapeError
        If images do not fit into the model.
    ValueError
        If there is no image, layer or channel, or k is below 1.

    References
    ----------
    Girshick, Donahue, Darrell, Malik: Rich feature hierarchies (2013), section 3.1. https://arxiv.org/abs/1311.2524
    Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2013), figure 2.
    https://arxiv.org/abs/1311.2901

    Examples
    --------
    A filter that adds up two neighbours, and the brightest two in a row of pixels; the second pair hangs over the edge:

    >>> from cnn_from_scratch.layers import Conv2d
    >>> model = Conv2d(1, 1, (1, 2), padding=((0, 0), (0, 1)), bias=False)
    >>> model.params["weight"] = np.ones((1, 1, 1, 2), np.float32)
    >>> found = top_patches(model, np.array([[[[1.0, 0.0, 4.0]]]]), 0, k=2, distinct=False)
    >>> found.positions[0].tolist(), found.activations[0], found.patches[0, :, 0, 0]
    ([[0, 1], [0, 2]], array([4., 4.], dtype=float32), array([[ 0.,  4.], [ 4., nan]]))
    """
    function = "top_patches"
    check_rank(function, "images", images, "N C H W")
    check_count(function, "k", k)
    check_count(function, "batch_size", batch_size)
    part, wanted = model_until(model, key), _as_tuple(channels)
    as_model_input(function, part, images[:1])
    _check(function, len(images), part.output_shape(images.shape[1:])[0], wanted)
    best = _Best(len(wanted), k)
    for first in range(0, len(images), batch_size):
        x = images[first : first + batch_size]
        y = part.predict(x if normalization is None else normalization.apply(x), batch_size=batch_size)
        best.update(first, y[:, list(wanted)].reshape(len(x), len(wanted), -1), distinct)  # (n, F, OH*OW)
    shape = y.shape[2:] or (1, 1)
    positions = np.stack(np.unravel_index(best.places, shape), -1)
    windows = receptive_windows(model, images.shape[1:], key)
    patches = np.stack([[_cut(images[n], windows, *at) for n, at in zip(*own, strict=True)]
                        for own in zip(best.examples, positions, strict=True)])  # fmt: skip
    return TopPatches(best.examples, positions, best.values, patches, wanted, key or "")


class _Best:
    """The k largest numbers of each channel so far, and where they were."""

    def __init__(self, channels: int, k: int) -> None:
        self.k = k
        self.values = np.zeros((channels, 0), np.float32)
        self.examples = self.places = np.zeros((channels, 0), np.intp)

    def update(self, first: int, y: Array, distinct: bool) -> None:
        """Take in (n, F, places), of which the first example is number `first`."""
        n, F, P = y.shape
        if distinct:
            places = y.argmax(2).T  # (F, n)
            values, examples = y.max(2).T, np.broadcast_to(np.arange(n), (F, n))
        else:
            flat = y.transpose(1, 0, 2).reshape(F, -1)  # (F, n*places)
            top = np.stack([_largest(row, self.k) for row in flat])
            values, (examples, places) = np.take_along_axis(flat, top, 1), np.divmod(top, P)
        values = np.concatenate([self.values, values], 1, dtype=y.dtype)
        examples = np.concatenate([self.examples, first + examples], 1)
        places = np.concatenate([self.places, places], 1)
        top = np.argsort(-values, axis=1, kind="stable")[:, : self.k]  # of equals the earlier one
        self.values, self.examples, self.places = (
            np.take_along_axis(array, top, 1) for array in (values, examples, places)
        )


def _largest(row: Array, k: int) -> Array:
    """Where the k largest numbers are, the first of equals; in their order in the row."""
    if len(row) <= k:
        return np.arange(len(row))
    least = np.partition(row, len(row) - k)[len(row) - k]
    above, equal = np.flatnonzero(row > least), np.flatnonzero(row == least)
    return np.sort(np.concatenate([above, equal[: k - len(above)]]))


def _cut(image: Array, windows: ReceptiveWindows, oh: int, ow: int) -> Array:
    """The window of one position, (C, height, width); NaN where it lies beyond the image, or a smaller one ends."""
    (top, bottom), (left, right) = windows.rows[oh], windows.columns[ow]
    C, H, W = image.shape
    patch = np.full((C, *windows.size), np.nan, image.dtype)
    inside = image[:, max(top, 0) : min(bottom, H), max(left, 0) : min(right, W)]
    h, w = max(-top, 0), max(-left, 0)
    patch[:, h : h + inside.shape[1], w : w + inside.shape[2]] = inside
    return patch


def _as_tuple(channels: int | Sequence[int]) -> tuple[int, ...]:
    return (int(channels),) if isinstance(channels, int | np.integer) else tuple(channels)


def _check(function: str, images: int, count: int, channels: tuple[int, ...]) -> None:
    """Raise unless there is something to search, and the channels exist."""
    if not images or not channels:
        raise ValueError(f"{function}: nothing to search: {images} images, {len(channels)} channels")
    for channel in channels:
        if isinstance(channel, bool) or not isinstance(channel, int | np.integer) or not 0 <= channel < count:
            raise ValueError(f"{function}: channels must be ints in 0..{count - 1}, got {channel!r}")


def plot_top_patches(found: TopPatches, *, names: Sequence[str] | None = None) -> Figure:
    """A row for each channel: the patches on which it is largest, and how large it is there.

    Parameters
    ----------
    found : TopPatches
    names : sequence of str, optional
        A name for each row, as the classes; its number if not given.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If there are not as many names as channels.
    """
    F, k = found.activations.shape
    names = [f"unit {channel}" for channel in found.channels] if names is None else list(names)
    if len(names) != F:
        raise ShapeError(f"plot_top_patches: {len(names)} names for {F} channels")
    pictures = shown(found.patches)
    rows = [[Panel(pictures[f, i], below=f"{found.activations[f, i]:.3g}") for i in range(k)] for f in range(F)]
    title = (
        f"Images that excite units of layer {found.key} most" if found.key else "Images that excite each output most"
    )
    caption = "Cut out to what the unit sees of them. Below each: what the unit gives for it."
    if np.isnan(found.patches).any():
        caption += " Light blue lies beyond the edge of the image."
    return draw_panels(title, caption, rows, left=names, inches=0.8)
