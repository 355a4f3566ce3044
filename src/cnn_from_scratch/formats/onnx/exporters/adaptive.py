"""Pools to a given size. Cells of one size are windows; cells of several sizes are written out.

ONNX has no adaptive pool. The mean over a rectangle is the mean over its columns of the means over its rows, and a mean
is a product with a matrix of shares. The largest in a rectangle is likewise the largest in a row of the largest in
columns; the pixels of every cell are gathered, the last one as often as the cell is shorter than the longest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d
from ....layers.base import Shape
from ....ops.adaptive_pooling import cells
from ....typing import Array
from ..export_graph import Place
from .table import exports


@exports(AdaptiveAvgPool2d)
def adaptive_average(place: Place, layer: AdaptiveAvgPool2d, x: str, shape: Shape) -> str:
    """GlobalAveragePool, AveragePool, or rows @ x @ columns."""
    if _is_global(layer, shape):
        return place.node("GlobalAveragePool", x)
    if kernel := _even_cells(layer, shape):
        return place.node("AveragePool", x, kernel_shape=kernel, strides=kernel)
    _, OH, OW = layer.output_shape(shape)
    _, H, W = shape
    means = place.node("MatMul", place.constant(_shares(H, OH)), x)  # (N, C, OH, W)
    return place.node("MatMul", means, place.constant(_shares(W, OW).T))


@exports(AdaptiveMaxPool2d)
def adaptive_max(place: Place, layer: AdaptiveMaxPool2d, x: str, shape: Shape) -> str:
    """GlobalMaxPool, MaxPool, or the largest of what is gathered for every cell."""
    if _is_global(layer, shape):
        return place.node("GlobalMaxPool", x)
    if kernel := _even_cells(layer, shape):
        return place.node("MaxPool", x, kernel_shape=kernel, strides=kernel)
    for axis in (2, 3):  # of (N, C, H, W)
        members = _members(shape[axis - 1], layer.output_shape(shape)[axis - 1])  # (cells, longest)
        gathered = place.node("Gather", x, place.constant(members, np.int64), axis=axis)
        x = largest(place, gathered, axis + 1)
    return x


def largest(place: Place, x: str, axis: int) -> str:
    """ReduceMax along one axis, which goes; it became an input with opset 18."""
    if place.graph.opset < 18:
        return place.node("ReduceMax", x, axes=[axis], keepdims=0)
    return place.node("ReduceMax", x, place.integers(axis), keepdims=0)


def _is_global(layer: AdaptiveAvgPool2d, shape: Shape) -> bool:
    return layer.output_shape(shape)[1:] == (1, 1)


def _even_cells(layer: AdaptiveAvgPool2d, shape: Shape) -> Sequence[int] | None:
    """The size of the cells where all have the same."""
    output = layer.output_shape(shape)[1:]
    if any(size % count for size, count in zip(shape[1:], output, strict=True)):
        return None
    return [size // count for size, count in zip(shape[1:], output, strict=True)]


def _shares(size: int, count: int) -> Array:
    """matrix[cell, pixel] = 1 / (pixels in the cell) for those in it, else 0: (count, size)"""
    matrix = np.zeros((count, size))
    for row, cell in zip(matrix, cells(size, count), strict=True):
        row[cell] = 1 / (cell.stop - cell.start)
    return matrix


def _members(size: int, count: int) -> Array:
    """The pixels of every cell, the last one again where a cell is shorter than the longest: (count, longest)"""
    every = cells(size, count)
    longest = max(cell.stop - cell.start for cell in every)
    return np.array([[min(cell.start + i, cell.stop - 1) for i in range(longest)] for cell in every])
