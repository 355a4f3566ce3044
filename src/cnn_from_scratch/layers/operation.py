"""What a node of a graph computes: several values in, several values out, no parameters, no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..errors import UnsupportedOpError
from ..typing import Array
from .context import Context

Values: TypeAlias = Sequence[Array | None]
"""One array for each input or output; None where an optional one is not there."""


class Operation:
    """Base of what the nodes of a `Graph` compute. Weights are inputs like all others; the graph holds them.

    A subclass defines `forward` and, where there is a gradient, `backward`. It may say more about itself:

    - ``remembered``: which of its inputs are remembered from step to step, as the running mean (3) and variance (4) of
      BatchNormalization. Where they are initializers the graph has them as buffers. With ``ctx.train`` such an
      operation may normalize with the statistics of its batch (summed over ``ctx.group``), and `updates` gives what
      they are to become; the graph writes it once the training step has succeeded, and hands a node with frozen
      weights ``train=False``;
    - ``keeps_batch``: whether it treats the examples of a batch one by one; see `Graph.keeps_batch`.

    Parameters
    ----------
    op_type : str
        As ONNX names it: ``"Conv"``.
    attributes : dict
        Plain data: ints, floats, strings, lists of them, arrays.
    opset : int
        The version of the operator set. With `op_type` and `attributes` it makes the operation again.

    Examples
    --------
    >>> class Twice(Operation):
    ...     op_type = "Twice"
    ...
    ...     def forward(self, inputs, ctx):
    ...         return (2 * inputs[0],), None
    ...
    ...     def backward(self, doutputs, cache, wanted):
    ...         return (2 * doutputs[0],)
    >>> Twice().forward([np.array([1.0])], Context())
    ((array([2.]),), None)
    >>> Operation("Floor").backward([np.array([1.0])], None, [True])
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.UnsupportedOpError: Floor has no gradient
    """

    op_type: str = ""
    attributes: dict[str, Any]
    opset: int = 0

    remembered: ClassVar[tuple[int, ...]] = ()
    """Which inputs are remembered from step to step, not learned by gradients."""

    def __init__(self, op_type: str | None = None, attributes: Mapping[str, Any] | None = None, opset: int = 0) -> None:
        self.op_type = type(self).op_type or type(self).__name__ if op_type is None else op_type
        self.attributes = dict(attributes or {})
        self.opset = opset

    def forward(self, inputs: Values, ctx: Context) -> tuple[tuple[Array | None, ...], Any]:
        """Compute (outputs, cache). Inputs are borrowed; an output may be an input, or a view of one."""
        raise NotImplementedError(f"{self.op_type} has no forward")

    def backward(self, doutputs: Values, cache: Any, wanted: Sequence[bool]) -> tuple[Array | None, ...]:
        """Compute one gradient for each input.

        Parameters
        ----------
        doutputs : sequence
            The gradient of each output; None where nobody uses it, which counts as zeros. At least one is there.
        cache
            What `forward` gave.
        wanted : sequence of bool
            For each input, whether its gradient is asked for.

        Returns
        -------
        dinputs : tuple
            None where it is not wanted, or zero by nature, as for a shape.

        Raises
        ------
        UnsupportedOpError
            If the operator has no gradient.
        """
        raise UnsupportedOpError(f"{self.op_type} has no gradient")

    def updates(self, cache: Any) -> Mapping[int, Array]:
        """The new values of `remembered` inputs after a step of training, by their index; empty without training."""
        return {}

    def keeps_batch(
        self, shapes: Sequence[tuple[int, ...] | None], batched: Sequence[bool], constants: Values
    ) -> bool | None:
        """Whether example n of every output is computed from example n of the batched inputs alone.

        Parameters
        ----------
        shapes : sequence
            Of each input; axis 0 of a batched one is the batch, of any length.
        batched : sequence of bool
            Whether axis 0 of an input is the batch. The others are the same for all examples.
        constants : sequence
            The values of inputs that are the same in every pass (weights and constants); None for the others.

        Returns
        -------
        bool or None
            None: not said here; the table in graph_batch.py is asked, and what it does not know counts as False.
        """
        return None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.attributes.items())
        return f"{self.op_type}({shown})"


def _short(value: Any) -> str:
    """A large array by its dtype and shape."""
    if isinstance(value, np.ndarray):
        return repr(value.tolist()) if value.size <= 8 else f"{value.dtype} {value.shape}"
    return repr(value)
