"""Fusion as a rewrite: neighbours in the list of layers become one step that does the work of them all.

What the steps of fused_steps.py save are trips to main memory: the sums of batch norm are taken while the output of
the convolution is still in the cache, its scale, offset and the ReLU are applied in one go, and bias and ReLU wait
until max pooling has left a quarter of the numbers.

Everything here is a table of patterns and a walk over a list; the model is neither changed nor copied, and in float64
it runs exactly as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .activations import ReLU
from .base import Layer
from .batch_norm import BatchNorm2d
from .branches import Residual
from .containers import Sequential
from .context import join
from .convolution import Conv2d
from .fused_steps import BatchNormReLUStep, ConvBatchNormStep, ConvReLUStep, ResidualStep
from .graph import Graph
from .graph_step import GraphStep
from .pooling import MaxPool2d
from .program import LayerStep, Named, Program, Step


def as_program(model: Layer, *, fuse: bool | None = None) -> Program:
    """The steps that a model consists of, fused where it computes in float32 (or as `fuse` says).

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear
    >>> as_program(Sequential(Linear(2, 3), Sequential(Linear(3, 3), ReLU()))).steps
    (LayerStep(0), LayerStep(1.0), LayerStep(1.1))
    """
    return _program("", model, fuse=model.dtype == np.float32 if fuse is None else fuse)


def _program(key: str, model: Layer, *, fuse: bool) -> Program:
    return Program(list(_steps(list(_in_a_row(key, model)), fuse)))


def _in_a_row(key: str, layer: Layer) -> Iterator[Named]:
    """Chains within chains as one list of layers, each with its full key."""
    if type(layer) is Sequential:
        for name, child in layer.children.items():
            yield from _in_a_row(join(key, name), child)
    else:
        yield key, layer


def _steps(row: Sequence[Named], fuse: bool) -> Iterator[Step]:
    """At every place in the row: the first pattern that it begins with, or the layer as it is."""
    while row:
        key, layer = row[0]
        if type(layer) is Residual:
            step: Step = _residual(row, key, layer, fuse)
        elif type(layer) is Graph:
            step = GraphStep(key, layer, fuse=fuse)
        else:
            step = (_fused(row) if fuse else None) or LayerStep(key, layer)
        yield step
        row = row[len(step.layers) :]


PATTERNS: tuple[tuple[tuple[type[Layer], ...], Callable[[Sequence[Named]], Step]], ...] = (
    ((Conv2d, BatchNorm2d, ReLU, MaxPool2d), ConvBatchNormStep),
    ((Conv2d, BatchNorm2d, ReLU), ConvBatchNormStep),
    ((Conv2d, BatchNorm2d), ConvBatchNormStep),
    ((Conv2d, ReLU, MaxPool2d), ConvReLUStep),
    ((Conv2d, ReLU), ConvReLUStep),
    ((BatchNorm2d, ReLU), BatchNormReLUStep),
)
"""Layers in a row, and the step that takes their place; the first that fits counts."""


def _fused(row: Sequence[Named]) -> Step | None:
    """The step for what the row begins with, if there is one. Classes that inherit from these may have other ways."""
    layers = [layer for _, layer in row[:4]]
    for pattern, make in PATTERNS:
        if [type(layer) for layer in layers[: len(pattern)]] == list(pattern):
            last = layers[len(pattern) - 1]
            if make is ConvReLUStep or not isinstance(last, MaxPool2d) or last.halves():
                return make(row[: len(pattern)])
    return None


def _residual(row: Sequence[Named], key: str, block: Residual, fuse: bool) -> ResidualStep:
    """Two programs and a sum, with the ReLU behind it if there is one."""
    body = _program(join(key, block.body_name), block.body, fuse=fuse)
    shortcut = None
    if block.shortcut is not None:
        shortcut = _program(join(key, block.shortcut_name), block.shortcut, fuse=fuse)
    with_relu = fuse and len(row) > 1 and type(row[1][1]) is ReLU
    return ResidualStep(row[: 1 + with_relu], body, shortcut)
