"""Fusion as a rewrite: neighbours in the list of layers become one step that does the work of them all.

What the steps of fused_steps.py save are trips to main memory: the sums of batch norm are taken while the output of
the convolution is still in the cache, its scale, offset and the ReLU are applied in one go, and bias and ReLU wait
until max pooling has left a quarter of the numbers.

Everything here is a table of patterns and a walk over a list; the model is neither changed nor copied, and in float64
it runs exactly as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from .base import Layer
from .branches import Residual
from .containers import Sequential
from .context import join
from .fused_steps import ResidualStep
from .program import LayerStep, Program, Step

Named: TypeAlias = tuple[str, Layer]


def as_program(model: Layer) -> Program:
    """The steps that a model consists of, fused where it computes in float32.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear
    >>> as_program(Sequential(Linear(2, 3), Sequential(Linear(3, 3), ReLU()))).steps
    (LayerStep(0), LayerStep(1.0), LayerStep(1.1))
    """
    return _program("", model, fuse=model.dtype == np.float32)


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
    """At every place in the row: the first pattern that fits, or the layer as it is."""
    i = 0
    while i < len(row):
        step = _residual(row[i : i + 2], fuse) or LayerStep(*row[i])
        yield step
        i += len(step.layers)


def _residual(row: Sequence[Named], fuse: bool) -> Step | None:
    """A residual block becomes two programs and a sum, with the ReLU behind it if there is one."""
    key, block = row[0]
    if type(block) is not Residual:
        return None
    body = _program(join(key, block.body_name), block.body, fuse=fuse)
    shortcut = None
    if block.shortcut is not None:
        shortcut = _program(join(key, block.shortcut_name), block.shortcut, fuse=fuse)
    with_relu = False
    return ResidualStep(row[: 1 + with_relu], body, shortcut)
