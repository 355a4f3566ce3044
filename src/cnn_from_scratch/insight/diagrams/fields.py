"""How much of the image one pixel depends on, layer by layer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ... import layers
from ...errors import ShapeError, UnsupportedOpError
from ...layers import Layer, Sequential
from ...ops import ConvGeometry, col2im, conv_geometry
from ...typing import Array
from ..receptive_windows import PIXELWISE
from .shapes import Shape, layer_name

Window = layers.Conv2d | layers.MaxPool2d | layers.AvgPool2d
"""Layers that look through a window: what makes a receptive field grow."""


class Field(NamedTuple):
    """What the middle pixel of a layer's output depends on."""

    name: str
    kernel: tuple[int, int]  # (KH, KW)
    output: tuple[int, int]  # (OH, OW)
    step: tuple[int, int]  # pixels of the image from one output pixel's field to the next one's
    paths: Array  # (H, W)   on how many ways each pixel of the image reaches this one; 0 outside the field

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First row, first column, height and width of the field."""
        (rows, columns) = (np.flatnonzero(self.paths.any(axis=axis)) for axis in (1, 0))
        return int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def receptive_fields(model: Sequential, input_shape: Shape) -> list[Field]:
    """The receptive field of the middle pixel behind every convolution and pool, up to the first `Flatten`.

    A pixel of a layer's input is on as many ways as there are windows that reach it, weighted by the ways of those:
    col2im of the ways behind the layer. Padding is no part of the image, so fields end at its edge.

    Parameters
    ----------
    model : Sequential
        Of convolutions, pools, activations and batch norm, which may be nested.
    input_shape : (C, H, W)

    Returns
    -------
    list of Field

    Raises
    ------
    ShapeError
        If the shape is not (C, H, W), or a layer does not take it.
    UnsupportedOpError
        If a layer is none of these, or a pool has ``ceil_mode``.

    References
    ----------
    Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (2019).
    https://distill.pub/2019/computing-receptive-fields
    Luo, Li, Urtasun, Zemel: Understanding the Effective Receptive Field (2016). https://arxiv.org/abs/1701.04128

    Examples
    --------
    Two 3x3 convolutions see 5x5; the pixel in the middle gets there on nine ways.

    >>> model = Sequential(layers.Conv2d(1, 1, 3, rng=0), layers.Conv2d(1, 1, 3, rng=0))
    >>> first, second = receptive_fields(model, (1, 5, 5))
    >>> second.box, second.paths[2].astype(int)
    ((0, 0, 5, 5), array([3, 6, 9, 6, 3]))
    """
    if len(input_shape) != 3:
        raise ShapeError(f"receptive_fields: input_shape must be (C, H, W), got {tuple(input_shape)}")
    shape, passed, found = tuple(input_shape), list[ConvGeometry](), list[Field]()
    for name, layer in _chain(model):
        if isinstance(layer, layers.Flatten):
            break
        if isinstance(layer, Window) and not getattr(layer, "ceil_mode", False):
            passed.append(_geometry(layer, (shape[1], shape[2])))
            shape = layer.output_shape(shape)
            found.append(_field(name, passed))
        elif not isinstance(layer, PIXELWISE):
            raise UnsupportedOpError(
                f"receptive_fields: {name} is neither a window without ceil_mode nor works pixel by pixel"
            )
    return found


def _chain(model: Sequential, prefix: str = "") -> list[tuple[str, Layer]]:
    """The layers of a Sequential, and of those in it, with their names."""
    found: list[tuple[str, Layer]] = []
    for key, layer in model.children.items():
        if isinstance(layer, Sequential):
            found += _chain(layer, f"{prefix}{key}.")
        else:
            found.append((layer_name(prefix + key, layer), layer))
    return found


def _geometry(layer: Window, size: tuple[int, int]) -> ConvGeometry:
    """Where the window of a layer stands on its input."""
    stride = layer.kernel_size if layer.stride is None else layer.stride
    return conv_geometry("receptive_fields", size, layer.kernel_size, stride, layer.padding, layer.dilation)


def _field(name: str, passed: list[ConvGeometry]) -> Field:
    """From the middle pixel behind some windows back to the image."""
    OH, OW = passed[-1].output
    paths = np.zeros((OH, OW))
    paths[OH // 2, OW // 2] = 1
    for geometry in reversed(passed):
        (KH, KW), (H, W) = geometry.kernel, geometry.input
        cols = np.broadcast_to(paths.reshape(1, 1, -1), (1, KH * KW, paths.size))
        stride, padding, dilation = geometry.stride, geometry.padding, geometry.dilation
        paths = col2im(cols, (1, 1, H, W), (KH, KW), stride=stride, padding=padding, dilation=dilation)[0, 0]
    down, across = (math.prod(geometry.stride[axis] for geometry in passed) for axis in (0, 1))
    return Field(name, passed[-1].kernel, (OH, OW), (down, across), paths)
