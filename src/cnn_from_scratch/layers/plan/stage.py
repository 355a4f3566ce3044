"""A stage of a plan: a few layers that became one, and how it writes down its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array, Sides
from ..base import Shape
from .calls import Call
from .memory import NO_BORDER, Buffer, Memory

RUN = 8192
"""How long a repeated vector may become."""


class Wiring(NamedTuple):
    """Which layers a stage stands for, which values it reads and makes, and the shape of what it makes."""

    label: str
    inputs: tuple[int, ...]
    output: int
    shape: Shape


class Stage:
    """A subclass says which borders it wants around its input, and writes its calls."""

    def __init__(self, wiring: Wiring) -> None:
        self.label, self.inputs, self.output, self.shape = wiring

    def border(self) -> Sides:
        """Rows and columns of zeros around each input."""
        return NO_BORDER

    def write(self, program: Writer, xs: Sequence[Buffer], y: Buffer) -> None:
        """Append the calls that compute `y` from `xs`."""
        raise NotImplementedError


class Writer:
    """What stages write their calls into: the list, and the memory of the plan."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.calls: list[Call] = []
        self.label = ""

    @property
    def n(self) -> int:
        """How many examples at a time."""
        return self.memory.n

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of everything."""
        return self.memory.dtype

    def call(self, function: Callable[..., Any], *inputs: Any, out: Array) -> Array:
        """Append out = function(*inputs); returns `out`."""
        self.calls.append(Call(self.label, function, inputs, out))
        return out

    def scratch(self, name: str, *shape: int) -> Array:
        """See `Memory.scratch`."""
        return self.memory.scratch(name, shape)

    def zeros(self, *shape: int) -> Array:
        """Memory of the stage's own, which starts as zeros."""
        return np.zeros(shape, self.dtype)

    def repeated(self, vector: Array, shape: tuple[int, ...]) -> Array:
        """`vector` (F,) for the last axis of `shape`, repeated over as many axes before it as make a run of `RUN`.

        Ufuncs run over what is contiguous in all their operands: the longer, the less each number costs.
        """
        axes = 1
        while axes < len(shape) and np.prod(shape[-axes - 1 :]) <= RUN:
            axes += 1
        return np.ascontiguousarray(np.broadcast_to(vector, shape[-axes:]), self.dtype)

    def rectify(self, x: Array, out: Array) -> Array:
        """Append out = max(x, 0); returns `out`.

        The zeros are an array: `np.maximum(x, 0.0)` takes a slow path, 3 times as long for what fits into the cache.
        """
        return self.call(np.maximum, x, self.repeated(np.zeros(x.shape[-1:]), x.shape), out=out)
