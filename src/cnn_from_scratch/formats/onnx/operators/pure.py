"""Operations without parameters and state: a function of arrays, its gradient, and what all of them have in common.

They compute as ONNX says, by IEEE's rules: 1/0 is infinity and log(-1) is NaN, without a warning. What does not fit
together is a ShapeError that names the operator and the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ....errors import CnnError, ShapeError
from ....layers.context import Context
from ....layers.operation import Operation, Values
from ....typing import Array
from ..attributes import NodeOperation, given
from ..registry import Node

Forward: TypeAlias = Callable[[Array], tuple[Any, Any]]
Backward: TypeAlias = Callable[[Array, Any], Any]


class PureOperation(NodeOperation):
    """One output, computed from one or several inputs: a subclass says `compute` and, where there is one, `gradients`.

    - ``compute(*inputs) -> (y, cache)``: an optional input that is not there is None;
    - ``gradients(dy, cache, wanted) -> (dx, ...)``: one for each input, None where not wanted or zero by nature.
    """

    def compute(self, *inputs: Any) -> tuple[Any, Any]:
        """y and what the backward pass needs."""
        raise NotImplementedError(f"{self.op_type} has no compute")

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The gradient of each input."""
        return super().backward([dy], cache, wanted)

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array | None, ...], Any]:
        """`compute`, and errors that name the operator."""
        given(self, inputs, self.arity[0])
        try:
            with np.errstate(all="ignore"):
                y, cache = self.compute(*inputs)
        except CnnError:
            raise
        except (ValueError, IndexError, OverflowError) as error:
            raise misfit(self, inputs, error) from error
        except TypeError as error:
            if not str(error).lower().startswith(("ufunc", "cannot cast ufunc", "numpy", "the numpy")):
                raise
            raise TypeError(f"{self.op_type}: does not compute with inputs ({_shown(inputs)})") from error
        return (np.asarray(y),), cache

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """`gradients`, where there is something to propagate."""
        (dy, *_) = doutputs
        if dy is None or not any(wanted):
            return (None,) * len(wanted)
        with np.errstate(all="ignore"):
            found = self.gradients(dy, cache, wanted)
        pairs = zip(found, wanted, strict=True)
        return tuple(np.asarray(dx) if asked and dx is not None else None for dx, asked in pairs)


class OneInput(PureOperation):
    """y = f(x), made of a pair of functions: ``forward(x) -> (y, cache)`` and ``backward(dy, cache) -> dx``."""

    def __init__(self, node: Node, forward: Forward, backward: Backward | None = None) -> None:
        super().__init__(node)
        self._forward, self._backward = forward, backward

    def compute(self, x: Array) -> tuple[Any, Any]:
        """The first of the pair."""
        return self._forward(x)

    def gradients(self, dy: Array, cache: Any, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The second of the pair."""
        if self._backward is None:
            return super().gradients(dy, cache, wanted)
        return (self._backward(dy, cache),)


def misfit(operation: Operation, inputs: Values, error: Exception) -> ShapeError:
    """The error for inputs that NumPy could not combine."""
    return ShapeError(f"{operation.op_type}: inputs ({_shown(inputs)}) do not fit: {error}")


def _shown(inputs: Values) -> str:
    return ", ".join("none" if x is None else f"{x.dtype} {x.shape}" for x in inputs)


def require_one_dtype(operation: Operation, inputs: Values) -> None:
    """Raise unless all arrays that are there have one dtype; ONNX converts nothing by itself."""
    dtypes = [x.dtype for x in inputs if x is not None]
    if any(dtype != dtypes[0] for dtype in dtypes[1:]):
        listed = ", ".join(map(str, dtypes))
        raise TypeError(f"{operation.op_type}: all inputs must have one dtype, got {listed}; a Cast node converts")


def require_floats(operation: Operation, x: Array) -> None:
    """Raise unless x is of floats."""
    if x.dtype.kind != "f":
        raise TypeError(f"{operation.op_type}: input must be of floats, got {x.dtype}")
