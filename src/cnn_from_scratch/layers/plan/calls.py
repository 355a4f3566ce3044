"""The program of a plan: a list of calls of NumPy functions, with all their arrays made beforehand.

Running it is one loop ::

    for call in bound:
        call()

No shape is computed while it runs, no view and no array made: for one image, where a convolution takes 20
microseconds, such work in Python would cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array
from ..base import Layer
from ..context import Context


class Call(NamedTuple):
    """out = function(*inputs), on behalf of the layers that `label` names."""

    label: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    out: Array

    def bound(self) -> Callable[[], Any]:
        """The function with all its arguments."""
        if self.function is np.copyto:
            return partial(np.copyto, self.out, *self.inputs)
        return partial(self.function, *self.inputs, out=self.out)

    @property
    def operands(self) -> str:
        """What goes in: shapes of arrays, names of layers."""
        return ", ".join(str(v.shape) if isinstance(v, np.ndarray) else type(v).__name__ for v in self.inputs)

    def __str__(self) -> str:
        return f"{self.label:<24} {self.function.__name__:<14} {self.operands} -> {self.out.shape}"


class CallList:
    """Calls in a row, from a batch of exactly `n` examples to their results.

    Parameters
    ----------
    calls : list of Call
    input, output : (n, ...)
        Views, in logical order, of where the calls expect their input and leave their result.
    """

    def __init__(self, calls: list[Call], input: Array, output: Array) -> None:  # noqa: A002
        self.calls, self.input, self.output = calls, input, output
        self._bound = [call.bound() for call in calls]

    def run(self, x: Array, y: Array) -> None:
        """Write the model's output for `x` into `y`."""
        np.copyto(self.input, x)
        for call in self._bound:
            call()
        np.copyto(y, self.output)

    def __len__(self) -> int:
        return len(self.calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)


# --- what NumPy does not offer as one function with `out` -------------------------------------------------------------


def sum_of_parts(x: Array, out: Array) -> None:
    """out = x[0] + x[1] + ..."""
    np.add.reduce(x, 0, out=out)


def sum_of_pixels(x: Array, out: Array) -> None:
    """out[n, c] = sum over h, w of x[h, w, n, c]"""
    np.add.reduce(x, (0, 1), out=out)


def forward_of(layer: Layer, x: Array, out: Array) -> None:
    """out = layer.forward(x), in evaluation: what a layer without calls of its own does."""
    out[...] = layer.forward(x, Context())[0]
