"""Padding, stride, dilation and groups at a glance: what is read, found out by asking the operations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...ops import ConvGeometry, conv_forward, conv_geometry, im2col
from ...typing import Array, Padding, Pair
from .. import style
from .grids import board, outline, tint, write


class Panel(NamedTuple):
    """How a window may go over an image."""

    stride: Pair = 1
    padding: Padding = 0
    dilation: Pair = 1

    def name(self) -> str:
        """What is not as usual.

        Examples
        --------
        >>> Panel().name(), Panel(stride=2, padding=1).name()
        ('stride 1, no padding', 'stride 2, padding 1')
        """
        said = [f"{key} {value}" for key, value in self._asdict().items() if value != Panel._field_defaults[key]]
        return ", ".join(said) or "stride 1, no padding"


def cells_read(input_size: tuple[int, int], geometry: ConvGeometry) -> Array:
    """Which cells of the padded image each window reads, (OH*OW, H, W): the cells' own numbers, after im2col.

    Examples
    --------
    >>> cells_read((1, 3), conv_geometry("example", (1, 3), (1, 2), 1, 0, 1)).astype(int).tolist()
    [[[1, 1, 0]], [[0, 1, 1]]]
    """
    H, W = geometry.padded
    numbers = np.arange(H * W, dtype=np.float64).reshape(1, 1, H, W)
    cols = im2col(numbers, geometry.kernel, stride=geometry.stride, dilation=geometry.dilation)[0]  # (KH*KW, OH*OW)
    read: Array = (cols.T[..., None] == np.arange(H * W)).any(axis=1)  # (OH*OW, H*W)
    return read.reshape(-1, H, W)


def channels_read(in_channels: int, out_channels: int, groups: int) -> Array:
    """Which channels each filter reads, (F, C): those that, alone not zero, change its output.

    Examples
    --------
    >>> channels_read(4, 2, 2).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    one_hot = np.eye(in_channels)[:, :, None, None]  # an image for each channel
    weight = np.ones((out_channels, in_channels // groups, 1, 1))
    y, _ = conv_forward(one_hot, weight, groups=groups)  # (C, F, 1, 1)
    read: Array = y[..., 0, 0].T != 0
    return read


def draw_convolution_options(
    input_size: tuple[int, int] = (6, 6),
    kernel_size: Pair = 3,
    panels: tuple[Panel, ...] = (Panel(), Panel(padding=1), Panel(stride=2), Panel(dilation=2)),
    *,
    channels: int = 4,
    groups: tuple[int, ...] = (1, 2, 4),
) -> Figure:
    """Above, which cells the first two windows read; below, which channels each filter reads.

    Parameters
    ----------
    input_size : (H, W)
    kernel_size : int or (KH, KW)
    panels : tuple of Panel
        Each shows one way of going over the image.
    channels : int
        How many there are, before and after the convolution with groups.
    groups : tuple of int
        Each shows one number of groups.

    Returns
    -------
    Figure

    Examples
    --------
    >>> draw_convolution_options((4, 4), 2, (Panel(stride=2), Panel(padding=1))).get_suptitle()
    'What a convolution reads: stride, padding, dilation, groups'
    """
    geometries = [conv_geometry("draw_convolution_options", input_size, kernel_size, *panel) for panel in panels]
    tall, wide = (max(geometry.padded[axis] for geometry in geometries) * SIZE for axis in (0, 1))
    outputs = max(geometry.output[0] for geometry in geometries) * SIZE
    step = wide + 1.2
    width = max(len(panels) * step - 1.2, len(groups) * (channels * SIZE + 4.5), 20)
    below = tall + 2.5 + outputs + 2.1
    caption = (
        "Blue: what the first window reads, and the pixel that it gives; orange: the second. "
        "Yellow: zeros around the image. Green: the channels that a filter reads."
    )
    figure, ax = board(
        width, below + channels * SIZE + 1.2, "What a convolution reads: stride, padding, dilation, groups", caption
    )
    for i, (panel, geometry) in enumerate(zip(panels, geometries, strict=True)):
        _draw_windows(ax, i * step, tall, panel, geometry)
    for i, count in enumerate(groups):
        shape = (channels, channels // count, *geometries[0].kernel)
        _draw_groups(ax, 0.9 + i * width / len(groups), below, channels_read(channels, channels, count), shape)
    return figure


SIZE = 0.62
"""Side of a cell without a number, in cells with one."""


def _draw_windows(ax: Axes, left: float, tall: float, panel: Panel, geometry: ConvGeometry) -> None:
    """The image with what two windows read, and the output under it."""
    (H, W), (OH, OW) = geometry.padded, geometry.output
    (top_pad, _), (left_pad, _) = geometry.padding
    read = cells_read(geometry.input, geometry)
    colours = np.full((H, W, 3), tint(style.YELLOW, 0.18))
    colours[top_pad : top_pad + geometry.input[0], left_pad : left_pad + geometry.input[1]] = 1
    colours[read[0]] = tint(style.BLUE, 0.5)
    top = 1.3 + (tall - H * SIZE) / 2
    write(ax, left, 0.6, panel.name(), size=9, ha="left")
    _cells(ax, left, top, colours)
    if len(read) > 1:
        for h, w in np.argwhere(read[1]):
            outline(ax, left + w * SIZE, top + h * SIZE, SIZE, SIZE, style.ORANGE, width=1.4, inset=0.1)
    output = np.ones((OH, OW, 3))
    output[0, 0] = tint(style.BLUE, 0.5)
    _cells(ax, left, tall + 2.5, output)
    if len(read) > 1:
        oh, ow = divmod(1, OW)
        outline(ax, left + ow * SIZE, tall + 2.5 + oh * SIZE, SIZE, SIZE, style.ORANGE, width=1.4, inset=0.1)
    write(ax, left, tall + 1.9, f"output {OH} × {OW}", style.SOFT, size=8, ha="left")


def _draw_groups(ax: Axes, left: float, top: float, read: Array, weight_shape: tuple[int, ...]) -> None:
    """Rows of filters, columns of channels."""
    F, C = read.shape
    wide, high, groups = C * SIZE, F * SIZE, C // weight_shape[1]
    name = f"groups {groups}" + (", depthwise" if groups == C > 1 else "")
    write(ax, left, top - 0.7, name, size=9, ha="left")
    _cells(ax, left, top, np.where(read[..., None], tint(style.GREEN, 0.5), 1.0))
    write(ax, left + wide / 2, top + high + 0.5, "channels", style.SOFT, size=8)
    write(ax, left - 0.5, top + high / 2, "filters", style.SOFT, size=8)
    ax.texts[-1].set_rotation(90)
    said = f"weight\n{style.times(*weight_shape)}"
    write(ax, left + wide + 0.5, top + high / 2, said, style.SOFT, size=8, ha="left")


def _cells(ax: Axes, left: float, top: float, colours: Array) -> None:
    """Small cells without numbers."""
    rows, columns, _ = colours.shape
    places = list(np.ndindex(rows, columns))
    cells = [Rectangle((left + column * SIZE, top + row * SIZE), SIZE, SIZE) for row, column in places]
    faces = [tuple(colours[place]) for place in places]
    ax.add_collection(PatchCollection(cells, facecolor=faces, edgecolor=style.FAINT, linewidth=0.7, clip_on=False))
    outline(ax, left, top, columns * SIZE, rows * SIZE, style.SOFT, width=0.9)
